"""SMTP, encrypted unless told otherwise."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import parseaddr

from monitors.alert.formats.mail import mail_of
from monitors.alert.http import within
from monitors.alert.message import Message
from monitors.alert.secret import read_secret
from monitors.config_channels import EmailSettings
from monitors.errors import ChannelError


class Email:
    """`type: email`."""

    def __init__(self, settings: EmailSettings) -> None:
        self.settings = settings
        self.password = read_secret(settings.password, "password") if settings.password else None
        self.timeout = settings.timeout.total_seconds()

    def send(self, message: Message) -> None:
        mail = mail_of(message, self.settings.sender, self.settings.to)
        try:
            refused = within(self.timeout, lambda: self._hand_over(mail))
        except smtplib.SMTPRecipientsRefused as error:
            raise _refused(error.recipients, len(self.settings.to)) from None
        except smtplib.SMTPResponseException as error:
            said = f"the mail server answered {error.smtp_code}: {_text(error.smtp_error)}"
            raise ChannelError(said, permanent=error.smtp_code >= 500) from None
        except smtplib.SMTPNotSupportedError as error:
            raise ChannelError(f"the mail server: {error}", permanent=True) from None
        except ssl.SSLCertVerificationError as error:
            said = f"the certificate of the mail server is not trusted: {error.verify_message}"
            raise ChannelError(said) from None
        except (OSError, smtplib.SMTPException) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise ChannelError(f"no mail server took it: {reason}") from None
        if refused:
            raise _refused(refused, len(self.settings.to))

    def _hand_over(self, mail: EmailMessage) -> dict[str, tuple[int, bytes]]:
        """Who was refused although others were not."""
        with self._connected() as server:
            if self.settings.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if self.settings.username is not None and self.password is not None:
                server.login(self.settings.username, self.password)
            return server.send_message(
                mail,
                from_addr=parseaddr(self.settings.sender)[1],
                to_addrs=[parseaddr(each)[1] for each in self.settings.to],
            )

    def _connected(self) -> smtplib.SMTP:
        host, port = self.settings.host, self.settings.port
        if self.settings.security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(host, port, timeout=self.timeout, context=context)
        return smtplib.SMTP(host, port, timeout=self.timeout)


def _refused(recipients: dict[str, tuple[int, bytes]], of: int) -> ChannelError:
    """When some have it, another try would send it to them twice: permanent, and somebody looks."""
    name, (code, said) = next(iter(recipients.items()))
    more = f" (and {len(recipients) - 1} more)" if len(recipients) > 1 else ""
    text = f"{len(recipients)} of {of} recipients refused: {name}: {code} {_text(said)}{more}"
    partly = len(recipients) < of
    permanent = partly or all(code >= 500 for code, _said in recipients.values())
    return ChannelError(text, permanent=permanent)


def _text(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return " ".join(text.split())
