"""One line in Rampart's own log, for a shipper that picks it up."""

from __future__ import annotations

from monitors import log as logs
from monitors.alert.formats.plain import one_line
from monitors.alert.message import Message
from monitors.config_channels import LogSettings
from monitors.results import Severity

log = logs.get_logger("Alert")


class Log:
    """`type: log`. Critical and high are logged as errors, everything else as warnings."""

    def __init__(self, settings: LogSettings) -> None:
        self.settings = settings

    def send(self, message: Message) -> None:
        values = message.as_json()
        say = log.warning
        if message.severity in (Severity.CRITICAL, Severity.HIGH) and message.event != "resolved":
            say = log.error
        say("alert", **{**values, "title": one_line(message.title)})
