"""Limits and buckets that follow from the days on which a table has rows. Pure."""

from __future__ import annotations

import math
from itertools import pairwise

from monitors.scan.propose_columns import Clock
from monitors.scan.propose_facts import counted
from monitors.warehouse.tables import Days

ROWS_AN_HOUR = 50
HOURS_OF_A_STREAM = 12
SLACK_HOURS = 2


def freshness_limit(days: Days | None, age: float | None, *, is_date: bool) -> tuple[int, str]:
    """How old, in hours, the newest row may be: the 99th percentile (nearest rank) of the gaps
    between days with rows, a day more where only the day is known, and two hours of grace."""
    counts = days.counts if days else ()
    gaps = sorted((later[0] - day[0]).days for day, later in pairwise(counts))
    if len(gaps) < 6:
        return 48, f"rows on {counted(len(counts), 'day')} only, so two days are taken"
    usual = gaps[math.ceil(0.99 * len(gaps)) - 1]
    by_day = is_date or (days is not None and days.hours <= 1)
    hours = 24 * (usual + by_day) + SLACK_HOURS
    apart = f"{counted(usual, 'day')} (p99 of {len(gaps):,} gaps)"
    said = f"days with rows are at most {apart} apart" + (", and only the day is known" * by_day)
    if age is not None and hours < age <= hours + 24:
        return math.ceil(age) + SLACK_HOURS, f"{said}; it is {duration_words(age)} now"
    return (hours if hours <= 48 else 24 * math.ceil(hours / 24)), said


def duration_words(hours: float) -> str:
    """26 hours, 2 days: rounded up; hours up to two days."""
    if hours < 48:
        whole = max(1, math.ceil(hours))
        return f"{whole} hour{'s' if whole > 1 else ''}"
    return f"{math.ceil(hours / 24):,} days"


def bucket(days: Days, clock: Clock) -> tuple[str, str]:
    """hour or day, and the rate that decided it."""
    rows = sum(count for _, count in days.counts)
    a_day = rows / len(days.counts)
    hourly = not clock.is_date and days.hours >= HOURS_OF_A_STREAM and a_day / 24 >= ROWS_AN_HOUR
    rate = f"{counted(round(a_day), 'row')} a day"
    return ("hour", f"{rate}, {a_day / 24:,.0f} an hour") if hourly else ("day", rate)
