"""Where alerts go. A channel is one method with one promise.

Adding one: a module here, its line in CHANNELS, its settings in monitors/config_channels.py.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol

from monitors.alert.message import Message
from monitors.config_channels import ChannelSettings
from monitors.errors import ChannelError

CHANNELS = {
    "webhook": "monitors.alert.channels.webhook.Webhook",
    "slack": "monitors.alert.channels.slack.Slack",
    "email": "monitors.alert.channels.email.Email",
    "apprise": "monitors.alert.channels.apprise.Apprise",
    "sns": "monitors.alert.channels.sns.Sns",
    "log": "monitors.alert.channels.log.Log",
}
"""type -> dotted path of the class; imported when a channel of that type is first opened."""


class Channel(Protocol):
    """Sends a message, or says why it could not."""

    def send(self, message: Message) -> None:
        """Return None when it is delivered, raise ChannelError otherwise. One try, no retries."""


def open_channel(name: str, settings: ChannelSettings) -> Channel:
    """A channel of rampart.yml, ready to send. Raises ChannelError."""
    module, _, attribute = CHANNELS[settings.type].rpartition(".")
    opened: Any = getattr(import_module(module), attribute)
    return opened(name, settings)  # type: ignore[no-any-return]


__all__ = ["CHANNELS", "Channel", "ChannelError", "open_channel"]
