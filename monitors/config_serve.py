"""`serve:` of rampart.yml: where `rampart serve` listens, and how much it shows."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from monitors.config_types import Duration, Section


def _a_second(value: timedelta) -> timedelta:
    if value < timedelta(seconds=1):
        raise ValueError("a second or more: nobody may wait for ever")
    return value


class Serve(Section):
    """Who may listen from elsewhere is said on the command line, never here."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 9750
    connections: Annotated[int, Field(ge=1, le=32)] = 4
    """At most so many connections to the database."""
    statement_timeout: Annotated[Duration, AfterValidator(_a_second)] = timedelta(seconds=5)
    max_checks: Annotated[int, Field(ge=0, le=100_000)] = 2_500
    """So many checks have series of their own, the worst first; a metric says how many have not."""
