"""A topic of AWS SNS."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import Any

from monitors.alert.channels.extras import import_extra
from monitors.alert.formats.plain import headline, one_line, plain_text
from monitors.alert.http import within
from monitors.alert.message import Message, Section
from monitors.config_channels import SnsSettings
from monitors.errors import ChannelError

LIMIT = 256 * 1024
"""Bytes of body and attributes together, as SNS counts them."""
SPARE = 4 * 1024
"""Kept free for the attributes."""
SUBJECT = 100
THROTTLED = ("Throttl", "TooManyRequests", "RequestLimitExceeded", "SlowDown", "RequestTimeout")


class Sns:
    """`type: sns`. Subscribers by mail read text, queues and functions get the JSON."""

    def __init__(self, settings: SnsSettings) -> None:
        boto3 = import_extra("boto3", "aws")
        self.failures: Any = import_extra("botocore.exceptions", "aws")
        self.settings = settings
        self.timeout = settings.timeout.total_seconds()
        config = import_extra("botocore.config", "aws").Config(
            connect_timeout=self.timeout / 2,
            read_timeout=self.timeout,
            retries={"total_max_attempts": 1},  # the outbox tries again
        )
        try:
            self.client = boto3.session.Session().client(
                "sns",
                region_name=settings.topic_arn.split(":")[3],
                endpoint_url=settings.endpoint_url,
                config=config,
            )
        except (self.failures.BotoCoreError, ValueError) as error:
            raise ChannelError(f"AWS: {error}", permanent=True) from None

    def send(self, message: Message) -> None:
        publication = publication_of(message, self.settings.topic_arn)
        try:
            within(self.timeout, lambda: self.client.publish(**publication))
        except self.failures.ClientError as error:
            raise _client_error(error.response) from None
        except (self.failures.HTTPClientError, self.failures.ConnectionError) as error:
            raise ChannelError(f"AWS cannot be reached: {type(error).__name__}") from None
        except self.failures.BotoCoreError as error:
            raise ChannelError(f"AWS: {error}", permanent=True) from None


def publication_of(message: Message, topic_arn: str) -> dict[str, Any]:
    """The arguments of `publish`."""
    publication: dict[str, Any] = {
        "TopicArn": topic_arn,
        "Subject": _subject(message),
        "Message": _body(message),
        "MessageStructure": "json",
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": one_line(str(value))[:SUBJECT]}
            for name, value in (
                ("key", message.key),
                ("event", message.event),
                ("kind", message.kind),
                ("severity", message.severity.value),
                ("environment", message.environment),
                ("layer", message.layer),
                ("dataset", message.dataset),
                ("owner", message.owner),
                ("incident_id", message.incident_id),
            )
            if value is not None and one_line(str(value))
        },
    }
    if topic_arn.endswith(".fifo"):
        group = message.incident_id if message.incident_id is not None else message.event
        publication["MessageGroupId"] = f"incident-{group}"  # keeps the order of one incident
        publication["MessageDeduplicationId"] = _deduplication_id(message.key)
    return publication


def _body(message: Message) -> str:
    """What each kind of subscriber gets; sections go from the end until it fits."""
    kept = len(message.sections)
    shown = message
    while (size := len((body := _bodies(shown)).encode())) > LIMIT - SPARE:
        if kept == 0:
            raise ChannelError("the message is larger than SNS takes, 256 KB", permanent=True)
        kept = min(kept - 1, kept * (LIMIT - SPARE) // size)
        shown = replace(message, sections=(*message.sections[:kept], _SHORTENED))
    return body


_SHORTENED = Section(title="Shortened", text="SNS takes 256 KB. The rest: rampart incidents")


def _bodies(message: Message) -> str:
    text = plain_text(message)
    values = json.dumps(message.as_json())
    return json.dumps(
        {
            "default": values,
            "email": text,
            "sms": headline(message)[:140],
        }
    )


def _subject(message: Message) -> str:
    """ASCII without line breaks, at most 100 characters, beginning with a letter: SNS insists."""
    text = f"{message.environment} {headline(message)}".encode("ascii", "replace").decode()
    return re.sub(r"[^\x20-\x7e]", " ", text)[:SUBJECT].strip()


def _deduplication_id(key: str) -> str:
    """The key itself where SNS allows it."""
    if re.fullmatch(r"[\x21-\x7e]{1,128}", key):
        return key
    return hashlib.sha256(key.encode()).hexdigest()


def _client_error(response: dict[str, Any]) -> ChannelError:
    code = str(response.get("Error", {}).get("Code", "unknown"))
    said = " ".join(str(response.get("Error", {}).get("Message", "")).split())
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    transient = status >= 500 or status == 429 or code.startswith(THROTTLED)
    return ChannelError(f"AWS answered {code}: {said[:200]}", permanent=not transient)
