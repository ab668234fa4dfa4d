"""The volume model: ten thousand series of 400 days, and the replay of one series bucket by bucket.

The reference is what one writes first: in a numpy loop the median and the median absolute deviation
of the same weekday in eight weeks. It knows no level, no holiday, no decay and no stuck source.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from time import perf_counter, process_time

import numpy as np

from bench.figure import Figure, Options, in_turns
from monitors.scan.volume import HISTORY_NEEDED, Series, judge_all, judge_latest

SERIES, DAYS, CORES = 10_000, 400, 2
SECONDS = 60
WEEK = np.array([1.0, 1.1, 1.05, 1.08, 1.2, 0.4, 0.3])


def volume_model(options: Options) -> Iterator[Figure]:
    """The latest day of each series, by two processes whose own time counts; all days of one."""
    number = max(CORES, int(SERIES * options.scale))
    with ProcessPoolExecutor(CORES) as pool:
        found = list(pool.map(_latest, range(CORES), [number // CORES] * CORES))
    judged, seconds = sum(each for each, _ in found), sum(each for _, each in found)
    yield Figure(
        "volume_latest", "the clock of each core", [seconds / CORES], "<=",
        SECONDS * options.scale, "s",
        f"{judged:,} series of {DAYS} days on {CORES} cores, {1000 * seconds / judged:.2f} ms each",
    )  # fmt: skip

    series = _series(1)
    first = HISTORY_NEEDED["day"]
    pairs = in_turns(
        options.pairs, lambda: _seconds(series, first), lambda: _plain_loop(series, first)
    )
    yield Figure(
        "volume_replay", "a loop of medians and MADs",
        [ours / plain for ours, plain in pairs], "<=", 1, "x", f"{DAYS - first} days of one series",
    )  # fmt: skip
    pairs = in_turns(options.pairs, lambda: _seconds(series, first), lambda: _loop(series, first))
    yield Figure(
        "volume_together", "judge_latest day by day",
        [ours / loop for ours, loop in pairs], "<=", 0.1, "x", "the same judgements",
    )  # fmt: skip


def _series(seed: int) -> Series:
    """Weeks with a pattern, a slow level and the noise of a count."""
    random = np.random.default_rng(seed)
    level = np.exp(np.cumsum(random.normal(0, 0.02, DAYS)) + random.uniform(3, 9))
    counts = random.poisson(level * np.tile(WEEK, DAYS)[:DAYS]).astype(float)
    days = np.datetime64("2024-01-01") + np.arange(DAYS).astype("timedelta64[D]")
    return Series(days, counts, "day")


def _latest(part: int, number: int) -> tuple[int, float]:
    """(how many of so many series were judged and not blind, the seconds of a core for that)."""
    series = [_series(part * number + each) for each in range(number)]
    started = process_time()
    found = [judge_latest(each) for each in series]
    return sum(not each.is_blind for each in found), process_time() - started


def _seconds(series: Series, first: int) -> float:
    started = perf_counter()
    judge_all(series, first)
    return perf_counter() - started


def _loop(series: Series, first: int) -> float:
    started = perf_counter()
    for place in range(first, DAYS):
        judge_latest(series.until(place + 1))
    return perf_counter() - started


def _plain_loop(series: Series, first: int) -> float:
    started = perf_counter()
    for place in range(first, DAYS):
        same = series.counts[max(0, place - 56) : place][::-1][6::7]
        middle = np.median(same)
        spread = 1.4826 * np.median(np.abs(same - middle)) + 1e-9
        _ = abs(series.counts[place] - middle) / spread > 3
    return perf_counter() - started
