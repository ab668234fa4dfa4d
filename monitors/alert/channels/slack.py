"""An incoming webhook of Slack."""

from __future__ import annotations

import json

from monitors.alert.formats.plain import header_text
from monitors.alert.formats.slack import slack_body
from monitors.alert.http import deliver
from monitors.alert.message import Message
from monitors.alert.secret import read_url
from monitors.config_channels import SlackSettings


class Slack:
    """`type: slack`."""

    def __init__(self, settings: SlackSettings) -> None:
        self.url = read_url(settings.url, "url")
        self.timeout = settings.timeout.total_seconds()

    def send(self, message: Message) -> None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": header_text(message.key)}
        body = json.dumps(slack_body(message)).encode("ascii")
        deliver("POST", self.url, body=body, headers=headers, timeout=self.timeout)
