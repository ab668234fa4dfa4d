"""The volumes of one dataset: stored buckets as series, and a judgement of those that are new."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from monitors.config_volumes import Volume
from monitors.scan.buckets import Grid
from monitors.scan.holidays import holidays_of
from monitors.scan.volume import Judgement, Series, judge_latest
from monitors.scan.volume_words import in_words
from monitors.store.history import BadPeriod
from monitors.store.volumes import BucketJudgement, StoredSeries

NEW_AT_MOST = {"day": 14, "hour": 48}
"""After a longer pause only so many of the new buckets are judged: the others are history."""
STATES = {True: "anomalous", False: "usual"}


@dataclass(frozen=True, slots=True)
class Due:
    """Buckets of one series that are to be judged: their places, oldest first."""

    series: StoredSeries
    places: tuple[int, ...]


def series_of(
    starts: Sequence[datetime],
    counts: Sequence[float],
    volume: Volume,
    bad: Iterable[BadPeriod] = (),
    segment: str = "",
) -> Series:
    """Stored buckets, oldest first and without a gap, as the model takes them: by local time.

    Where clocks change, the hour that is not there is filled and the double one is halved; both say
    nothing about what is usual.
    """
    grid = Grid(volume.every, volume.timezone)
    zone = ZoneInfo(volume.timezone)
    local = np.array(
        [start.astimezone(zone).replace(tzinfo=None) for start in starts],
        dtype="datetime64[D]" if volume.every == "day" else "datetime64[h]",
    )
    values = np.asarray(counts, dtype=float)
    excluded = _excluded(starts, grid, [each for each in bad if each.segment in (None, segment)])
    if volume.every == "hour" and len(local) > 1:
        local, values, excluded = _whole_days(local, values, excluded)
    holiday = near = None
    if volume.country is not None and len(local):
        holiday, near = holidays_of(volume.country, local.astype("datetime64[D]"))
    return Series(local, values, volume.every, holiday, near, excluded)


def _excluded(starts: Sequence[datetime], grid: Grid, bad: Sequence[BadPeriod]) -> np.ndarray:
    found = np.zeros(len(starts), dtype=bool)
    for place, start in enumerate(starts if bad else ()):
        end = grid.after(start)
        found[place] = any(each.starts_at < end and start < each.ends_at for each in bad)
    return found


def _whole_days(
    local: np.ndarray, values: np.ndarray, excluded: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Local hours without a gap or a double, so that the same hour of a week is 168 hours ago."""
    steps = np.diff(local).astype(int)
    if (steps == 1).all():
        return local, values, excluded
    spine = np.arange(local[0], local[-1] + np.timedelta64(1, "h"))
    places = (local - local[0]).astype(int)
    hours = np.bincount(places, minlength=len(spine))
    sums = np.bincount(places, weights=values, minlength=len(spine))
    named = np.bincount(places, weights=excluded, minlength=len(spine)) > 0
    filled = np.where(hours > 0, sums / np.maximum(hours, 1), np.nan)
    for gap in np.flatnonzero(hours == 0):
        filled[gap] = filled[gap - 1]
    named |= hours != 1
    named[-1] = bool(excluded[-1])
    return spine, filled, named


def due(series: StoredSeries, judged: Mapping[datetime, float], every: str) -> Due:
    """New buckets, and judged ones whose rows have changed since; at first the latest only."""
    starts = series.starts
    if not judged:
        return Due(series, (len(starts) - 1,) if starts else ())
    latest = max(judged)
    first = max(0, len(starts) - NEW_AT_MOST[every])
    places = [
        place
        for place in range(first, len(starts))
        if starts[place] > latest
        or judged.get(starts[place], series.counts[place]) != series.counts[place]
    ]
    return Due(series, tuple(places))


def judge(
    due_now: Due, dataset: str, volume: Volume, bad: Sequence[BadPeriod]
) -> list[BucketJudgement]:
    """What the model says of each bucket that is due."""
    grid = Grid(volume.every, volume.timezone)
    stored = due_now.series
    found = []
    for place in due_now.places:
        until = place + 1
        series = series_of(
            stored.starts[:until], stored.counts[:until], volume, bad, stored.segment
        )
        judged = judge_latest(series, volume.sensitivity, volume.method)
        cause = in_words(series, judged, "rows", volume.method)
        found.append(_judgement(judged, cause, dataset, stored, place, grid))
    return found


def _judgement(
    judged: Judgement, cause: str, dataset: str, stored: StoredSeries, place: int, grid: Grid
) -> BucketJudgement:
    blind = judged.is_blind
    start = stored.starts[place]
    return BucketJudgement(
        dataset=dataset,
        segment=stored.segment,
        bucket_start=start,
        bucket_end=grid.after(start),
        row_count=stored.counts[place],
        expected=None if blind else judged.expected,
        lower=None if blind else judged.lower,
        upper=None if blind else judged.upper,
        score=judged.score,
        kind=judged.kind,
        detectable_change=judged.detectable_change,
        state="blind" if blind else STATES[judged.is_anomalous],
        cause=cause,
    )
