"""What is said about an incident, neutral: every channel gives the same message a form of its own.

All text is plain: no markup, no escapes. A channel escapes for its own medium.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from typing import Any, Literal, get_args

from monitors.results import Severity

Event = Literal["opened", "worsened", "reopened", "snooze_ended", "resolved", "digest", "test"]
EVENTS: tuple[Event, ...] = get_args(Event)


@dataclass(frozen=True, slots=True)
class Fact:
    """One line: `since`, `2026-11-21 02:34 UTC, run 2026...`."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """Where to read on. `url` is absolute, http or https."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Table:
    """A few rows, personal columns already masked; every cell is text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it, in this order: text, items, table, statement."""

    title: str
    text: str = ""
    items: tuple[str, ...] = ()
    numbered: bool = False
    """The items are steps: their order means something."""
    table: Table | None = None
    statement: str = ""
    """To be copied and run as it stands: its line breaks are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One event of one incident, for one channel."""

    key: str
    """Idempotency key: the same for every try of the same event to the same channel."""
    event: Event
    incident_id: int | None
    kind: str
    """job_failure, landing_failure, ..., monitoring_failure; `digest` and `test` for those two."""
    severity: Severity
    title: str
    """One line: what broke."""
    lead: tuple[Fact, ...]
    """The five most important: what, since, rows, why, do."""
    sections: tuple[Section, ...] = ()
    links: tuple[Link, ...] = ()
    at: datetime
    """When it happened; aware."""
    environment: str
    dataset: str | None = None
    owner: str | None = None
    layer: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values, as the outbox keeps them; from_json gives the message back."""
        values: dict[str, Any] = asdict(self)
        return {**values, "severity": self.severity.value, "at": self.at.isoformat()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Message:
        """The message that `as_json` took apart. Raises KeyError, TypeError or ValueError."""
        return cls(
            **{
                **values,
                "severity": Severity(values["severity"]),
                "at": datetime.fromisoformat(values["at"]),
                "lead": tuple(Fact(**fact) for fact in values["lead"]),
                "sections": tuple(_section(section) for section in values["sections"]),
                "links": tuple(Link(**link) for link in values["links"]),
            }
        )

    def for_key(self, key: str) -> Message:
        """The same message with the idempotency key of one channel."""
        return replace(self, key=key)


def moment_text(moment: datetime) -> str:
    """`2026-11-21 02:34 UTC`: how every channel writes a moment."""
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"


def kind_text(kind: str) -> str:
    """`data quality failure`."""
    return kind.replace("_", " ")


def _section(values: Mapping[str, Any]) -> Section:
    table = values["table"]
    return Section(
        **{
            **values,
            "items": tuple(values["items"]),
            "table": table
            and Table(tuple(table["columns"]), tuple(tuple(row) for row in table["rows"])),
        }
    )
