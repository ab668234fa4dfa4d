"""What a check would have done: replayed over its history, with faults put in, at other thresholds.

Every check is reduced to one number per judged value: the strictness above which it fires there
(`fires_above`). One replay then answers for every threshold. A verdict sees nothing later than what
it judges. Pure: histories, seed and budget are passed in.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from monitors.scan.chance import DAYS_A_MONTH, AlarmRate, Share
from monitors.scan.inject import Injection

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Moments = NDArray[np.datetime64]
Step = Literal["hour", "day", "run"]

SHORTEST_DAYS = 28.0
"""Over fewer judged days nobody knows how often a check fires by chance."""
FEWEST_VALUES = 20
_MATERIAL = 0.1
"""A fault starts only where a bucket has a tenth of the usual rows: an outage at night is seen in
the morning, by whatever check."""
_RED, _MOSTLY = 0.05, 0.5
"""Red values in a row are one alarm, so a threshold may not be kept by being red for long."""
_AS_GOOD = 0.03
"""Detecting three hundredths less is as good: with some hundred tries that is luck of the draw."""


@dataclass(frozen=True, slots=True)
class History:
    """Values of one segment of a check, oldest first; all arrays have one entry per value."""

    segment: str
    starts: Moments
    """UTC, seconds: the moment that each value speaks of."""
    values: Floats
    known_bad: Bools
    """Somebody knows them to be bad: an alarm there is no false one."""
    days: Floats
    """For how many days each value stands."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the check said of each value of a history."""

    fires_above: Floats
    """The strictness above which it fires; NaN where it is blind or was not asked."""
    expected: Floats
    lower: Floats
    upper: Floats
    """Bounds at the strictness that was replayed; NaN or infinite where there is none."""
    kinds: Sequence[str | None] = ()
    """Per value, which evidence spoke loudest; empty where there is only one."""


class Check(Protocol):
    """A check that can be replayed. It fires where its strictness is above `fires_above`."""

    @property
    def check_id(self) -> str: ...
    @property
    def dataset(self) -> str: ...
    @property
    def kind(self) -> Literal["volume", "threshold", "history"]: ...
    @property
    def read_by(self) -> tuple[str, ...]:
        """Checks that say what this one says."""
        ...

    @property
    def step(self) -> Step: ...
    @property
    def histories(self) -> Sequence[History]: ...
    @property
    def strictness(self) -> float:
        """At which it is replayed."""
        ...

    @property
    def why_no_injection(self) -> str | None:
        """Why rows that are lost or doubled say nothing of its metric; None when they do."""
        ...

    @property
    def why_no_recommendation(self) -> str | None: ...

    def replay(self, place: int, since: np.datetime64 | None) -> Replayed:
        """Judge each value of the history at `place` by those before it; none before `since`."""
        ...

    def fires_above(self, place: int, values: Floats, first: int, end: int) -> Floats:
        """From `first` to before `end`, when the history was `values`; nothing later is read."""
        ...

    def candidates(self, fires_above: Floats) -> list[float]:
        """Strictnesses worth trying; a round threshold each."""
        ...

    def wording(self, strictness: float) -> str:
        """The threshold as a person writes it."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """What is asked of a backtest."""

    injections: tuple[Injection, ...] = ()
    most_per_month: float = 1.0
    """Alarms that each check may raise on its clean history."""
    within: int = 2
    """In how many buckets after its start a fault must be found."""
    samples: int = 200
    """At how many starts each fault is tried; at all of them when there are fewer."""
    seed: int = 7
    days: int | None = None
    """Only verdicts of the last days are looked at; values before still are history."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A segment of a check that turned red."""

    segment: str
    moment: np.datetime64
    value: float
    expected: float
    lower: float
    upper: float
    kind: str | None
    """Which evidence spoke loudest; None where a bound is broken."""
    values: int
    """How many values in a row it stayed red; that is one alarm."""
    is_known_bad: bool
    """It began in a known-bad period, and is no false one."""


