"""How many rows a bucket of time should have: expected value, bounds, score, and why.

The model (`volume_model`) looks at the past of one series only:

- A bucket is expected where the same hour or day of the week lay in the weeks before, moved by what
  the latest buckets deviate from that; how much of it goes on, the series itself teaches.
- The errors of such forecasts in the past are the yardstick: it is never shorter than a few rows.
- One bucket alone, and steps two and five buckets ago, so that a slow decay or a small but lasting
  drop shows. What one or two weeks ago was the same is no surprise: a timetable has changed.
- An exact repeat of the bucket before counts as much as it is improbable: a source is stuck.
- A zero where this phase never had one is an outage, on a holiday too.
- Around public holidays the yardstick is longer, and such days stay out of the past, as do buckets
  that somebody knows to be bad.

The plain rule |z| < 3 over the seven buckets before is there as a second method.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from monitors.scan import volume_model
from monitors.scan.volume_model import LOOK_BACK, PERIOD, SHORTEST, Bools, Floats, Frequency, Places

Kind = Literal["level", "lasting", "repeat", "outage", "zscore"]
Method = Literal["model", "zscore"]

Z_BUCKETS, Z_LIMIT = 7, 3.0
"""The plain rule: so many standard deviations (n - 1) of so many buckets."""
FAR = 1000.0
"""The score of a change after a history that never moved: beyond any sensitivity."""
HISTORY_NEEDED: dict[Frequency, int] = {
    frequency: period + SHORTEST[frequency] for frequency, period in PERIOD.items()
}
"""What the model needs before the bucket to be judged: three weeks of days, two of hours."""
_EVIDENCE: tuple[Kind, ...] = ("level", "lasting", "repeat", "outage")
_UNIT = {"day": "D", "hour": "h"}


@dataclass(frozen=True, slots=True)
class Series:
    """Counts of one dataset and segment on a calendar: no bucket is left out, an empty one is 0.

    All arrays have one entry per bucket, oldest first; `judge_latest` judges the last. Raises
    ValueError for arrays of different lengths, counts that are negative, NaN or infinite, and
    starts that are not one day or one hour apart.
    """

    starts: NDArray[np.datetime64]
    counts: Floats
    frequency: Frequency
    holiday: Bools | None = None
    """Whether the bucket lies on a public holiday; None when no country is known."""
    near_holiday: Bools | None = None
    """Whether it lies on, beside or between such days."""
    excluded: Bools | None = None
    """Buckets that somebody knows to be bad: they say nothing about what is usual."""

    def __post_init__(self) -> None:
        if self.frequency not in _UNIT:
            raise ValueError(f"frequency: found `{self.frequency}`, allowed are day and hour")
        for name in ("counts", "holiday", "near_holiday", "excluded"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.starts):
                raise ValueError(
                    f"{name}: found {len(values)} values for {len(self.starts)} buckets"
                )
        wrong = ~np.isfinite(self.counts) | (self.counts < 0)
        if wrong.any():
            place = int(np.argmax(wrong))
            raise ValueError(
                f"counts: found {self.counts[place]} at {self.starts[place]}, "
                "allowed are finite numbers from 0"
            )
        apart = np.diff(self.starts.astype(f"datetime64[{_UNIT[self.frequency]}]").astype(int)) != 1
        if apart.any():
            place = int(np.argmax(apart))
            raise ValueError(
                f"starts: found {self.starts[place + 1]} after {self.starts[place]}, "
                f"allowed is one {self.frequency} after the other, none left out"
            )

    def until(self, end: int, first: int = 0) -> Series:
        """The buckets `first` to `end - 1`: as it was when the last of them had just come."""
        part = slice(first, end)
        return Series(
            self.starts[part],
            self.counts[part],
            self.frequency,
            *(
                None if values is None else values[part]
                for values in (self.holiday, self.near_holiday, self.excluded)
            ),
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a bucket should have been. It is anomalous when `score` is above 1."""

    expected: float
    lower: float
    upper: float
    """A bucket between `lower` and `upper` is not anomalous by itself; one outside is, unless one
    or two weeks ago the same came."""
    score: float
    kind: Kind | None
    """Which evidence spoke loudest: this bucket, a step some buckets ago, a repeat, a zero, the
    plain rule; None when it is blind."""
    buckets: int = 1
    """How many buckets, this the last, `lasting` evidence is about."""
    change: float | None = None
    """By which share of what is expected they deviate; None where nothing is expected."""

    @property
    def is_anomalous(self) -> bool:
        return self.score > 1

    @property
    def is_blind(self) -> bool:
        return self.kind is None

    @property
    def detectable_change(self) -> float | None:
        """The smallest drop, as a share of what is expected, that this bucket would have shown.

        A drop, because rows that are lacking are what people wait for; the smallest rise is
        `(upper - expected) / expected`, which is larger as a rule. 1 where no drop short of an
        outage would have shown by itself, and perhaps not even that; None when nothing is expected.
        """
        if self.is_blind or self.expected <= 0:
            return None
        return (self.expected - self.lower) / self.expected


