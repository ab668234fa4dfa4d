"""How many rows a bucket of time should have: expected value, bounds, score, and why.

The model looks at the past of one series only and judges its latest bucket:

- Counts are compared on a scale on which their noise is even (`_steady`).
- A bucket is expected where the same hour or day of the week lay in the eight weeks before, by the
  median, moved by what the latest day or week deviates from such medians.
- The residuals of the past are the yardstick: part robust scale of the same phase, part a quantile
  of them all (conformal, and rather of the side of the deviation), and never less than a few rows.
- One bucket alone, and the sums over two and five, so that a slow decay or a small but lasting drop
  shows. What one or two weeks ago was the same is no surprise: a timetable has changed.
- An exact repeat of the bucket before counts as much as it is improbable: a source is stuck.
- A zero where this phase never had one is an outage, on a holiday too.
- Around public holidays the yardstick is longer, and such days stay out of the past, as do buckets
  that somebody knows to be bad.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Frequency = Literal["day", "hour"]
Kind = Literal["level", "lasting", "repeat", "outage"]

_OVERDISPERSION = 0.05
"""Noise has the variance mean + 0.05 mean^2: of a count of 400 a fifth, of one of 4 a half."""
_WEEKS = 8
_SHORTEST = 6
"""With fewer residuals there is no yardstick, and the model is blind."""
_PERIOD = {"day": 7, "hour": 168}
_LEVEL = {"day": 7, "hour": 24}
_WINDOW = {"day": 99, "hour": 704}
"""Buckets of the past that are looked at: 12 and 4 weeks, and what the first of them need."""
_BLENDS = ((0.4, 0.0), (0.7, 0.0), (1.0, 0.0), (0.4, 0.3), (0.7, 0.3), (0.7, 0.6))
"""How much of the latest level, and of the latest bucket's deviation from it, goes on; the series'
own past chooses among them."""
_NEAR_HOLIDAY, _HOLIDAY = 3.2, 5.0
_PATIENCE = {"day": 1.0, "hour": 0.6}
"""How much of the yardstick holds: 24 times as many buckets a day make their past the surer."""
_ROBUST, _CONFORMAL, _QUANTILE = 4.5, 1.9, 0.97
"""The yardstick: so many robust standard deviations, and so many times the quantile."""
_SUMS = ((2, 1.0), (5, 0.75))
"""Sums over so many buckets, and the length of their yardstick."""
_MATERIAL = 10.0
"""A deviation of fewer rows concerns nobody."""
_MEMORY, _NEARNESS = (1, 2), 1.3
"""Of one and of two weeks ago a bucket is near when it is this much nearer than of the median."""
_REPEAT = 6.75
"""A repeat counts when its probability is below exp(-6.75), about one in a thousand."""
_CERTAIN = 1.33
"""The score of an outage."""
_LEAST_OUTAGE = 4.0
"""Where fewer rows are expected, a zero is no outage."""


@dataclass(frozen=True, slots=True)
class Series:
    """Counts of one dataset and segment on a calendar: no bucket is left out, an empty one is 0.

    All arrays have one entry per bucket, oldest first; the last is the one to be judged.
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


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the latest bucket should have been. It is anomalous when `score` is above 1."""

    expected: float
    lower: float
    upper: float
    score: float
    kind: Kind | None
    """Which evidence spoke loudest: this bucket, sums, a repeat, a zero; None when it is blind."""

    @property
    def is_anomalous(self) -> bool:
        return self.score > 1

    @property
    def is_blind(self) -> bool:
        return self.kind is None

    @property
    def detectable_change(self) -> float | None:
        """The smallest drop, as a share of what is expected, that this bucket would have shown."""
        if self.is_blind or self.expected <= 0:
            return None
        return (self.expected - self.lower) / self.expected


BLIND = Judgement(np.nan, 0.0, np.inf, 0.0, None)


def judge_latest(series: Series, sensitivity: float = 1.0) -> Judgement:
    """Judge the last bucket by those before it; BLIND when these are too few.

    `sensitivity` divides the yardstick: 2 finds changes half as large, and more of chance.
    """
    past = _Past.of(series)
    if past is None:
        return BLIND
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # medians of nothing are NaN on purpose
        return past.judge(sensitivity)


def _steady(counts: Floats | float) -> Floats:
    """To a scale of even noise: root of small counts, logarithm of large ones.

    The variance-stabilising transform of the negative binomial (Anscombe 1948), with 3/8 added.
    """
    shifted = np.maximum(counts, 0) + 0.375
    return np.asarray(2 / np.sqrt(_OVERDISPERSION) * np.arcsinh(np.sqrt(_OVERDISPERSION * shifted)))


def _rows(steady: float) -> float:
    """Back from the even scale to rows."""
    root = np.sinh(max(steady, 0.0) * np.sqrt(_OVERDISPERSION) / 2)
    return max(0.0, float(root**2 / _OVERDISPERSION - 0.375))


def _same_phase(values: Floats, at: NDArray[np.int64], period: int, weeks: int) -> Floats:
    """The median of `values` one, two ... `weeks` periods before each of `at`; NaN without any."""
    places = at[:, None] - period * np.arange(1, weeks + 1)[None, :]
    found = np.where(places >= 0, values[np.maximum(places, 0)], np.nan)
    return np.asarray(np.nanmedian(found, axis=1))


@dataclass(frozen=True)
class _Past:
    """A series prepared: on the even scale, with what may count as usual."""

    counts: Floats
    steady: Floats
    usual: Floats
    """As `steady`, NaN where a bucket says nothing about what is usual."""
    at: NDArray[np.int64]
    """The buckets that are looked at; the last is the one to be judged."""
    phase: NDArray[np.int64]
    holiday: Bools
    near: Bools
    odd: Bools
    frequency: Frequency

    @classmethod
    def of(cls, series: Series) -> _Past | None:
        length, period = len(series.counts), _PERIOD[series.frequency]
        if length < period + 2:
            return None
        nowhere = np.zeros(length, dtype=bool)
        holiday = nowhere if series.holiday is None else series.holiday
        near = holiday if series.near_holiday is None else series.near_holiday | holiday
        odd = near if series.excluded is None else near | series.excluded
        steady = _steady(series.counts)
        at = np.arange(max(period, length - _WINDOW[series.frequency]), length)
        hours = series.starts.astype("datetime64[h]").astype(np.int64)
        phase = hours // 24 % 7 if series.frequency == "day" else hours % 24
        return cls(series.counts, steady, np.where(odd, np.nan, steady), at, phase[at],
                   holiday[at], near[at], odd[at], series.frequency)  # fmt: skip

    def judge(self, sensitivity: float) -> Judgement:
        base = self._usual_before(self.at, _WEEKS)
        deviation = self.steady[self.at] - base
        learnt = self._learnt()
        if learnt.sum() < _SHORTEST:
            return BLIND
        level = self._level_before(deviation, 1)
        share, carried = self._blend(deviation, level, learnt)
        residual = deviation - share * level - carried
        expected = float(self.steady[-1] - residual[-1])
        sensitivity = sensitivity / _PATIENCE[self.frequency]
        yardstick = _Yardstick(self.phase, learnt, self.frequency, _few_rows(expected), sensitivity)
        length = yardstick.length(residual) * self._stretch(1)
        evidence: dict[Kind, float] = {
            "level": min(abs(float(residual[-1])), self._distance_to_memory(1)) / length,
            "lasting": max(
                self._lasting(deviation, share, yardstick, buckets, factor)
                for buckets, factor in _SUMS
            ),
            "repeat": self._repeat(base, residual, learnt) * sensitivity,
            "outage": self._outage(_rows(expected)),
        }
        kind = max(evidence, key=lambda each: evidence[each])
        return Judgement(
            expected=_rows(expected),
            lower=_rows(expected - length),
            upper=_rows(expected + length),
            score=evidence[kind],
            kind=kind,
        )

    def _usual_before(self, at: NDArray[np.int64], weeks: int) -> Floats:
        """The median of the same phase in the weeks before; of odd ones for want of others."""
        period = _PERIOD[self.frequency]
        found = _same_phase(self.usual, at, period, weeks)
        if np.isnan(found).any():
            found = np.where(np.isnan(found), _same_phase(self.steady, at, period, weeks), found)
        return found

    def _learnt(self) -> Bools:
        """The buckets whose residuals count: usual ones, not the one to be judged."""
        learnt = ~self.odd
        learnt[-1] = False
        settled = learnt.copy()
        settled[: _LEVEL[self.frequency]] = False
        return settled if settled.sum() >= 8 else learnt

    def _level_before(self, deviation: Floats, lag: int) -> Floats:
        """Per bucket the median deviation of the day or week that ends `lag` (1 to 6) before it."""
        length = _LEVEL[self.frequency]
        known = np.where(self.odd, np.nan, deviation)
        padded = np.concatenate([np.full(length + 6, np.nan), known])
        windows = np.lib.stride_tricks.sliding_window_view(padded, length)
        medians = np.nan_to_num(np.nanmedian(windows, axis=1))
        return np.asarray(medians[np.arange(len(deviation)) + 7 - lag])

    def _blend(self, deviation: Floats, level: Floats, learnt: Bools) -> tuple[float, Floats]:
        """(how much of the level goes on, what goes on of the bucket before), by least error."""
        before = np.concatenate([[0.0], np.where(self.odd, 0.0, deviation)[:-1]])
        beyond = before - np.where(before == 0, 0.0, np.concatenate([[0.0], level[:-1]]))
        most = 4 * np.median(np.abs(deviation[learnt])) + 1e-9  # one wild bucket must not choose
        errors = [
            np.mean(np.minimum(np.abs((deviation - share * level - carry * beyond)[learnt]), most))
            for share, carry in _BLENDS
        ]
        share, carry = _BLENDS[int(np.argmin(errors))]
        return share, carry * beyond

    def _stretch(self, buckets: int) -> float:
        """How much longer the yardstick is because of holidays in the last so many buckets."""
        if self.holiday[-buckets:].any():
            return _HOLIDAY
        return _NEAR_HOLIDAY if self.near[-buckets:].any() else 1.0

    def _distance_to_memory(self, buckets: int) -> float:
        """How far the last buckets, summed, lie from what one or two weeks ago was there."""
        last = self.at[-buckets:]
        distances = []
        for weeks in _MEMORY:
            remembered = _same_phase(self.usual, last, _PERIOD[self.frequency], weeks)
            if not np.isnan(remembered).any():
                distances.append(abs(float((self.steady[last] - remembered).sum())))
        return float(_NEARNESS * min(distances, default=np.inf) / np.sqrt(buckets))

    def _lasting(
        self, deviation: Floats, share: float, yardstick: _Yardstick, buckets: int, factor: float
    ) -> float:
        """The evidence of several buckets together, all but one of five on one side."""
        if len(deviation) < buckets + 10:
            return 0.0
        level = share * self._level_before(deviation, buckets)  # as it was before them
        sides = np.sign(deviation[-buckets:] - level[-1])
        if abs(sides.sum()) < buckets - (1 if buckets > 3 else 0):
            return 0.0
        sums = np.convolve(np.nan_to_num(deviation), np.ones(buckets))[: len(deviation)]
        sums = (sums - buckets * level) / np.sqrt(buckets)
        sums[:buckets] = np.nan
        length = yardstick.length(sums, factor) * self._stretch(buckets)
        return min(abs(float(sums[-1])), self._distance_to_memory(buckets)) / length

    def _repeat(self, base: Floats, residual: Floats, learnt: Bools) -> float:
        """How improbable it is that the latest counts are equal by chance, 1 at the limit."""
        spread = 1.4826 * float(np.median(np.abs(residual[learnt]))) + 1e-3
        surprise, repeats, at = 0.0, 0, len(self.counts) - 1
        first = int(self.at[0])
        while at > first and self.counts[at] == self.counts[at - 1] and repeats < 30:
            step = _steady(self.counts[at] + 0.5) - _steady(max(self.counts[at] - 0.5, 0.0))
            away = (self.steady[at] - base[at - first]) / spread
            density = step / spread * np.exp(-min(away**2, 9.0) / 2) / np.sqrt(2 * np.pi)
            surprise -= float(np.log(np.clip(density, 1e-4, 1.0)))
            repeats, at = repeats + 1, at - 1
        if not repeats:
            return 0.0
        usual = float(np.mean(self.counts[1:-1] == self.counts[:-2]))
        if self.counts[-1] == 0 and usual > 0.02:
            return 0.0  # nights without a row
        seen = -np.log(max(usual, 1 / len(self.counts))) * repeats
        return min(surprise, float(seen)) / _REPEAT

    def _outage(self, expected: float) -> float:
        """Nothing came, and in this phase something always did."""
        period, length = _PERIOD[self.frequency], len(self.counts)
        same = self.counts[length - 1 - period : max(-1, length - 1 - 9 * period) : -period]
        if self.counts[-1] or expected < _LEAST_OUTAGE or len(same) < 3 or not (same > 0).all():
            return 0.0
        return _CERTAIN


@dataclass(frozen=True)
class _Yardstick:
    """How far residuals of the past lie from nothing, for the phase of the latest bucket."""

    phase: NDArray[np.int64]
    learnt: Bools
    frequency: Frequency
    least: float
    sensitivity: float

    def length(self, residuals: Floats, factor: float = 1.0) -> float:
        """On the even scale; longer residuals are anomalous."""
        known = self.learnt & ~np.isnan(residuals)
        past, phase = residuals[known], self.phase[known]
        if len(past) < _SHORTEST:
            return np.inf
        sizes = np.abs(past)
        common = float(np.median(sizes)) + 1e-9
        apart = np.abs(phase - self.phase[-1])
        near = apart == 0 if self.frequency == "day" else np.minimum(apart, 24 - apart) <= 1
        own = sizes[near]
        of_phase = common
        if len(own):  # few of its own lean on all others
            of_phase = (len(own) * float(np.median(own)) + 8 * common) / (len(own) + 8)
        side = 1 if residuals[-1] >= 0 else -1
        of_side = max(float(np.quantile(past * side, _QUANTILE - 0.01)), 0.0)
        extreme = (of_side + float(np.quantile(sizes, _QUANTILE))) / 2
        length = (_ROBUST * 1.4826 * of_phase + _CONFORMAL * extreme) * factor
        return max(length, self.least) / self.sensitivity


def _few_rows(expected: float) -> float:
    """The least length of the yardstick: what a few rows more or less make."""
    rows = _rows(expected)
    one = float(_steady(rows + 1.0) - _steady(rows))
    return max(one, 1e-9) * _MATERIAL
