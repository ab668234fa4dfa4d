"""The volume model on arrays: what each of some buckets should have been, and how odd it is.

Every value of a series is computed from what is before it, and only once, whoever asks for how many
buckets; so judging the latest bucket and replaying a year give the same judgements.
`volume.judge_latest` says what comes out; the comments here say how it is found:

- Counts are compared on a scale on which their noise is even (`steady`).
- A bucket is expected where its phase, the same hour or day of the week, lay in the eight weeks
  before, by the median, and from there as far away as the latest buckets were. How much of their
  deviations goes on is learnt from the series by a robust ridge regression (Huber 1964), anew every
  week, which shrinks to a prior while there is little to learn from.
- What is left are residuals: the errors of forecasts that were made in the past as this one is
  made now, so that their spread is honest. They are the yardstick: a robust scale of the same
  phase, a quantile of them all (conformal, half of it that of the side of the deviation), and a
  fixed length, because the accidents of life are no smaller where noise is small.
- Over several buckets a drop that stays is sought by the likelihood ratio of a step: residuals are
  then one large and some smaller, as far as the regression takes the drop for granted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Places = NDArray[np.int64]
Frequency = Literal["day", "hour"]

PERIOD: dict[Frequency, int] = {"day": 7, "hour": 168}
SHORTEST: dict[Frequency, int] = {"day": 14, "hour": 168}
"""With fewer residuals there is no yardstick, and the model is blind."""
_OVERDISPERSION = 0.05
"""Noise has the variance mean + 0.05 mean^2: of a count of 400 a fifth, of one of 4 a half."""
_WEEKS, _RECENT_WEEKS = 8, 4
_PHASES: dict[Frequency, int] = {"day": 7, "hour": 24}
_LEVEL = _PHASES
"""The level is the median deviation of the last day or week."""
_WINDOW = {"day": 84, "hour": 672}
"""Twelve and four weeks: what the regression learns from, and the yardstick."""
_LAGS: dict[Frequency, tuple[int, ...]] = {"day": (1,), "hour": (1, 2, 24)}
_PRIOR_LEVEL, _PRIOR_BEFORE, _PRIOR_RECENT = 0.7, 0.3, 0.3
"""How much goes on, before anything is learnt, of the level, of the deviation from it of the bucket
before (of other lags nothing), and of the way the median moved in the latest four weeks."""
_RIDGE, _WILD, _ROUNDS = 8.0, 1.5, 3
"""The prior weighs as much as eight buckets; residuals of more than 1.5 scales pull no more."""
_ROBUST, _CONFORMAL, _QUANTILE, _SIDED, _FIXED = 3.0, 1.2, 0.97, 0.96, 0.5
"""The yardstick: so many robust standard deviations, so many times the mean of the quantiles of all
sizes and of one side, and a length on the even scale, where 0.5 are 12 % of a large count."""
_LEANING = 8
"""The scale of a phase weighs as much as it has residuals, that of all as much as eight."""
_SUMS: dict[Frequency, tuple[int, ...]] = {"day": (2, 5), "hour": (2,)}
_PATIENCE = {"day": 1.0, "hour": 0.65}
"""How much of the yardstick holds: 24 times as many buckets a day make their past the surer."""
_NEAR_HOLIDAY, _HOLIDAY = 3.2, 5.0
_MATERIAL = 5.0
"""A deviation of fewer rows concerns nobody, nor does a zero where fewer are expected."""
_NEARNESS = 1.3
"""Of one and of two weeks ago a bucket is near when it is this much nearer than of the forecast."""
_REPEAT, _LONGEST_RUN = 6.75, 30
"""A repeat counts when its probability is below exp(-6.75), about one in a thousand."""
_CERTAIN = 1.33
"""The score of an outage."""
_CHUNK = 1 << 18
"""So many numbers are looked at together: they stay in the cache."""

_MARGIN = 64
"""More buckets than any lag, level or sum reaches back."""
LOOK_BACK: dict[Frequency, int] = {
    each: 2 * (_WINDOW[each] + _MARGIN) + (1 + _WEEKS) * period for each, period in PERIOD.items()
}
"""What is further back than so many buckets changes no judgement."""


@dataclass(frozen=True)
class Judged:
    """One entry per judged bucket."""

    expected: Floats
    lower: Floats
    upper: Floats
    level: Floats
    """The score by this bucket alone."""
    lasting: Floats
    """The score of the last `buckets` together."""
    repeat: Floats
    outage: Floats
    buckets: Places
    change: Floats
    """By how much of what was expected the last `buckets` deviate."""
    blind: Bools


def judge(
    counts: Floats,
    clock: int,
    frequency: Frequency,
    holiday: Bools,
    near: Bools,
    excluded: Bools,
    at: Places,
    sensitivity: float,
) -> Judged:
    """Judge the buckets `at`, ascending places in `counts`.

    `clock` numbers the first bucket, in hours or days since whenever, so that relearning falls on
    the same buckets wherever a series begins. `near` holds for a holiday itself, too.
    """
    first = max(PERIOD[frequency], int(at[0]) - _WINDOW[frequency] - max(_SUMS[frequency]))
    past = _Past.of(counts, clock, frequency, holiday, near, excluded, first)
    size = max(1, _CHUNK // _WINDOW[frequency])
    parts = [
        _Judge(past, at[begin : begin + size], sensitivity).judged()
        for begin in range(0, len(at), size)
    ]
    names = Judged.__dataclass_fields__
    return Judged(**{each: np.concatenate([getattr(part, each) for part in parts])
                     for each in names})  # fmt: skip


def steady(counts: Floats) -> Floats:
    """To a scale of even noise: root of small counts, logarithm of large ones.

    The variance-stabilising transform of the negative binomial (Anscombe 1948), with 3/8 added.
    """
    return np.asarray(
        2 / np.sqrt(_OVERDISPERSION) * np.arcsinh(np.sqrt(_OVERDISPERSION * (counts + 0.375)))
    )


def rows(even: Floats) -> Floats:
    """Back from the even scale to rows."""
    root = np.sinh(np.maximum(even, 0.0) * np.sqrt(_OVERDISPERSION) / 2)
    return np.asarray(np.maximum(root**2 / _OVERDISPERSION - 0.375, 0.0))


# ------------------------------------------------------------------ the series


@dataclass(frozen=True)
class _Past:
    """A series on the even scale, with forecasts of each bucket from those before it."""

    frequency: Frequency
    counts: Floats
    even: Floats
    usual: Floats
    """As `even`, NaN where a bucket says nothing about what is usual."""
    deviation: Floats
    """From the median of the phase; NaN in the first period."""
    level: Floats
    """The median deviation of the day or week before."""
    residual: Floats
    """NaN before the first bucket that is needed."""
    news: Floats
    """The residuals that a lasting change may consist of; others are 0."""
    carried: Floats
    """How much of a deviation goes on in the next bucket, 0 to 0.95."""
    learnt: Bools
    """The buckets whose residuals count."""
    holiday: Bools
    near: Bools

    @classmethod
    def of(
        cls,
        counts: Floats,
        clock: int,
        frequency: Frequency,
        holiday: Bools,
        near: Bools,
        excluded: Bools,
        first: int,
    ) -> _Past:
        period, odd = PERIOD[frequency], near | excluded
        even = steady(counts)
        usual = np.where(odd, np.nan, even)
        places = np.arange(max(period, first - period - _WINDOW[frequency] - _MARGIN), len(counts))
        weeks = _weeks_before(usual, places, period)
        median, recent = np.full((2, len(counts)), np.nan)
        median[places], recent[places] = _median(weeks), _median(weeks[:, :_RECENT_WEEKS])
        lacking = places[np.isnan(median[places])]  # there the odd ones, for want of others
        median[lacking] = _median(_weeks_before(even, lacking, period))
        deviation = even - median
        known = np.where(odd, np.nan, deviation)
        level = np.zeros(len(counts))
        level[places] = _or_zero(_median(_windows(known, _LEVEL[frequency], places - 1, np.nan)))
        features = np.stack([
            level,
            *(_or_zero(_lagged(known, lag) - level) for lag in _LAGS[frequency]),
            _or_zero(recent - median),
        ])  # fmt: skip
        learnt = ~odd & ~np.isnan(deviation)
        weights = _weights(features, deviation, learnt, clock, frequency, first)
        residual = deviation.copy()
        residual[:first] = np.nan
        for feature, weight in zip(features, weights, strict=True):
            residual -= feature * weight
        news = np.where(excluded, 0.0, _or_zero(residual))
        return cls(frequency, counts, even, usual, deviation, level, residual, news,
                   np.clip(weights[1], 0.0, 0.95), learnt, holiday, near)  # fmt: skip


def _weeks_before(values: Floats, places: Places, period: int) -> Floats:
    """(place, week): the value of the same phase one week before, two, ...; NaN without any."""
    before = places[:, None] - period * np.arange(1, _WEEKS + 1)
    return np.where(before >= 0, values[np.maximum(before, 0)], np.nan)


def _weights(
    features: Floats,
    deviation: Floats,
    learnt: Bools,
    clock: int,
    frequency: Frequency,
    first: int,
) -> Floats:
    """Per feature and bucket how much of it goes on; relearnt once a week, from `first` on.

    Iteratively reweighted least squares of what the prior leaves, all relearnings at once.
    """
    window, every = _WINDOW[frequency], PERIOD[frequency]
    lessons = np.arange(first - (clock + first) % every, len(deviation), every)
    lessons = lessons if len(lessons) else np.array([first])
    places = np.clip(lessons, 0, None)
    chosen = _windows(learnt, window, places - 1, False)
    prior = np.array([_PRIOR_LEVEL, _PRIOR_BEFORE, *[0.0] * (len(features) - 3), _PRIOR_RECENT])
    left = deviation.copy()
    for feature, weight in zip(features, prior, strict=True):
        left -= feature * weight
    target = np.where(chosen, _windows(left, window, places - 1, np.nan), 0.0)
    columns = [np.where(chosen, _windows(each, window, places - 1, 0.0), 0.0) for each in features]
    size = len(columns)
    ridge = _RIDGE * np.stack([(each * each).sum(-1) for each in columns], -1)
    ridge = ridge / np.maximum(chosen.sum(-1), 1)[:, None] + 1e-6
    found, error = np.zeros((len(lessons), size)), target
    for _ in range(_ROUNDS):
        away = np.abs(error)
        scale = _WILD * 1.4826 * _or_zero(_median(np.where(chosen, away, np.nan))) + 1e-9
        pull = np.minimum(1.0, scale[:, None] / np.maximum(away, 1e-9))
        pulled = [each * pull for each in columns]
        normal = np.zeros((len(lessons), size, size))
        for row in range(size):
            for column in range(row, size):
                normal[:, row, column] = (pulled[row] * columns[column]).sum(-1)
                normal[:, column, row] = normal[:, row, column]
            normal[:, row, row] += ridge[:, row]
        right = np.stack([(each * target).sum(-1) for each in pulled], -1)
        found = np.linalg.solve(normal, right[..., None])[..., 0]
        error = target - sum(each * found[:, [number]] for number, each in enumerate(columns))
    lesson = np.clip((np.arange(len(deviation)) - lessons[0]) // every, 0, len(lessons) - 1)
    return np.asarray((found + prior)[lesson].T)


# ---------------------------------------------------------------- the judgement


class _Judge:
    """Some buckets of a series, each with the window of residuals before it."""

    def __init__(self, past: _Past, at: Places, sensitivity: float) -> None:
        self.past, self.at, self.sensitivity = past, at, sensitivity
        self.window = _WINDOW[past.frequency]
        self.chosen = _windows(past.learnt, self.window, at - 1, False)
        self.expected = past.even[at] - past.residual[at]
        back = np.arange(self.window, 0, -1)
        apart = back % _PHASES[past.frequency]
        near = apart if past.frequency == "day" else np.minimum(apart, 24 - apart) // 2
        self.same_phase = near == 0  # hours: and the ones beside it
        one = steady(rows(self.expected) + 1) - steady(rows(self.expected))
        self.least = _MATERIAL * np.maximum(one, 1e-9)

    def judged(self) -> Judged:
        past, at = self.past, self.at
        down, up = self._yardstick(past.residual, buckets=1)
        now = past.residual[at]
        length = np.where(now >= 0, up, down)
        lower, upper = self.expected - down, self.expected + up
        for remembered in self._memories(at):  # where these are near, they are usual, too
            below, above = remembered - down / _NEARNESS, remembered + up / _NEARNESS
            beside = (below <= upper) & (above >= lower)
            lower, upper = (
                np.where(beside, np.fmin(below, lower), lower),
                np.where(beside, np.fmax(above, upper), upper),
            )
        blind = self.chosen.sum(-1) < SHORTEST[past.frequency]
        lasting, buckets = np.zeros(len(at)), np.ones(len(at), dtype=np.int64)
        for number in _SUMS[past.frequency]:
            score = self._lasting(number)
            buckets = np.where(score > lasting, number, buckets)
            lasting = np.maximum(score, lasting)
        return Judged(
            expected=rows(self.expected),
            lower=rows(lower),
            upper=rows(upper),
            level=np.minimum(np.abs(now), self._distance_to_memory(1)) / length,
            lasting=lasting,
            repeat=self._repeat() * self.sensitivity,
            outage=self._outage(),
            buckets=buckets,
            change=self._change(buckets),
            blind=blind,
        )

    def _yardstick(self, values: Floats, buckets: int) -> tuple[Floats, Floats]:
        """(down, up): how far below and above 0 `values` at the judged buckets are anomalous."""
        before = np.where(self.chosen, _windows(values, self.window, self.at - 1, np.nan), np.nan)
        sizes = np.abs(before)
        ordered, number = _ordered(sizes)
        common = _or_zero(_middle(ordered, number))
        own, own_number = _ordered(sizes[:, self.same_phase])
        scale = (own_number * _or_zero(_middle(own, own_number)) + _LEANING * common) / (
            own_number + _LEANING
        )
        signed, extreme = _ordered(before)[0], _quantile(ordered, number, _QUANTILE)
        stretch = self._stretch(buckets) * _PATIENCE[self.past.frequency] / self.sensitivity
        lengths = []
        for side, share in ((-1, 1 - _SIDED), (1, _SIDED)):
            sided = np.maximum(side * _quantile(signed, number, share), 0.0)
            length = _ROBUST * 1.4826 * scale + _CONFORMAL * _or_zero(sided + extreme) / 2
            lengths.append(np.maximum(length + _FIXED, self.least) * stretch)
        return lengths[0], lengths[1]

    def _stretch(self, buckets: int) -> Floats:
        """How much longer the yardstick is because of holidays in the last so many buckets."""
        last = np.maximum(self.at[:, None] - np.arange(buckets), 0)
        near = np.where(self.past.near[last].any(-1), _NEAR_HOLIDAY, 1.0)
        return np.asarray(np.where(self.past.holiday[last].any(-1), _HOLIDAY, near))

    def _memories(self, places: Places) -> tuple[Floats, Floats]:
        """What was there one week ago, and the mean of one and two; NaN where nothing usual was."""
        period, past = PERIOD[self.past.frequency], self.past
        week, fortnight = (
            np.where(places >= lag, past.usual[np.maximum(places - lag, 0)], np.nan)
            for lag in (period, 2 * period)
        )
        mean = np.where(np.isnan(week), fortnight, (week + fortnight) / 2)
        return week, np.where(np.isnan(mean), week, mean)

    def _distance_to_memory(self, buckets: int) -> Floats:
        """How far the last buckets, summed, lie from what one or two weeks ago was there."""
        last = self.at[:, None] - np.arange(buckets)
        even = self.past.even[np.maximum(last, 0)]
        nearest = np.fmin(*(np.abs((even - each).sum(-1)) for each in self._memories(last)))
        return np.asarray(
            _NEARNESS * np.where(np.isnan(nearest), np.inf, nearest) / np.sqrt(buckets)
        )

    def _lasting(self, buckets: int) -> Floats:
        """The evidence of a step `buckets` ago, with all but one of five on its side."""
        news, rest = self.past.news, 1 - self.past.carried
        steps = _or_zero(_lagged(news, buckets - 1))
        for lag in range(buckets - 1):
            steps = steps + rest * _or_zero(_lagged(news, lag))
        steps = steps / np.sqrt(1 + (buckets - 1) * rest**2)
        last = news[np.maximum(self.at[:, None] - np.arange(buckets), 0)]
        one_sided = np.abs(np.sign(last).sum(-1)) >= buckets - (2 if buckets > 3 else 0)
        down, up = self._yardstick(steps, buckets)
        now = steps[self.at]
        far = np.minimum(np.abs(now), self._distance_to_memory(buckets))
        return np.where(one_sided, far / np.where(now >= 0, up, down), 0.0)

    def _change(self, buckets: Places) -> Floats:
        """What came in the last buckets against what the level before them promised."""
        past, came, promised = self.past, np.zeros(len(self.at)), np.zeros(len(self.at))
        before = past.level[np.maximum(self.at - buckets + 1, 0)]
        for back in range(max(_SUMS[past.frequency])):
            place = np.maximum(self.at - back, 0)
            median = past.even[place] - past.deviation[place]
            counts = back < buckets
            came += np.where(counts, past.counts[place], 0.0)
            promised += np.where(counts, rows(_or_zero(median + before)), 0.0)
        return came / np.maximum(promised, 1e-9) - 1

    def _repeat(self) -> Floats:
        """How improbable it is that the latest counts are equal by chance, 1 at the limit."""
        past, score = self.past, np.zeros(len(self.at))
        equal = np.concatenate([[False], past.counts[1:] == past.counts[:-1]])
        here = np.flatnonzero(equal[self.at])
        if not len(here):
            return score
        at = self.at[here]
        run = _windows(equal & ~np.isnan(past.deviation), _LONGEST_RUN, at, False)[:, ::-1]
        run = np.logical_and.accumulate(run, axis=-1)
        length = run.sum(-1)
        before = np.where(
            self.chosen[here], _windows(past.residual, self.window, at - 1, np.nan), np.nan
        )
        spread = (1.4826 * _or_zero(_median(np.abs(before))) + 1e-3)[:, None]
        last = np.maximum(at[:, None] - np.arange(_LONGEST_RUN), 0)
        counts = past.counts[last]
        step = steady(counts + 0.5) - steady(np.maximum(counts - 0.5, 0.0))
        away = np.minimum((_or_zero(past.deviation)[last] / spread) ** 2, 9.0)
        density = step / spread * np.exp(-away / 2) / np.sqrt(2 * np.pi)
        surprise = -(np.log(np.clip(density, 1e-4, 1.0)) * run).sum(-1)
        known = np.minimum(at, self.window)
        share = _windows(equal, self.window, at - 1, False).sum(-1) / known
        seen = -np.log(np.maximum(share, 1 / known)) * length
        nights = (past.counts[at] == 0) & (share > 0.02)  # hours without a row are no wonder
        score[here] = np.where(nights, 0.0, np.minimum(surprise, seen) / _REPEAT)
        return score

    def _outage(self) -> Floats:
        """Nothing came, and in this phase something always did."""
        places = self.at[:, None] - PERIOD[self.past.frequency] * np.arange(1, _WEEKS + 1)
        same = np.where(places >= 0, self.past.counts[np.maximum(places, 0)], np.nan)
        always = ((same > 0) | np.isnan(same)).all(-1) & ((same > 0).sum(-1) >= 3)
        missed = (self.past.counts[self.at] == 0) & (rows(self.expected) >= _MATERIAL)
        return np.where(missed & always, _CERTAIN, 0.0)


# ------------------------------------------------------------------- the numbers


def _lagged(values: Floats, lag: int) -> Floats:
    """The value `lag` buckets before each; NaN where there is none."""
    return np.concatenate([np.full(min(lag, len(values)), np.nan), values[: len(values) - lag]])[
        : len(values)
    ]


def _windows(values: NDArray[np.generic], length: int, last: Places, absent: object) -> Floats:
    """Per place the `length` values that end there, oldest first; `absent` before the first."""
    padded = np.concatenate([np.full(length, absent, dtype=values.dtype), values])
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, length)[last + 1])


def _or_zero(values: Floats) -> Floats:
    return np.where(np.isnan(values), 0.0, values)


def _ordered(values: Floats) -> tuple[Floats, Places]:
    """(each row in ascending order, NaN last; how many of it are none)."""
    return np.sort(values, axis=-1), (~np.isnan(values)).sum(-1)


def _median(values: Floats) -> Floats:
    """Per row the median of what is not NaN; NaN where nothing is."""
    return _middle(*_ordered(values))


def _middle(ordered: Floats, number: Places) -> Floats:
    lower = _pick(ordered, np.maximum(number - 1, 0) // 2)
    return np.asarray((lower + _pick(ordered, number // 2 - (number == 0))) / 2)


def _quantile(ordered: Floats, number: Places, share: float) -> Floats:
    """Per row, interpolated between neighbours; NaN where nothing is."""
    place = share * np.maximum(number - 1, 0)
    below = np.floor(place).astype(np.int64)
    low = _pick(ordered, below)
    high = _pick(ordered, np.minimum(below + 1, np.maximum(number - 1, 0)))
    return np.asarray(low + (high - low) * (place - below))


def _pick(ordered: Floats, places: Places) -> Floats:
    return np.asarray(ordered[np.arange(len(ordered)), np.maximum(places, 0)])
