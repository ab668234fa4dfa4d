"""A mail: HTML for people, plain text beside it, and headers by which clients thread."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from monitors.alert.formats.plain import (
    capitalized,
    clean,
    context,
    header_text,
    headline,
    is_wide,
    one_line,
    plain_text,
    records,
)
from monitors.alert.message import Message, moment_text

if TYPE_CHECKING:
    from jinja2 import Template

SUBJECT = 150
"""A subject is cut after so many characters; a list of mails shows 40 to 70."""

_COLOURS = {"critical": "#b3101e", "high": "#d6451b", "medium": "#c98a00", "low": "#5b7083"}
_OVER = "#2c7a4b"


def mail_of(message: Message, sender: str, to: Sequence[str]) -> EmailMessage:
    """The whole mail. The same message gives the same Message-ID, so that a mailbox can tell.

    All mails of one incident refer to one id, which is how clients put them into one thread.
    """
    mail = EmailMessage(policy=SMTP)
    domain = parseaddr(sender)[1].rpartition("@")[2]
    mail["Subject"] = _subject(message)
    mail["From"] = _address(sender)
    mail["To"] = [_address(each) for each in to]
    mail["Date"] = format_datetime(message.at)
    mail["Message-ID"] = f"<{_digest(message.key)}@{domain}>"
    if message.incident_id is not None:
        thread = _digest(f"incident {message.environment} {message.incident_id}")
        mail["References"] = mail["In-Reply-To"] = f"<{thread}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"  # no out-of-office answers
    mail["X-Rampart-Key"] = header_text(message.key)
    if message.severity.value in ("critical", "high") and message.event != "resolved":
        mail["Importance"] = "high"
    mail.set_content(plain_text(message))
    mail.add_alternative(html_of(message), subtype="html")
    return mail


def html_of(message: Message) -> str:
    """The HTML part; every text of the message is escaped."""
    over = message.event in ("resolved", "test")
    first = message.lead[0].text if message.lead else ""
    return _template().render(
        message=message,
        headline=headline(message),
        context=context(message),
        preview=one_line(first),
        moment=moment_text(message.at),
        is_wide=is_wide,
        records=records,
        colour=_OVER if over else _COLOURS[message.severity.value],
    )


def _subject(message: Message) -> str:
    text = f"[{one_line(message.environment)}] {headline(message)}"
    return text if len(text) <= SUBJECT else text[: SUBJECT - 3] + "..."


def _address(text: str) -> Address:
    name, spec = parseaddr(text)
    return Address(display_name=name, addr_spec=spec)


def _digest(text: str) -> str:
    """A key may hold what an id may not."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@cache
def _template() -> Template:
    from jinja2 import Environment

    environment = Environment(autoescape=True)  # in every place, whatever the name of the file
    environment.filters |= {"one_line": one_line, "clean": clean, "capitalized": capitalized}
    text = (files(__package__) / "mail.html").read_text(encoding="utf-8")
    return environment.from_string(text)
