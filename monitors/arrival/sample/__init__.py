"""Deterministic sample files for four feeds, with the faults a warehouse meets.

Everything is drawn from the seed, so the same arguments give byte-identical files, and a verdict
on the sample data can be stated beforehand: on the last day 2,908 of 49,966 clickstream events
have no client_id (5.82 %), and nothing else is wrong.
"""

import heapq
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from math import isfinite
from operator import itemgetter
from pathlib import Path

from monitors.arrival.sample import air_quality, clickstream, leases, salesforce

__all__ = ["SampleSummary", "write_sample"]


@dataclass(frozen=True)
class SampleSummary:
    """What was written: paths below the given directory, in order of arrival.

    ``history`` holds the files of all days before the last one, ``today`` those of the last day,
    which arrive on the next morning. ``planted`` says one sentence per planted fault, beginning
    with the name of the file that carries it, relative to the directory.
    """

    history: tuple[Path, ...]
    today: tuple[Path, ...]
    planted: tuple[str, ...]


def write_sample(
    directory: Path, *, last_day: date, days: int = 9, seed: int = 7, scale: float = 1.0
) -> SampleSummary:
    """Write the files of ``days`` days ending with ``last_day`` into one folder per feed.

    ``scale`` multiplies the clickstream rows of the history days only; the last day always has
    its exact counts, and the other feeds are small anyway. Each fault has a fixed distance to
    the last day, so a history shorter than eight days carries fewer of them. A file of the same
    name is replaced as a whole; no reader ever sees half of one.

    Raises ValueError when days is below 1, when the days would begin before the year 1 or run
    into the year 10000, or when scale is not a finite number above 0; OSError when a file cannot
    be written.
    """
    if days < 1:
        raise ValueError(f"days={days}, but a sample has at least 1 day")
    if not date.min.toordinal() + days <= last_day.toordinal() < date.max.toordinal():
        raise ValueError(f"{days} days that end with {last_day} leave the calendar")
    if not (isfinite(scale) and scale > 0):
        raise ValueError(f"scale={scale}, but it must be a finite number above 0")

    history: list[Path] = []
    today: list[Path] = []
    for day, name, content in _in_order_of_arrival(last_day, days, seed, scale):
        _replace(directory / name, content)
        (today if day == last_day else history).append(directory / name)
    first_day = last_day - timedelta(days=days - 1)
    planted = (
        *clickstream.planted(first_day, last_day),
        *salesforce.planted(first_day, last_day),
        *air_quality.planted(first_day, last_day),
        *leases.planted(first_day, last_day),
    )
    return SampleSummary(tuple(history), tuple(today), planted)


def _in_order_of_arrival(
    last_day: date, days: int, seed: int, scale: float
) -> Iterator[tuple[date, str, bytes]]:
    first_day = last_day - timedelta(days=days - 1)
    return heapq.merge(
        salesforce.files(first_day, last_day, seed),
        clickstream.files(first_day, last_day, seed, scale),
        air_quality.files(first_day, last_day, seed),
        leases.files(first_day, last_day, seed),
        key=itemgetter(0),
    )


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # The leading dot and the process id keep it from a landing check and from a second writer.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
