"""What is known about an incident when its text is made; gathered by the composition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from monitors.lineage import Exposure
from monitors.results import CheckResult


class Cause(str, Enum):
    """What sort of evidence a line is."""

    REFUSED = "refused"
    """A delivery that may not take part."""
    LOST_COLUMN = "lost column"
    """A column that did not come."""
    DEAD_LETTERS = "dead letters"
    """Records that cannot be read."""
    RULE = "rule"
    """Rows that break a rule of the feed."""
    FAULT = "fault"
    """Faults of version chains, deliveries that do not add up, values that a test found."""
    NO_DELIVERY = "no delivery"
    """Nothing has come since."""
    ODD_DELIVERY = "odd delivery"
    """A delivery much smaller or larger than the ones before it."""
    CODE = "code"
    """A model upstream was changed since the last green run."""
    OTHER_HANDS = "other hands"
    """Nothing was loaded or built since it was green, and it is not green."""
    NEW_COLUMN = "new column"
    VERSION = "version"
    """dbt, Soda or Rampart, or the project's git revision."""
    DELIVERY = "delivery"
    """Something new came since the last green run."""


CHANGES = (
    Cause.REFUSED, Cause.LOST_COLUMN, Cause.NEW_COLUMN, Cause.NO_DELIVERY, Cause.ODD_DELIVERY,
    Cause.CODE, Cause.VERSION, Cause.DELIVERY, Cause.OTHER_HANDS,
)  # fmt: skip
"""What changed; the others are reasons."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of evidence."""

    cause: Cause
    text: str
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a text may say beyond the verdict itself."""

    since: tuple[datetime, str] | None = None
    """The first red execution of the streak, and its run."""
    last_green: tuple[datetime, str] | None = None
    """The last execution that was green, and its run; None when there was none."""
    findings: Sequence[Finding] = ()
    samples: Sequence[Mapping[str, Any]] = ()
    """Rows as they may be shown: what is personal is hidden already."""
    samples_note: str = ""
    """Why there are none, or what was hidden."""
    downstream: Sequence[Exposure] = ()
    statement: str = ""
    also_red: Sequence[CheckResult] = ()
    blocked: int = 0
    """Tests and models that were skipped because of it."""
    unreadable: Sequence[str] = ()
    """What could not be looked at, and why."""

    @property
    def changes(self) -> list[Finding]:
        return [each for each in self.findings if each.cause in CHANGES]

    @property
    def reasons(self) -> list[Finding]:
        return [each for each in self.findings if each.cause not in CHANGES]
