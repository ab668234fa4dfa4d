"""Whatever apprise knows: https://github.com/caronc/apprise/wiki."""

from __future__ import annotations

import logging
from typing import Any

from monitors.alert.channels.extras import import_extra
from monitors.alert.formats.plain import headline, one_line, plain_text
from monitors.alert.http import within
from monitors.alert.message import Message
from monitors.alert.secret import read_secret
from monitors.config_channels import AppriseSettings
from monitors.errors import ChannelError


class Apprise:
    """`type: apprise`. It says only yes or no, so that every no may be tried again."""

    def __init__(self, settings: AppriseSettings) -> None:
        self.apprise = import_extra("apprise", "apprise")
        self.timeout = settings.timeout.total_seconds()
        self.urls = read_secret(settings.url, "url").splitlines()

    def send(self, message: Message) -> None:
        receivers = self.apprise.Apprise()
        for url in filter(None, map(str.strip, self.urls)):
            if not receivers.add(url):
                raise ChannelError("apprise does not know one of its URLs", permanent=True)
        level = logging.WARNING
        with self.apprise.LogCapture(level=level, fmt="%(message)s") as said:
            done = within(self.timeout, lambda: self._notify(receivers, message))
            reason = one_line(said.getvalue())
        if not done:
            raise ChannelError(f"apprise could not send it: {reason[:200] or 'no reason given'}")

    def _notify(self, receivers: Any, message: Message) -> bool:
        kind = {"critical": "failure", "high": "failure", "medium": "warning", "low": "info"}
        over = message.event == "resolved"
        return bool(
            receivers.notify(
                title=f"[{one_line(message.environment)}] {headline(message)}",
                body=plain_text(message),
                notify_type="success" if over else kind[message.severity.value],
                body_format="text",
            )
        )
