"""`channels:` of rampart.yml: where alerts go, which of them, and when.

Each type of channel has its settings here; `type` chooses among them.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from monitors.config_alert_types import (
    Address,
    Addresses,
    HeaderName,
    SecretRef,
    TimeOfDay,
    Timeout,
    TopicArn,
    Words,
    one_or_more,
)
from monitors.config_types import Section, TimeZone
from monitors.results import Layer, Severity

Kind = Literal[
    "job_failure",
    "landing_failure",
    "validation_failure",
    "data_quality_failure",
    "dbt_run_failure",
    "dbt_test_failure",
    "scd_validation_failure",
    "monitoring_failure",
]
"""What sort of failure an incident is."""


def _digest(value: Any) -> Any:
    if value is None or value == "none":
        return None
    found = re.fullmatch(r"daily at (\d{1,2}:\d\d)(?: (\S+))?", str(value).strip())
    if isinstance(value, Digest):
        return value
    if not found:
        raise ValueError("`daily at 08:00`, `daily at 08:00 Europe/Berlin` or `none`")
    return {"at": found[1], "timezone": found[2]}


class Digest(Section):
    """When what was collected is sent as one message."""

    at: TimeOfDay
    timezone: TimeZone | None = None
    """None: that of the quiet hours, or else UTC."""


class QuietHours(Section):
    """Hours in which nobody is disturbed: what is due waits for their end."""

    start: TimeOfDay = Field(alias="from")
    end: TimeOfDay = Field(alias="to")
    timezone: TimeZone = "UTC"
    exempt: Annotated[tuple[Severity, ...], BeforeValidator(one_or_more)] = Field(
        (Severity.CRITICAL, Severity.HIGH), alias="except"
    )
    """Severities that do not wait."""

    @model_validator(mode="after")
    def _have_a_length(self) -> QuietHours:
        if self.start == self.end:
            raise ValueError("quiet hours of which `from` and `to` differ")
        return self


class Only(Section):
    """Which messages a channel takes: those that every filter given here lets through."""

    owner: Words = ()
    layer: Annotated[tuple[Layer, ...], BeforeValidator(one_or_more)] = ()
    severity: Annotated[tuple[Severity, ...], BeforeValidator(one_or_more)] = ()
    kind: Annotated[tuple[Kind, ...], BeforeValidator(one_or_more)] = ()
    environment: Annotated[
        tuple[Literal["dev", "ci", "prod"], ...], BeforeValidator(one_or_more)
    ] = ()


class BaseChannel(Section):
    """What every channel has; a type adds where it sends to."""

    type: str
    only: Only = Only()
    digest: Annotated[Digest | None, BeforeValidator(_digest)] = None
    """When MEDIUM and LOW are sent, in one message; None sends each at once."""
    quiet_hours: QuietHours | None = None
    resolved: bool = True
    """Whether it is also told that an incident is over."""
    timeout: Timeout = timedelta(seconds=10)
    """For the whole of one try."""


class WebhookSettings(BaseChannel):
    """POST of the message as JSON."""

    type: Literal["webhook"]
    url: SecretRef
    secret: SecretRef | None = None
    """Signs the body: HMAC-SHA256 in the header X-Rampart-Signature."""
    headers: dict[HeaderName, SecretRef] = Field(default_factory=dict)
    """Further headers, such as Authorization; their values are secrets."""


class SlackSettings(BaseChannel):
    """An incoming webhook of Slack, or of what understands Block Kit."""

    type: Literal["slack"]
    url: SecretRef


class EmailSettings(BaseChannel):
    """SMTP; HTML and plain text."""

    type: Literal["email"]
    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(gt=0, lt=65536)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: SecretRef | None = None
    sender: Address = Field(alias="from")
    to: Addresses

    @model_validator(mode="after")
    def _never_in_the_clear(self) -> EmailSettings:
        if (self.username is None) != (self.password is None):
            raise ValueError("`username` and `password` together")
        if self.password is not None and self.security == "none":
            raise ValueError("a password only with `security: starttls` or `tls`")
        return self


class AppriseSettings(BaseChannel):
    """Whatever apprise knows: Teams, Telegram, Opsgenie, PagerDuty and a hundred more."""

    type: Literal["apprise"]
    url: SecretRef
    """An apprise URL, or several, one a line."""


class SnsSettings(BaseChannel):
    """A topic of AWS SNS; credentials come as boto3 finds them."""

    type: Literal["sns"]
    topic_arn: TopicArn
    endpoint_url: str | None = None
    """For a stand-in of AWS, such as LocalStack."""


class LogSettings(BaseChannel):
    """A JSON line in the log, for a shipper that picks it up."""

    type: Literal["log"]


ChannelSettings = Annotated[
    WebhookSettings | SlackSettings | EmailSettings | AppriseSettings | SnsSettings | LogSettings,
    Field(discriminator="type"),
]
