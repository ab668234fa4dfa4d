"""One line in Rampart's own log, for a shipper that picks it up."""

from __future__ import annotations

from monitors import log as logs
from monitors.alert.message import Message
from monitors.config_channels import LogSettings
from monitors.results import Severity

log = logs.get_logger("Alert")


class Log:
    """`type: log`. Critical and high are logged as errors, everything else as warnings."""

    def __init__(self, settings: LogSettings) -> None:
        self.settings = settings

    def send(self, message: Message) -> None:
        say = log.warning
        if message.severity in (Severity.CRITICAL, Severity.HIGH) and message.event != "resolved":
            say = log.error
        say("alert", alert=message.as_json())  # one field: its names never meet those of the log
