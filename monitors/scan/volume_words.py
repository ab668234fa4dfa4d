"""The cause of a judgement in words for a person."""

from __future__ import annotations

import numpy as np

from monitors.results import number_text
from monitors.scan.volume import HISTORY_NEEDED, Z_BUCKETS, Judgement, Method, Series

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def in_words(
    series: Series, judgement: Judgement, unit: str = "rows", method: Method = "model"
) -> str:
    """Why the last bucket of `series` got this judgement: one sentence without a full stop.

    `a Thursday usually has 1,040 to 1,210 rows, this one has 312: -72 %`. `unit` is what is
    counted, in the plural; `method` is the one that judged.
    """
    if judgement.is_blind:
        return _blind(series, method)
    count = float(series.counts[-1])
    if judgement.kind == "zscore":
        span = f"{Z_BUCKETS} {series.frequency}s before allow {_bounds(judgement)} {unit}"
        return f"the {span}, this {series.frequency} has {_count(count)}{_share(judgement.change)}"
    usual = f"a {_phase(series)} usually has {_bounds(judgement)} {unit}"
    if judgement.kind == "outage":
        return f"{usual}, this one has none"
    if judgement.kind == "repeat":
        times = _run(series)
        return (
            f"{times} {series.frequency}s in a row have exactly {_count(count)} {unit}, "
            "which does not happen by chance"
        )
    if judgement.kind == "lasting":
        return (
            f"the last {judgement.buckets} {series.frequency}s together are "
            f"{_beside(judgement.change)} what is usual, this {series.frequency} has "
            f"{_count(count)} {unit} of about {_count(judgement.expected)}"
        )
    return f"{usual}, this one has {_count(count)}{_share(judgement.change)}"


def _blind(series: Series, method: Method) -> str:
    history = max(len(series.counts) - 1, 0)
    needed = HISTORY_NEEDED[series.frequency] if method == "model" else Z_BUCKETS
    found = f"{_plural(history, series.frequency)} of history"
    if history < needed:
        return f"{found}, {needed:,} are needed"
    return f"{found}, but too few of them are usual: the others are holidays or known to be bad"


def _phase(series: Series) -> str:
    """`Thursday`, `Thursday 14:00`: what the bucket is held against."""
    start = series.starts[-1]
    day = WEEKDAYS[(int(start.astype("datetime64[D]").astype(int)) + 3) % 7]
    if series.frequency == "day":
        return day
    return f"{day} {int(start.astype('datetime64[h]').astype(int)) % 24:02}:00"


def _run(series: Series) -> int:
    """How many of the last buckets have the same count."""
    other = np.flatnonzero(series.counts != series.counts[-1])
    return len(series.counts) - 1 - (int(other[-1]) if len(other) else -1)


def _bounds(judgement: Judgement) -> str:
    low, high = _count(judgement.lower), _count(judgement.upper)
    return low if low == high else f"{low} to {high}"


def _count(value: float) -> str:
    """A count as a person writes it: 1,040; of a fraction what matters."""
    return number_text(float(round(value)) if abs(value) >= 10 else round(value, 1))


def _share(change: float | None) -> str:
    """`: -72 %`, `: 3.1 times as many`, or nothing where nothing was expected."""
    if change is None:
        return ""
    if change >= 2:
        return f": {_times(change)} as many"
    return f": {'+' if change > 0 else '-' if change < 0 else ''}{_percent(change)}"


def _beside(change: float | None) -> str:
    """`18 % below`, `3.1 times`."""
    if change is None:
        return "far above"
    if change >= 2:
        return _times(change)
    return f"{_percent(change)} {'below' if change < 0 else 'above'}"


def _percent(change: float) -> str:
    """The size alone; below one percent what matters."""
    percent = abs(change) * 100
    return f"{number_text(float(round(percent)) if percent >= 1 else round(percent, 1))} %"


def _times(change: float) -> str:
    return f"{number_text(round(change + 1, 1))} times"


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