@dataclass(frozen=True, slots=True)
class Detection:
    """How much of an injected fault the check finds."""

    injection: Injection
    share: Share
    median_delay: float | None
    """In buckets after the start, 0 is at once; None when nothing was found."""
    within: int
    eligible: int
    """Buckets at which the fault could have started."""
    why_not: str | None = None
    """Why it was not tried."""


@dataclass(frozen=True, slots=True)
class Point:
    """What another threshold would have done."""

    strictness: float
    threshold: str
    alarms_per_month: float
    red_share: float
    """Of the clean history: a check that is red for months raises one alarm."""
    detected: float | None
    """The mean share over all injections; None without any."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A threshold, or why there is none. `change` is False when the one replayed may stay."""

    why: str
    change: bool = False
    now: Point | None = None
    then: Point | None = None


@dataclass(frozen=True, slots=True)
class Backtest:
    """What one check would have done."""

    check: Check
    replayed: tuple[Replayed, ...]
    tested: tuple[Bools, ...]
    """Per history, the values on which the check could have spoken and was asked."""
    alarms: tuple[Alarm, ...]
    false_alarms: int
    """Without those that began in a known-bad period; segments red together are one."""
    judged: int
    months: float
    rate: AlarmRate | None
    """On the clean history; None when that is too short to say."""
    detections: tuple[Detection, ...]
    sweep: tuple[Point, ...]
    recommendation: Recommendation
    most_per_month: float

    @property
    def is_blind(self) -> bool:
        return self.rate is None

    @property
    def is_exceeded(self) -> bool:
        """It raises more alarms than it may."""
        return self.rate is not None and self.rate.per_month > self.most_per_month


def backtest(check: Check, settings: Settings) -> Backtest:
    """Replay one check over all its histories."""
    replayed = tuple(
        check.replay(place, _since(history, settings.days))
        for place, history in enumerate(check.histories)
    )
    tested = tuple(~np.isnan(each.fires_above) for each in replayed)
    clean = _Clean(tuple(check.histories), replayed, tested)
    alarms = tuple(clean.alarms(check.strictness))
    rate = clean.rate(check.strictness) if clean.is_enough else None
    tried = [_inject(check, clean, each, settings) for each in settings.injections]
    sweep = _sweep(check, clean, tried) if rate is not None else ()
    return Backtest(
        check=check,
        replayed=replayed,
        tested=tested,
        alarms=alarms,
        false_alarms=clean.counted(check.strictness),
        judged=clean.judged,
        months=clean.months,
        rate=rate,
        detections=tuple(each.detection(check.strictness) for each in tried),
        sweep=sweep,
        recommendation=_recommend(check, clean, sweep, settings),
        most_per_month=settings.most_per_month,
    )


def starts_of(firing: Bools) -> Bools:
    """Where a check turns red: red values in a row are one alarm."""
    return np.asarray(firing & ~np.concatenate([[False], firing[:-1]]))


# -------------------------------------------------------------------- the clean history


def _since(history: History, days: int | None) -> np.datetime64 | None:
    if days is None or not len(history.starts):
        return None
    return np.datetime64(history.starts[-1] - np.timedelta64(days, "D") + np.timedelta64(1, "s"))


