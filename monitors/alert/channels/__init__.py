"""Where alerts go. A channel is one method with one promise.

Adding one: a module here, its line in CHANNELS, its settings in monitors/config_channels.py.
docs/alerts.md goes through it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol

from monitors import log as logs
from monitors.alert.message import Message
from monitors.config_channels import BaseChannel
from monitors.errors import ChannelError

log = logs.get_logger("Channel")

CHANNELS = {
    "webhook": "monitors.alert.channels.webhook.Webhook",
    "slack": "monitors.alert.channels.slack.Slack",
    "email": "monitors.alert.channels.email.Email",
    "apprise": "monitors.alert.channels.apprise.Apprise",
    "sns": "monitors.alert.channels.sns.Sns",
    "log": "monitors.alert.channels.log_line.Log",
}
"""type -> dotted path of the class; imported when a channel of that type is first opened."""


LONGEST = 8000
"""Characters of one text; an error may be a whole file."""


class Channel(Protocol):
    """Sends a message, or says why it could not."""

    def send(self, message: Message) -> None:
        """Return None when it is delivered, raise ChannelError otherwise. One try, no retries."""


def open_channel(name: str, settings: BaseChannel) -> Channel:
    """A channel of rampart.yml, ready to send; nothing is sent or connected yet.

    Raises ChannelError, always permanent: a secret that is not there, a library that is missing.
    """
    module, _, attribute = CHANNELS[settings.type].rpartition(".")
    try:
        channel: Channel = getattr(import_module(module), attribute)(settings)
    except ChannelError as error:
        raise _named(name, error) from None
    return _Guarded(name, channel)


class _Guarded:
    """Keeps the promises that every channel makes: no secret gets out, one kind of error."""

    def __init__(self, name: str, channel: Channel) -> None:
        self.name = name
        self.channel = channel

    def __repr__(self) -> str:
        return f"<channel {self.name}>"

    def send(self, message: Message) -> None:
        try:
            self.channel.send(_presentable(message))
        except ChannelError as error:
            raise _named(self.name, error) from None
        except Exception as error:  # a fault of ours or of a library: tried again, no traceback
            log.debug("unforeseen error", channel=self.name, exc_info=error)
            said = f"{type(error).__name__}: {error}"
            raise _named(self.name, ChannelError(said)) from None


def _presentable(message: Message) -> Message:
    """Without secrets (what failed may have said a password), and of a length that can be sent."""
    values = message.as_json()
    shown = ("title", "lead", "sections", "links", "dataset", "owner")
    return Message.from_json({**values, **{name: _masked(values[name]) for name in shown}})


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        text = logs.masked(value)
        return text if len(text) <= LONGEST else f"{text[:LONGEST]} ... (shortened)"
    if isinstance(value, dict):
        return {key: _masked(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(each) for each in value]
    return value


def _named(name: str, error: ChannelError) -> ChannelError:
    text = f"channel `{name}`: {logs.masked(' '.join(str(error).split()))}"
    return ChannelError(text, permanent=error.permanent, retry_after=error.retry_after)


__all__ = ["CHANNELS", "Channel", "ChannelError", "open_channel"]
