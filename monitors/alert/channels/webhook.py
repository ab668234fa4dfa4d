"""POST of the message as JSON, signed when a secret is given."""

from __future__ import annotations

import hashlib
import hmac
import json

from monitors.alert.formats.plain import header_text, plain_text
from monitors.alert.http import deliver
from monitors.alert.message import Message
from monitors.alert.secret import read_line, read_secret, read_url
from monitors.config_channels import WebhookSettings

VERSION = 1
"""Of the body. A field may be added to it, none is renamed."""


class Webhook:
    """`type: webhook`."""

    def __init__(self, settings: WebhookSettings) -> None:
        self.url = read_url(settings.url, "url")
        self.secret = read_secret(settings.secret, "secret") if settings.secret else None
        self.headers = {
            name: read_line(secret, f"headers.{name}") for name, secret in settings.headers.items()
        }
        self.timeout = settings.timeout.total_seconds()

    def send(self, message: Message) -> None:
        body = webhook_body(message)
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": header_text(message.key),
            "X-Rampart-Event": message.event,
            **self.headers,
        }
        if self.secret is not None:
            headers["X-Rampart-Signature"] = signature(self.secret, body)
        deliver("POST", self.url, body=body, headers=headers, timeout=self.timeout)


def webhook_body(message: Message) -> bytes:
    """The same bytes at every try: the message, and all of it as text for who has no use for it."""
    values = {"version": VERSION, **message.as_json(), "text": plain_text(message)}
    # a lone surrogate, as broken files hold, stays an escape and does not stop the alert
    return json.dumps(values, ensure_ascii=True).encode("ascii")


def signature(secret: str, body: bytes) -> str:
    """`sha256=` and the HMAC-SHA256 (RFC 2104) of the body in hex."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
