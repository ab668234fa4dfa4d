"""In place of Soda Cloud: what was measured before, from `monitoring.metric_values`.

Answers Soda's checks of change in the shape that they know, says from which size on a check sees a
change, and which moments of the past are worth computing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from math import isfinite
from statistics import fmean
from typing import Any, Protocol

from monitors.store.history import BadPeriod, MetricValue, Origin, PastValue

MOMENTS = 31
"""The most moments of the past that are computed for one check in one scan."""
_CLOCK = re.compile(r"\bnow\(\)|\bcurrent_\w+|\$\{NOW\}|\blocaltime", re.IGNORECASE)
_WEEK = timedelta(days=7)
_EXTREMES: dict[str, Callable[[list[float]], float]] = {"min": min, "max": max}


class Reader(Protocol):
    """The part of store.history.History that a scan reads."""

    def before(self, metric_id: str, moment: datetime, *, limit: int = 1000) -> list[PastValue]: ...

    def bad_periods(self, dataset: str | None = None) -> list[BadPeriod]: ...


@dataclass
class Asked:
    """What one check wants to know of the past of its metric."""

    metric_id: str
    dataset: str
    metric: Any
    moment: datetime
    """The data moment of this scan; only what was before it counts."""
    count: int = 1
    aggregation: str = "min"
    same_weekday: bool = False
    percent: bool = False
    values: list[PastValue] = field(default_factory=list)
    """What is known, the newest first, without known-bad periods."""
    why_not_computed: str = ""

    @property
    def used(self) -> list[PastValue]:
        """The values that the check is held against."""
        if self.same_weekday:
            day = _day(self.moment - _WEEK)
            return [each for each in self.values if _day(each.data_timestamp) == day][:1]
        return self.values[: self.count]

    @property
    def numbers(self) -> list[float]:
        return [each.value for each in self.used if each.value is not None]

    @property
    def is_enough(self) -> bool:
        """At least half of what the check asks for."""
        return bool(self.used) and 2 * len(self.used) >= self.count

    @property
    def level(self) -> float | None:
        """The one number that Soda compares with."""
        numbers = self.numbers
        if not numbers:
            return None
        return fmean(numbers) if self.aggregation == "avg" else _EXTREMES[self.aggregation](numbers)

    def answer(self) -> dict[str, Any]:
        """What Soda Cloud would have sent."""
        value: Any = self.level
        if value is None and self.used:
            value = self.used[0].payload
        results = [] if value is None else [{"value": value}]
        return {"measurements": {"results": results}, "check_results": {}}

    def lacking(self) -> list[datetime]:
        """Moments of the past, one a day, whose value the check wants and nobody has measured."""
        have = {_day(each.data_timestamp) for each in self.values}
        if self.same_weekday:
            wanted = [self.moment - _WEEK]
        elif len(self.used) >= self.count:
            wanted = []
        else:
            days = range(1, min(self.count, MOMENTS) + 1)
            wanted = [self.moment - timedelta(days=each) for each in days]
        return [each for each in wanted if _day(each) not in have]

    def said(self) -> str:
        """Why this is too little, for a person."""
        if self.same_weekday:
            known = f"nothing is known of {_day(self.moment - _WEEK):%Y-%m-%d}"
        elif not self.used:
            known = "nothing is known of the past"
        else:
            known = f"{len(self.used)} of {self.count} values of the past are known"
        return known + (f"; {self.why_not_computed}" if self.why_not_computed else "")


class Past:
    """Reads the past of metrics, known-bad periods left out."""

    def __init__(self, reader: Reader | None, moment: datetime) -> None:
        self.reader = reader
        self.moment = moment

    def asked(self, definition: Any, metric: Any, descriptor: Any) -> Asked:
        """What a check asks by one of Soda's descriptors, and what is known."""
        cfg = descriptor.change_over_time_cfg
        asked = Asked(
            metric_id=metric_id(definition.dataset, metric),
            dataset=definition.dataset,
            metric=metric,
            moment=self.moment,
            count=cfg.last_measurements or 1,
            aggregation=cfg.last_aggregation or "min",
            same_weekday=bool(cfg.same_day_last_week),
            percent=bool(cfg.percent),
        )
        if self.reader is not None:
            periods = self.reader.bad_periods(asked.dataset)
            known = self.reader.before(asked.metric_id, self.moment)
            asked.values = [each for each in known if not _is_bad(each.data_timestamp, periods)]
        return asked

    def is_bad(self, asked: Asked, moment: datetime) -> bool:
        periods = self.reader.bad_periods(asked.dataset) if self.reader is not None else []
        return _is_bad(moment, periods)