@dataclass(frozen=True)
class _Clean:
    """All histories of a check together, as they were."""

    histories: tuple[History, ...]
    replayed: tuple[Replayed, ...]
    tested: tuple[Bools, ...]

    def firing(self, place: int, strictness: float) -> Bools:
        with np.errstate(invalid="ignore"):
            fires = strictness > self.replayed[place].fires_above
        return np.asarray(fires & self.tested[place])

    def alarms(self, strictness: float) -> Iterable[Alarm]:
        """Every alarm, those of known-bad periods too; in order of segment and time."""
        for place, (history, replayed) in enumerate(
            zip(self.histories, self.replayed, strict=True)
        ):
            firing = self.firing(place, strictness)
            ends = np.flatnonzero(firing & ~np.append(firing[1:], False))
            for start, end in zip(np.flatnonzero(starts_of(firing)), ends, strict=True):
                yield Alarm(
                    segment=history.segment,
                    moment=history.starts[start],
                    value=float(history.values[start]),
                    expected=float(replayed.expected[start]),
                    lower=float(replayed.lower[start]),
                    upper=float(replayed.upper[start]),
                    kind=replayed.kinds[int(start)] if replayed.kinds else None,
                    values=int(end - start + 1),
                    is_known_bad=bool(history.known_bad[start]),
                )

    @cached_property
    def usual(self) -> tuple[Bools, ...]:
        """What was tested and is not known to be bad."""
        return tuple(
            tested & ~history.known_bad
            for tested, history in zip(self.tested, self.histories, strict=True)
        )

    @property
    def judged(self) -> int:
        return int(sum(each.sum() for each in self.usual))

    @property
    def months(self) -> float:
        """Of the longest history: segments watch the same time."""
        days = (
            float(history.days[usual].sum())
            for history, usual in zip(self.histories, self.usual, strict=True)
        )
        return max(days, default=0.0) / DAYS_A_MONTH

    @property
    def is_enough(self) -> bool:
        return self.months * DAYS_A_MONTH >= SHORTEST_DAYS and self.judged >= FEWEST_VALUES

    def rate(self, strictness: float) -> AlarmRate:
        return AlarmRate(self.counted(strictness), self.months)

    def counted(self, strictness: float) -> int:
        """Alarms that are false; segments that are red together are one, as the check is one."""
        firing = [self.firing(place, strictness) for place in range(len(self.histories))]
        if len(firing) == 1:
            return int((starts_of(firing[0]) & self.usual[0]).sum())
        moments, places = self._calendar
        red, false = np.zeros((2, len(moments)), dtype=bool)
        for at, fires, usual in zip(places, firing, self.usual, strict=True):
            red[at[fires]] = True
            false[at[fires & usual]] = True
        return int((starts_of(red) & false).sum())

    @cached_property
    def _calendar(self) -> tuple[Moments, list[NDArray[np.int64]]]:
        """Every moment of all segments, and where each segment's lie among them."""
        moments = np.unique(np.concatenate([each.starts for each in self.histories]))
        return moments, [np.searchsorted(moments, each.starts) for each in self.histories]

    def red_share(self, strictness: float) -> float:
        red = sum(
            int((self.firing(place, strictness) & usual).sum())
            for place, usual in enumerate(self.usual)
        )
        return red / max(self.judged, 1)


# -------------------------------------------------------------------- injected faults


@dataclass(frozen=True)
class _Tried:
    """A fault at many starts: per start and bucket after it, the strictness that finds it."""

    injection: Injection
    within: int
    fires_above: Floats
    eligible: int
    why_not: str | None = None

    def found(self, strictness: float) -> Bools:
        return np.asarray((strictness > self.fires_above).any(axis=1))

    def detection(self, strictness: float) -> Detection:
        found = self.found(strictness)
        delays = (strictness > self.fires_above[found]).argmax(axis=1)
        return Detection(
            injection=self.injection,
            share=Share(int(found.sum()), int(found.size)),
            median_delay=float(np.median(delays)) if delays.size else None,
            within=self.within,
            eligible=self.eligible,
            why_not=self.why_not,
        )


def _inject(check: Check, clean: _Clean, injection: Injection, settings: Settings) -> _Tried:
    """Put a fault in at each start, or at a sample of them, and judge what follows."""
    within = injection.within(settings.within)
    if check.why_no_injection is not None:
        return _Tried(injection, within, np.empty((0, within)), 0, check.why_no_injection)
    starts = [
        (place, int(at))
        for place in range(len(clean.histories))
        for at in _eligible(clean, place, check.strictness, within)
    ]
    if not starts:
        why = "no usual, material bucket at which it could start"
        return _Tried(injection, within, np.empty((0, within)), 0, why)
    name = zlib.crc32(f"{check.check_id} {injection}".encode())
    random = np.random.default_rng([settings.seed, name])
    eligible = len(starts)
    if eligible > settings.samples:
        chosen = np.sort(random.choice(eligible, settings.samples, replace=False))
        starts = [starts[each] for each in chosen]
    found = np.full((len(starts), within), np.inf)
    for row, (place, start) in enumerate(starts):
        changed = injection.into(clean.histories[place].values, start, within, random)
        found[row] = check.fires_above(place, changed, start, start + within)
    return _Tried(injection, within, np.where(np.isnan(found), np.inf, found), eligible)


