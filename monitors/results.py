"""The words of a verdict: status, layer, category, severity, and the result that carries them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any


class Status(str, Enum):
    """What a check says, worst first. The order of this list is the order of precedence."""

    ERROR = "error"
    """It could not be evaluated."""
    FAIL = "fail"
    """The claim does not hold."""
    MISSING = "missing"
    """It was expected and did not report."""
    WARN = "warn"
    """It holds, but not comfortably."""
    BLIND = "blind"
    """It reported, but with this little history it could not have failed."""
    PASS = "pass"  # noqa: S105 - a verdict, not a password
    """The claim holds."""

    @property
    def is_red(self) -> bool:
        """Whether a scheduler must stop."""
        return self in (Status.ERROR, Status.FAIL, Status.MISSING)

    @property
    def success_rate(self) -> float | None:
        """What this status adds to the quality score: 100, 0, or nothing at all (blind)."""
        if self is Status.BLIND:
            return None
        return 0.0 if self.is_red else 100.0

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return list(Status).index(self)


OF_A_CLAIM = {
    "error": "could not be evaluated",
    "fail": "does not hold",
    "missing": "did not report",
    "blocked": "was not looked at",
    "warn": "holds, but not comfortably",
    "blind": "could not have failed",
}
"""{status, or blocked: what is said before the claim}. Of pass nothing: the claim holds."""


class Layer(str, Enum):
    """Where the data of a check live."""

    BRONZE = "bronze"
    SILVER = "silver"
    GOLD = "gold"


class Category(str, Enum):
    """Which of the three lines of defence a check belongs to."""

    INFRASTRUCTURE = "infrastructure"
    DATA_QUALITY = "data_quality"
    BUSINESS = "business"


class Severity(str, Enum):
    """How urgent a red check is. A critical one stops what would follow in a run."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check gave in one run: one row of `monitoring.data_quality_metrics`."""

    check_id: str
    check_name: str
    suite_name: str
    dataset: str
    status: Status
    layer: Layer = Layer.GOLD
    category: Category = Category.DATA_QUALITY
    severity: Severity = Severity.HIGH
    column_name: str | None = None
    segment: str | None = None
    metric_name: str | None = None
    metric_value: float | None = None
    numerator: float | None = None
    denominator: float | None = None
    expected_min: float | None = None
    expected_max: float | None = None
    detectable_change: float | None = None
    data_timestamp: datetime | None = None
    blocked_by: str | None = None
    muted: str | None = None
    """Until when, why and by whom; it still runs and is shown."""
    message: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_failed(self) -> bool:
        """Counts once: a test that was skipped because its parent failed has not failed itself."""
        return self.blocked_by is None and self.status.is_red

    @property
    def is_red(self) -> bool:
        """Whether somebody has to do something now: failed, and not muted."""
        return self.is_failed and self.muted is None

    @property
    def is_critical(self) -> bool:
        return self.is_red and self.severity is Severity.CRITICAL

    @property
    def success_rate(self) -> float | None:
        return None if self.blocked_by is not None else self.status.success_rate

    @property
    def failed_expectations(self) -> int | None:
        """1 for red, 0 otherwise, null where the check has no opinion."""
        return None if self.success_rate is None else int(self.is_failed)

    def with_counts(self, numerator: float | None, denominator: float | None) -> CheckResult:
        return replace(self, numerator=numerator, denominator=denominator)


def worst(results: Iterable[CheckResult]) -> Status:
    """The status of a whole set, but for muted failures; an empty set is missing, never pass."""
    statuses = [
        result.status
        for result in results
        if result.blocked_by is None and (result.muted is None or not result.status.is_red)
    ]
    return min(statuses, key=lambda status: status.rank, default=Status.MISSING)


def bounds_text(low: float | None, high: float | None) -> str:
    """`max 0.05`, `min 100` or `100 to 200`."""
    if low is not None and high is not None:
        return f"{number_text(low)} to {number_text(high)}" if low != high else number_text(low)
    if low is not None:
        return f"min {number_text(low)}"
    return f"max {number_text(high)}" if high is not None else ""


def number_text(value: float | None) -> str:
    """A number as a person writes it: 49,966, 0.0582, 12.5."""
    if value is None:
        return "none"
    if value == int(value) if abs(value) < 1e15 else False:
        return f"{int(value):,}"
    return f"{value:,.4f}".rstrip("0").rstrip(".") if abs(value) >= 0.00005 else f"{value:.2e}"