def metric_id(dataset: str, metric: Any) -> str:
    """`facts.orders[recent]:avg(revenue) 1f2e3d4c`: what is measured, whatever its threshold is.

    The digits stand for SQL that the words do not say: filters, a query, what is valid.
    """
    partition = metric.partition
    name = partition.partition_name if partition is not None else None
    column = metric.column.column_name if metric.column is not None else ""
    arguments = [str(each) for each in getattr(metric, "metric_args", None) or []]
    query = getattr(metric, "sql", None) or getattr(metric, "query", None)
    inside = ", ".join(arguments) or column
    parts = [
        partition.sql_partition_filter if partition is not None else None,
        getattr(metric, "filter", None),
        getattr(metric, "aggregation", None),
        query,
        *_validity(getattr(metric, "missing_and_valid_cfg", None)),
    ]
    words = [" ".join(str(each).split()) for each in parts if each not in (None, [], {})]
    digits = hashlib.sha256("\n".join(words).encode()).hexdigest()[:8] if words else ""
    segment = f"[{name}]" if name else ""
    said = f"{metric_name(metric)}({inside})" if inside else metric_name(metric)
    return f"{dataset_of(metric, dataset)}{segment}:{said} {digits}".strip()


def dataset_of(metric: Any, dataset: str) -> str:
    """Checks of two datasets measure both."""
    return str(metric.partition.table.table_name) if metric.partition is not None else dataset


def metric_name(metric: Any) -> str:
    """Without the threshold, which Soda makes part of the name of a query of one's own."""
    if metric.partition is None and getattr(metric, "check", None) is not None:
        return str(getattr(metric.check.check_cfg, "metric_name", metric.name))
    return str(metric.name)


def _validity(cfg: Any) -> list[str]:
    if cfg is None:
        return []
    found = ((name, value) for name, value in sorted(vars(cfg).items()) if value is not None)
    return [f"{name}={value}" for name, value in found if not name.endswith("_location")]


def why_not_computable(metric: Any, time: str | None) -> str:
    """Why values of past days cannot be computed; empty when they can."""
    kind = type(metric).__name__
    if kind in ("SchemaMetric", "GroupEvolutionMetric"):
        return "what was there on past days cannot be computed"
    if metric.partition is None:
        return "a query of one's own cannot be computed for past days"
    if not time:
        return "with the attribute `time: COLUMN` past days can be computed"
    rows = metric.partition.sql_partition_filter or ""
    own = " ".join(str(getattr(metric, name, None) or "") for name in ("filter", "aggregation"))
    if _CLOCK.search(f"{rows} {own}"):
        return "a filter that looks at the clock cannot be computed for past days: use ${MOMENT}"
    if "${MOMENT}" in own:
        return "${MOMENT} is known of past days in a section `filter DATASET [name]:` only"
    return ""


@dataclass(frozen=True)
class Bounds:
    """Where a check of change fires, in the unit of its metric."""

    low: float | None
    high: float | None
    detectable: float | None
    """The smallest change that is seen: a share in percent forms, else in the metric's unit."""


def bounds_of(asked: Asked, low: float | None, high: float | None) -> Bounds:
    """From the bounds on a change to bounds on the value.

    `detectable` is how far the metric can move from its usual level (the mean of the values that
    the check is held against) before the check fires, on the side on which that is farther.
    """
    level, numbers = asked.level, asked.numbers
    if level is None:
        return Bounds(None, None, None)

    def fires_at(bound: float | None) -> float | None:
        if bound is None:
            return None
        return level + abs(level) * bound / 100 if asked.percent else level + bound

    bottom, top = fires_at(low), fires_at(high)
    if level < 0 and asked.percent:  # a rise of a negative number is a fall in Soda's percent
        bottom, top = (
            fires_at(None if high is None else -high),
            fires_at(None if low is None else -low),
        )
    usual = fmean(numbers)
    moves = [abs(each - usual) for each in (bottom, top) if each is not None]
    farthest = max(moves, default=None)
    if farthest is not None and asked.percent:
        farthest = farthest / abs(usual) if usual else None
    return Bounds(bottom, top, None if farthest is None else round(farthest, 6))


def remembered(
    identity: str, dataset: str, metric: Any, moment: datetime, origin: Origin = "measured"
) -> MetricValue | None:
    """A metric's value for the store; None when there is nothing to remember."""
    value = metric.value
    payload: list[Any] | None = None
    if metric.name == "schema" and isinstance(value, list):
        payload = [{"columnName": each["name"], "sourceDataType": each["type"]} for each in value]
    elif metric.name == "group evolution" and isinstance(value, list):
        payload = [str(each) for each in value]
    elif isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return MetricValue(
        metric_id=identity,
        dataset=dataset_of(metric, dataset),
        metric_name=metric_name(metric),
        data_timestamp=moment,
        value=None if payload is not None else float(value),
        payload=payload,
        origin=origin,
    )


def newest_first(values: Iterable[PastValue]) -> list[PastValue]:
    return sorted(values, key=lambda each: each.data_timestamp, reverse=True)


def _is_bad(moment: datetime, periods: Sequence[BadPeriod]) -> bool:
    return any(each.segment is None and each.starts_at <= moment < each.ends_at for each in periods)


def _day(moment: datetime) -> datetime:
    utc = moment.astimezone(timezone.utc)
    return utc.replace(hour=0, minute=0, second=0, microsecond=0)
