"""`channels:` of rampart.yml: where alerts go, which of them, and when.

Each type of channel has its settings here; `type` chooses among them.
"""

from __future__ import annotations

import re
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from monitors.config_types import Duration, Section, TimeZone
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


class Secret(Section):
    """Where a secret stands. It is read when it is needed, and never kept here."""

    env: str | None = None
    """The name of a variable."""
    file: str | None = None
    """An absolute path; a line break at the end of the file does not count."""


def _secret(value: Any) -> Any:
    if isinstance(value, Secret):
        return value
    if isinstance(value, dict) and len(value) == 1:
        key, named = next(iter(value.items()))
        if key == "env" and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(named)):
            return value
        if key == "file" and isinstance(named, str) and Path(named).expanduser().is_absolute():
            return value
    # a type of its own: what was found may be the secret, and config_file.explain hides it
    raise PydanticCustomError("secret", "`{env: VARIABLE}` or `{file: /absolute/path}`")


def _time_of_day(value: Any) -> Any:
    if isinstance(value, time):
        return value
    # YAML 1.1 reads an unquoted 22:00 as the number 1320
    if isinstance(value, int) and not isinstance(value, bool) and 600 <= value < 1440:
        return time(value // 60, value % 60)
    if isinstance(value, str) and (found := re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", value)):
        return time(int(found[1]), int(found[2]))
    raise ValueError('a time of day in quotes, like `"07:00"`')


def _digest(value: Any) -> Any:
    if value is None or value == "none":
        return None
    found = re.fullmatch(r"daily at (\d{1,2}:\d\d)(?: (\S+))?", str(value).strip())
    if isinstance(value, Digest):
        return value
    if not found:
        raise ValueError("`daily at 08:00`, `daily at 08:00 Europe/Berlin` or `none`")
    return {"at": found[1], "timezone": found[2]}


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, (str, Layer, Severity)) else value


def _channel_name(value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", value):
        raise ValueError("a name of lower-case letters, digits, `-` and `_`")
    return value


def _address(value: Any) -> Any:
    # what stands in a header of a mail must not be able to start another one
    if not isinstance(value, str) or not re.fullmatch(
        r"([^<>\x00-\x1f\x7f]* <)?[^\s<>@,]+@[^\s<>@,]+>?", value
    ):
        raise ValueError("an address like `oncall@example.com` or `Data team <data@example.com>`")
    if value.endswith(">") is not ("<" in value):
        raise ValueError("an address like `oncall@example.com` or `Data team <data@example.com>`")
    return value


SecretRef = Annotated[Secret, BeforeValidator(_secret)]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]
ChannelName = Annotated[str, BeforeValidator(_channel_name)]
Address = Annotated[str, BeforeValidator(_address)]
Words = Annotated[tuple[str, ...], BeforeValidator(_one_or_more)]
Addresses = Annotated[tuple[Address, ...], BeforeValidator(_one_or_more), Field(min_length=1)]


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
    exempt: Annotated[tuple[Severity, ...], BeforeValidator(_one_or_more)] = Field(
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
    layer: Annotated[tuple[Layer, ...], BeforeValidator(_one_or_more)] = ()
    severity: Annotated[tuple[Severity, ...], BeforeValidator(_one_or_more)] = ()
    kind: Annotated[tuple[Kind, ...], BeforeValidator(_one_or_more)] = ()
    environment: Annotated[
        tuple[Literal["dev", "ci", "prod"], ...], BeforeValidator(_one_or_more)
    ] = ()


class BaseChannel(Section):
    """What every channel has; a type adds where it sends to."""

    only: Only = Only()
    digest: Annotated[Digest | None, BeforeValidator(_digest)] = None
    """When MEDIUM and LOW are sent, in one message; None sends each at once."""
    quiet_hours: QuietHours | None = None
    resolved: bool = True
    """Whether it is also told that an incident is over."""
    timeout: Duration = timedelta(seconds=10)
    """For the whole of one try."""

    @model_validator(mode="after")
    def _has_time(self) -> BaseChannel:
        if not timedelta(seconds=1) <= self.timeout <= timedelta(minutes=2):
            raise ValueError("a channel with a `timeout` of 1 second to 2 minutes")
        return self


class WebhookSettings(BaseChannel):
    """POST of the message as JSON."""

    type: Literal["webhook"]
    url: SecretRef
    secret: SecretRef | None = None
    """Signs the body: HMAC-SHA256 in the header X-Rampart-Signature."""
    headers: dict[str, SecretRef] = Field(default_factory=dict)
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
    topic_arn: Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w.-]+$")]
    endpoint_url: str | None = None
    """For a stand-in of AWS, such as LocalStack."""


class LogSettings(BaseChannel):
    """A JSON line in the log, for a shipper that picks it up."""

    type: Literal["log"]


ChannelSettings = Annotated[
    WebhookSettings | SlackSettings | EmailSettings | AppriseSettings | SnsSettings | LogSettings,
    Field(discriminator="type"),
]
