"""Checks as a backtest sees them: the volume of a dataset, and a metric with a threshold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from monitors.scan import volume
from monitors.scan.backtest import Floats, History, Moments, Replayed, Step
from monitors.scan.bounds import Bounds, outward

JudgeAll = Callable[[volume.Series, int, int, float], Sequence[volume.Judgement]]
"""Judges the buckets from a place to before another at a sensitivity, each by those before it."""

_TINY = 1e-9
SENSITIVITIES = (
    *(round(0.2 + 0.05 * step, 2) for step in range(16)),
    *(round(1 + 0.1 * step, 1) for step in range(10)),
    *(2 + 0.25 * step for step in range(9)),
)
"""0.2 to 4: what is tried for a volume."""


# -------------------------------------------------------------------- volume


@dataclass(frozen=True)
class VolumeCheck:
    """The volume of one dataset; one series per segment. Its strictness is the sensitivity."""

    dataset: str
    segments: Sequence[str]
    series: Sequence[volume.Series]
    judge: JudgeAll
    strictness: float = 1.0
    read_by: tuple[str, ...] = ()
    """SodaCL checks that read its verdict."""

    kind: Literal["volume"] = "volume"
    why_no_injection: str | None = None
    why_no_recommendation: str | None = None

    @property
    def check_id(self) -> str:
        return f"volume.{self.dataset}"

    @property
    def step(self) -> Step:
        return self.series[0].frequency if self.series else "day"

    @cached_property
    def histories(self) -> Sequence[History]:
        days = 1.0 if self.step == "day" else 1 / 24
        return [
            History(
                segment=segment,
                starts=each.starts.astype("datetime64[s]"),
                values=each.counts,
                known_bad=np.zeros(len(each.counts), dtype=bool)
                if each.excluded is None
                else each.excluded,
                days=np.full(len(each.counts), days),
            )
            for segment, each in zip(self.segments, self.series, strict=True)
        ]

    def replay(self, place: int, since: np.datetime64 | None) -> Replayed:
        series = self.series[place]
        length = len(series.counts)
        first = 0 if since is None else int(np.searchsorted(self.histories[place].starts, since))
        judged = self.judge(series, first, length, self.strictness)
        found = np.full((4, length), np.nan)
        found[0, first:] = self._fires_above(series, first, length, judged)
        found[1:, first:] = [
            [np.nan if each.is_blind else getattr(each, name) for each in judged]
            for name in ("expected", "lower", "upper")
        ]
        kinds = [None] * first + [each.kind for each in judged]
        return Replayed(found[0], found[1], found[2], found[3], kinds)

    def fires_above(self, place: int, values: Floats, first: int, end: int) -> Floats:
        series = replace(self.series[place], counts=values)
        return self._fires_above(
            series, first, end, self.judge(series, first, end, self.strictness)
        )

    def candidates(self, fires_above: Floats) -> list[float]:
        return list(SENSITIVITIES)

    def wording(self, strictness: float) -> str:
        return f"sensitivity {strictness:g}"

    def _fires_above(
        self, series: volume.Series, first: int, end: int, judged: Sequence[volume.Judgement]
    ) -> Floats:
        """Scores grow in proportion to the sensitivity; that of an outage is certain at any."""
        scores = np.array([np.nan if each.is_blind else each.score for each in judged])
        with np.errstate(divide="ignore"):
            above = self.strictness / np.maximum(scores, 0.0)
        nothing = np.flatnonzero((series.counts[first:end] == 0) & (scores > 1))
        for at in nothing.tolist():
            place = first + at
            with np.errstate(over="ignore"):  # its bounds are beyond all numbers
                [certain] = self.judge(series, place, place + 1, _TINY)
            if certain.is_anomalous:
                above[at] = 0.0
        return np.asarray(above)


# -------------------------------------------------------------------- thresholds


_ROW_COUNTS = ("row_count", "rows", "records", "entries", "events", "deliveries")
_FAULT_COUNTS = (
    "missing",
    "invalid",
    "duplicate",
    "failed",
    "orphan",
    "unaccounted",
    "percent",
    "change",
)


@dataclass(frozen=True)
class ThresholdCheck:
    """A metric and the bounds between which it holds; its values are judged one by one.

    Strictness is a bound: `low` itself, `-high`; with both, minus the width of the interval around
    the median, where the interval that is replayed has the width 1.
    """

    check_id: str
    dataset: str
    metric: str
    bounds: Bounds
    histories: Sequence[History]
    read_by: tuple[str, ...] = ()

    kind: Literal["threshold"] = "threshold"
    step: Step = "run"

    @cached_property
    def why_no_injection(self) -> str | None:
        """Only a count of rows moves by the share of rows that a fault concerns."""
        name = self.metric.lower()
        values = np.concatenate([each.values for each in self.histories])
        known = values[np.isfinite(values)]
        whole = bool(np.all((known >= 0) & (known == np.floor(known))))
        counts = any(word in name for word in _ROW_COUNTS) and not any(
            word in name for word in _FAULT_COUNTS
        )
        if whole and (counts or (self.bounds.low or 0) >= 1):
            return None
        return f"not applicable: {self.metric} is no count of rows"

    @cached_property
    def why_no_recommendation(self) -> str | None:
        if self.bounds.is_exact or (self.bounds.high == 0 and self.bounds.low is None):
            return f"`{self.bounds}` is a claim, not a threshold: there is nothing to tune"
        if self._way == "fixed":
            return "half of its history lies outside its bounds: look at the claim first"
        return None

    @cached_property
    def strictness(self) -> float:
        return {
            "low": self.bounds.low or 0.0,
            "high": -(self.bounds.high or 0.0),
            "both": -1.0,
            "fixed": 1.0,
        }[self._way]

    def replay(self, place: int, since: np.datetime64 | None) -> Replayed:
        history = self.histories[place]
        above = self._fires_above(history.values)
        if since is not None:
            above = np.where(history.starts < since, np.nan, above)
        length = len(history.values)
        return Replayed(
            fires_above=above,
            expected=np.full(length, np.nan),
            lower=np.full(length, -np.inf if self.bounds.low is None else self.bounds.low),
            upper=np.full(length, np.inf if self.bounds.high is None else self.bounds.high),
        )

    def fires_above(self, place: int, values: Floats, first: int, end: int) -> Floats:
        return self._fires_above(values[first:end])

    def candidates(self, fires_above: Floats) -> list[float]:
        known = np.unique(fires_above[np.isfinite(fires_above)])
        if self._way == "fixed" or not len(known):
            return []
        if self._way == "both":
            return [*(round(-2 + 0.05 * step, 2) for step in range(38)), -2.5, -3.0, -4.0, -6.0]
        up = self._way == "high"
        values = -known if up else known
        last = float(values.max() if up else values.min())
        beyond = last + (0.1 if up else -0.1) * abs(last)
        rounded = {outward(float(each), up=up) for each in (*values, beyond)}
        return [-each if up else each for each in rounded]

    def wording(self, strictness: float) -> str:
        return str(self.bounds_at(strictness))

    def bounds_at(self, strictness: float) -> Bounds:
        """The bounds of that strictness, as round numbers, those of now as they stand."""
        if strictness == self.strictness or self._way == "fixed":
            return self.bounds
        if self._way == "low":
            return replace(self.bounds, low=strictness)
        if self._way == "high":
            return replace(self.bounds, high=-strictness)
        low, high = self.bounds.low or 0.0, self.bounds.high or 0.0
        return replace(
            self.bounds,
            low=outward(self._middle + strictness * (self._middle - low), up=False, digits=3),
            high=outward(self._middle - strictness * (high - self._middle), up=True, digits=3),
        )

    @cached_property
    def _middle(self) -> float:
        values = np.concatenate([each.values for each in self.histories])
        return float(np.nanmedian(values)) if len(values) else 0.0

    @cached_property
    def _way(self) -> Literal["low", "high", "both", "fixed"]:
        low, high = self.bounds.low, self.bounds.high
        if low is not None and high is not None:
            return "both" if low < self._middle < high else "fixed"
        return "fixed" if low is None and high is None else "low" if high is None else "high"

    def _fires_above(self, values: Floats) -> Floats:
        low, high = self.bounds.low, self.bounds.high
        if self._way == "fixed":
            fires = np.array([not self.bounds.hold(float(each)) for each in values], dtype=bool)
            return np.where(np.isnan(values), np.nan, np.where(fires, 0.0, 2.0))
        if self._way == "low":
            above, is_open = values, np.full(len(values), self.bounds.low_open)
        elif self._way == "high":
            above, is_open = -values, np.full(len(values), self.bounds.high_open)
        else:
            is_high = values >= self._middle
            room = np.where(is_high, (high or 0.0) - self._middle, self._middle - (low or 0.0))
            above = -np.abs(values - self._middle) / room
            is_open = np.where(is_high, self.bounds.high_open, self.bounds.low_open)
        return np.where(is_open, np.nextafter(above, -np.inf), above)


OWN_BOUNDS = "each run has bounds of its own, from what was before it"


@dataclass(frozen=True)
class OwnBoundsCheck:
    """A metric that each run held against bounds from what was before: replayed as it was."""

    check_id: str
    dataset: str
    histories: Sequence[History]
    lows: Sequence[Floats]
    highs: Sequence[Floats]
    """Per history and value; NaN is no bound, and where both are, nothing was judged."""

    kind: Literal["history"] = "history"
    step: Step = "run"
    strictness: float = 1.0
    read_by: tuple[str, ...] = ()
    why_no_injection: str | None = f"not applicable: {OWN_BOUNDS}"
    why_no_recommendation: str | None = OWN_BOUNDS

    def replay(self, place: int, since: np.datetime64 | None) -> Replayed:
        history, low, high = self.histories[place], self.lows[place], self.highs[place]
        with np.errstate(invalid="ignore"):
            fires = (history.values < low) | (history.values > high)
        judged = ~(np.isnan(low) & np.isnan(high)) & ~np.isnan(history.values)
        if since is not None:
            judged &= history.starts >= since
        above = np.where(judged, np.where(fires, 0.0, 2.0), np.nan)
        return Replayed(above, np.full(len(above), np.nan), low, high)

    def fires_above(self, place: int, values: Floats, first: int, end: int) -> Floats:
        return np.full(end - first, np.nan)

    def candidates(self, fires_above: Floats) -> list[float]:
        return []

    def wording(self, strictness: float) -> str:
        return "bounds of its own"


def history_of(
    segment: str,
    moments: Moments,
    values: Floats,
    bad: Sequence[tuple[np.datetime64, np.datetime64]],
) -> History:
    """Values of runs: each stands for the time since the one before it, but never long for none.

    `bad` are the [start, end) of known-bad periods.
    """
    starts = moments.astype("datetime64[s]")
    gaps = np.diff(starts).astype(np.int64) / 86400
    usual = float(np.median(gaps[gaps > 0])) if (gaps > 0).any() else 0.0
    known_bad = np.zeros(len(values), dtype=bool)
    for begin, end in bad:
        known_bad |= (starts >= begin) & (starts < end)
    days = np.concatenate([[usual], np.minimum(gaps, 4 * usual)])
    return History(segment, starts, values, known_bad, days[: len(values)])
