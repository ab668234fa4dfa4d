"""`alerts:` and `heartbeat:` of rampart.yml: what an alert may show, and who hears that we live."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from monitors.config_alert_types import ChannelName, SecretRef, Timeout
from monitors.config_channels import ChannelSettings
from monitors.config_types import Duration, Section


def _on_or_off(value: Any) -> Any:
    # YAML 1.1 reads an unquoted on and off as true and false
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


def _absolute_url(value: Any) -> Any:
    if not isinstance(value, str) or not value.startswith(("https://", "http://")):
        raise ValueError("a URL that begins with https:// or http://")
    return value.rstrip("/")


class Flapping(Section):
    """A check is red when it was in `red` of its last `of` scans."""

    red: Annotated[int, Field(ge=1)] = 1
    of: Annotated[int, Field(ge=1, le=100)] = 1

    @model_validator(mode="after")
    def _can_be_reached(self) -> Flapping:
        if self.red > self.of:
            raise ValueError("flapping of which `red` is no larger than `of`")
        return self


class Alerts(Section):
    """What an alert shows, and when a change of status counts."""

    samples: Annotated[Literal["on", "masked", "off"], BeforeValidator(_on_or_off)] = "on"
    """Sample rows: as they are (personal columns masked), every value masked, or none."""
    flapping: Flapping = Flapping()
    reopen_within: Duration = timedelta(days=1)
    """An incident of which a check is red again within this time is opened again, not a new one."""
    runbook_url: Annotated[str, BeforeValidator(_absolute_url)] | None = None
    """Where docs/checks.md can be read; an alert links to the section of its check."""


class Heartbeat(Section):
    """A URL that is called after each completed run, so that silence is seen from outside."""

    url: SecretRef
    timeout: Timeout = timedelta(seconds=5)
    after: tuple[Literal["load", "build", "scan", "run", "audit"], ...] = ("scan", "run")
    """The commands that count: one typed by hand must not hide that the scheduler is dead."""


Channels = dict[ChannelName, ChannelSettings]