def _eligible(clean: _Clean, place: int, strictness: float, within: int) -> NDArray[np.int64]:
    """Starts from which on the check is asked, nothing is known bad and nothing fires anyway."""
    values = clean.histories[place].values
    quiet: Bools = np.asarray(clean.usual[place] & ~clean.firing(place, strictness))
    if quiet.size < within or not quiet.any():
        return np.empty(0, dtype=np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(quiet, within)
    whole: Bools = np.asarray(windows.all(axis=1))
    first = values[: whole.size]
    material = (first > 0) & (first >= _MATERIAL * float(np.mean(values[quiet])))
    return np.flatnonzero(whole & material)


# -------------------------------------------------------------------- other thresholds


def _sweep(check: Check, clean: _Clean, tried: Sequence[_Tried]) -> tuple[Point, ...]:
    """Each candidate, the mildest first."""
    values = np.concatenate([each.fires_above for each in clean.replayed])
    candidates = sorted({*check.candidates(values[~np.isnan(values)]), check.strictness})
    return tuple(_point(check, clean, tried, each) for each in candidates)


def _point(check: Check, clean: _Clean, tried: Sequence[_Tried], strictness: float) -> Point:
    shares = [float(each.found(strictness).mean()) for each in tried if len(each.fires_above)]
    return Point(
        strictness=strictness,
        threshold=check.wording(strictness),
        alarms_per_month=clean.rate(strictness).per_month,
        red_share=clean.red_share(strictness),
        detected=float(np.mean(shares)) if shares else None,
    )


def _recommend(
    check: Check, clean: _Clean, sweep: Sequence[Point], settings: Settings
) -> Recommendation:
    """The threshold that keeps the budget and detects the most; the one in force when as good."""
    if not sweep:
        return Recommendation(_too_short(clean))
    now = next(point for point in sweep if point.strictness == check.strictness)
    if check.why_no_recommendation is not None:
        return Recommendation(check.why_no_recommendation, now=now)
    if now.red_share > _MOSTLY:
        return Recommendation("red for most of its history: look at the claim first", now=now)
    most = settings.most_per_month
    red = max(_RED, 2 * most / DAYS_A_MONTH)
    allowed = list(
        takewhile(lambda each: each.alarms_per_month <= most and each.red_share <= red, sweep)
    )
    budget = f"{most:.2g} {'alarm' if most == 1 else 'alarms'} a month"
    if not allowed:
        return Recommendation(f"no threshold of those tried keeps to {budget}", now=now)
    if now.detected is None:
        if now in allowed:
            return Recommendation(f"keeps to {budget}; --inject says what it detects", now=now)
        why = f"the strictest that keeps to {budget}"
        return Recommendation(why, change=True, now=now, then=allowed[-1])
    best = max(point.detected or 0.0 for point in allowed)
    as_good = [point for point in allowed if (point.detected or 0.0) >= best - _AS_GOOD]
    if now in as_good:
        return Recommendation(f"none that keeps to {budget} detects more", now=now)
    why = f"keeps to {budget} and detects the most"
    return Recommendation(why, change=True, now=now, then=as_good[0])


def _too_short(clean: _Clean) -> str:
    return (
        f"too short to say: {clean.judged} judged values over"
        f" {clean.months * DAYS_A_MONTH:.0f} days,"
        f" needed are {FEWEST_VALUES} over {SHORTEST_DAYS:.0f}"
    )