BLIND = Judgement(np.nan, 0.0, np.inf, 0.0, None)


def judge_latest(series: Series, sensitivity: float = 1.0, method: Method = "model") -> Judgement:
    """Judge the last bucket by those before it; BLIND when these are too few, or there is none.

    `sensitivity` divides the yardstick: 2 finds changes half as large, and more of chance.
    """
    last = len(series.counts)
    return judge_all(series, last - 1, last, sensitivity, method)[0] if last else BLIND


def judge_all(
    series: Series,
    start: int = 0,
    stop: int | None = None,
    sensitivity: float = 1.0,
    method: Method = "model",
) -> list[Judgement]:
    """Judge the buckets from place `start` to before `stop`, each by those before it.

    Gives what `judge_latest(series.until(place + 1))` gives for each place, in a small part of the
    time. Raises ValueError for an unknown method, a sensitivity that is not above 0, and places
    that are not in the series.
    """
    end = len(series.counts) if stop is None else stop
    if not 0 <= start <= end <= len(series.counts):
        raise ValueError(f"found buckets {start} to {end} of {len(series.counts)}")
    if not 0 < sensitivity < np.inf:
        raise ValueError(f"sensitivity: found {sensitivity}, allowed is a number above 0")
    if method not in get_args(Method):
        raise ValueError(f"method: found `{method}`, allowed are model and zscore")
    judge = _by_model if method == "model" else _by_zscore
    known = max(start, HISTORY_NEEDED[series.frequency] if method == "model" else Z_BUCKETS)
    at = np.arange(known, end)
    blind = [BLIND] * (end - start - len(at))
    return blind + (judge(series, at, sensitivity) if len(at) else [])


def _by_model(series: Series, at: Places, sensitivity: float) -> list[Judgement]:
    first = max(0, int(at[0]) - LOOK_BACK[series.frequency])
    part = series.until(int(at[-1]) + 1, first)
    nowhere = np.zeros(len(part.counts), dtype=bool)
    holiday = nowhere if part.holiday is None else part.holiday
    near = holiday if part.near_holiday is None else part.near_holiday | holiday
    clock = int(part.starts[0].astype(f"datetime64[{_UNIT[series.frequency]}]").astype(int))
    found = volume_model.judge(
        counts=np.asarray(part.counts, dtype=float),
        clock=clock,
        frequency=series.frequency,
        holiday=holiday,
        near=near,
        excluded=nowhere if part.excluded is None else part.excluded,
        at=at - first,
        sensitivity=sensitivity,
    )
    scores = np.stack([found.level, found.lasting, found.repeat, found.outage])
    outage = found.outage > 0  # says more than that there are too few
    loudest = np.where(outage, _EVIDENCE.index("outage"), scores.argmax(axis=0)).tolist()
    columns = (found.expected, found.lower, found.upper, scores.max(axis=0), found.change)
    alone = np.asarray(part.counts)[at - first] / np.maximum(found.expected, 1e-9) - 1
    return [
        BLIND
        if blind
        else Judgement(
            expected, lower, upper, score, _EVIDENCE[kind],
            buckets if kind == 1 else 1,
            None if expected <= 0 else together if kind == 1 else single,
        )
        for expected, lower, upper, score, together, single, kind, buckets, blind in zip(
            *(each.tolist() for each in columns),
            alone.tolist(), loudest, found.buckets.tolist(), found.blind.tolist(),
            strict=True,
        )
    ]  # fmt: skip


def _by_zscore(series: Series, at: Places, sensitivity: float) -> list[Judgement]:
    """By mean and standard deviation of the seven buckets before that nobody knows to be bad."""
    counts = np.asarray(series.counts, dtype=float)
    bad = np.zeros(len(counts), dtype=bool) if series.excluded is None else series.excluded
    usual = np.flatnonzero(~bad)
    before = np.searchsorted(usual, at)  # so many usual ones are before each
    blind = before < Z_BUCKETS
    places = np.maximum(before[:, None] - np.arange(Z_BUCKETS, 0, -1), 0)
    windows = counts[usual[places]] if len(usual) else np.zeros(places.shape)
    mean, spread = windows.mean(axis=1), windows.std(axis=1, ddof=1)
    constant = (windows == windows[:, :1]).all(axis=1)  # then without errors of rounding
    mean, spread = np.where(constant, windows[:, 0], mean), np.where(constant, 0.0, spread)
    length = Z_LIMIT * spread / sensitivity
    away = np.abs(counts[at] - mean)
    steady = np.where(away > 0, FAR, 0.0)
    score = np.where(spread > 0, np.minimum(away / np.where(spread > 0, length, 1.0), FAR), steady)
    change = counts[at] / np.where(mean > 0, mean, 1.0) - 1
    return [
        BLIND
        if is_blind
        else Judgement(middle, max(middle - far, 0.0), middle + far, found, "zscore", 1,
                       share if middle > 0 else None)
        for middle, far, found, share, is_blind in zip(
            *(each.tolist() for each in (mean, length, score, change, blind)), strict=True
        )
    ]  # fmt: skip
