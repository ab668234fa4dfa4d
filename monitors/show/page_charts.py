"""Geometry of the charts: numbers in, SVG path data out. Nothing here is markup.

Coordinates are of the viewBox; every path is a string of numbers and commands only. A status is
told by shape as well as by colour: the height of a bar, filled or hollow, broken or whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby, pairwise

from monitors.results import number_text
from monitors.show.page_state import counts_text
from monitors.store.history import BadPeriod
from monitors.store.pages import RED, WORDS, Bucket, CheckHistory, Rate

SCANS = 30
"""So many scans a strip shows."""
CELL = 5
SPARK = (132, 28)
CHART = (720, 210)
LEFT, RIGHT, TOP, BOTTOM = 56, 8, 12, 24
"""Margins of a chart with axes."""


@dataclass(frozen=True, slots=True)
class StripChart:
    """`paths`: [(word or `none`, path)]; `text` says the same."""

    width: int
    paths: tuple[tuple[str, str], ...]
    text: str


@dataclass(frozen=True, slots=True)
class Spark:
    """A line with the band of what is allowed, and a cross where the check was red."""

    line: str
    band: str
    red: str
    last: tuple[float, float] | None
    text: str


@dataclass(frozen=True, slots=True)
class DayBars:
    """A bar for each day with rows, in the room of a sparkline: lines of this thickness."""

    bars: str
    thick: float
    text: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A label of an axis at a coordinate."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something to point at, with what is said about it."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with axes. `shades`: [(x, width, text)] of periods that say nothing."""

    line: str
    band: str
    expected: str
    bars: str
    red_bars: str
    shades: tuple[tuple[float, float, str], ...]
    alarms: tuple[Mark, ...]
    blind: str
    limit: float | None
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]
    text: str


# -------------------------------------------------------------------- strips

_LINES = {"pass": (13.5,), "warn": (11,), "fail": (8,), "error": (3.5, 12.5), "none": (15.5,)}
"""Solid bars: {word: middle of the line}. One dashed line draws neighbours of one word; the style
sheet gives it the width, which is the height of the bars."""
_OUTLINES = {
    "muted": "M{x} 8.5h2v7h-2z",
    "blind": "M{x} 11.5h2v4h-2z",
    "blocked": "M{x} 4.5h2v11h-2z",
    "missing": "M{x} .5h2v15h-2z",
}
"""Hollow bars, each by itself."""


def strip(ranks: Sequence[int | None]) -> StripChart:
    """One bar per scan, the oldest first; the higher the worse."""
    words = ["none" if rank is None else WORDS[rank] for rank in ranks]
    paths: dict[str, str] = {}
    # a young history leaves room at the left: the newest scan stands at the same place everywhere
    start = max(SCANS - len(words), 0)
    width = (start + len(words)) * CELL
    for word, same in groupby(words):
        number = len(list(same))
        x = start * CELL + 1
        if word in _LINES:
            drawn = "".join(f"M{x} {y:g}h{number * CELL - 2}" for y in _LINES[word])
        else:
            steps = range(x, x + number * CELL, CELL)
            drawn = "".join(_OUTLINES[word].format(x=step + 0.5) for step in steps)
        paths[word] = paths.get(word, "") + drawn
        start += number
    counts = Counter(words)
    looked = {word: counts[word] for word in WORDS if counts[word]}
    unseen = f", {counts['none']} not looked at" if counts["none"] else ""
    text = f"last {len(words)} scans: {counts_text(looked)}{unseen}" if words else "no scan yet"
    return StripChart(width, tuple(paths.items()), text)


# -------------------------------------------------------------------- sparklines


def spark(history: CheckHistory, since: datetime, until: datetime) -> Spark | None:
    """None when there is nothing to draw: fewer than two values."""
    known = [value for value in history.values if value is not None]
    if len(known) < 2:
        return None
    width, height = SPARK
    bounds = [each for each in (*history.lows, *history.highs) if each is not None]
    low, high = _domain(known, bounds)
    across = _Scale(since.timestamp(), until.timestamp(), 1, width - 3)
    up = _Scale(low, high, height - 3, 3)
    first, last = history.moments[0].timestamp(), history.moments[-1].timestamp()
    if first > across.low + 0.5 * (across.high - across.low):
        # a young history takes the whole room, not the last corner of it
        across = _Scale(first, last, 1, width - 3)
    points = [
        (across(moment.timestamp()), up(value), rank)
        for moment, value, rank in zip(history.moments, history.values, history.ranks, strict=True)
        if value is not None
    ]
    reds = [(x, y) for x, y, rank in points if WORDS[rank] in RED]
    return Spark(
        line=_line((x, y) for x, y, _ in points),
        band=_bounds_band(history, across, up, low, high),
        red="".join(f"M{_n(x - 2)} {_n(y - 2)}l4 4m0-4l-4 4" for x, y in reds),
        last=(points[-1][0], points[-1][1]),
        text=_spark_text(known, len(reds)),
    )


def _spark_text(known: Sequence[float], reds: int) -> str:
    said = f"from {number_text(known[0])} to {number_text(known[-1])}"
    spread = f"lowest {number_text(min(known))}, highest {number_text(max(known))}"
    return f"{len(known)} values {said}; {spread}; red {reds} times"


def _domain(values: Sequence[float], bounds: Sequence[float]) -> tuple[float, float]:
    """Of the values, and of the bounds as long as these do not flatten the line."""
    low, high = min(values), max(values)
    spread = (high - low) or abs(high) or 1.0
    near = [each for each in bounds if low - 4 * spread <= each <= high + 4 * spread]
    low, high = min(low, *near, low), max(high, *near, high)
    return (low, high) if high > low else (low - 1, high + 1)


def _bounds_band(history: CheckHistory, across: _Scale, up: _Scale, low: float, high: float) -> str:
    """What is allowed, as one area; where there is one bound only, it reaches to the edge."""
    steps = [
        (
            across(moment.timestamp()),
            up(min(max(high if top is None else top, low), high)),
            up(min(max(low if bottom is None else bottom, low), high)),
        )
        for moment, bottom, top in zip(history.moments, history.lows, history.highs, strict=True)
        if not (top is None and bottom is None)
    ]
    return _band(steps)


# -------------------------------------------------------------------- charts with axes


def volume(
    buckets: Sequence[Bucket], every: str, periods: Sequence[BadPeriod], label: str
) -> Chart | None:
    """Rows per bucket, what was expected, alarms; None with fewer than two buckets.

    `label`: which rows are counted, per what.
    """
    if len(buckets) < 2:
        return None
    length = timedelta(hours=1) if every == "hour" else timedelta(days=1)
    first, last = buckets[0].start, buckets[-1].start
    across = _Scale(first.timestamp(), last.timestamp(), LEFT, CHART[0] - RIGHT)
    counts = [bucket.row_count for bucket in buckets]
    # one absurd upper bound must not flatten the line
    tops = [bucket.upper for bucket in buckets if bucket.upper is not None]
    top = max(*counts, min(max(tops, default=0.0), 2.5 * max(counts)), 1.0)
    up = _Scale(0, top * 1.05, CHART[1] - BOTTOM, TOP)
    judged = [each for each in buckets if each.lower is not None and each.upper is not None]
    alarms = [bucket for bucket in buckets if bucket.state == "anomalous"]
    blind = [bucket for bucket in buckets if bucket.state == "blind"]
    return Chart(
        line=_line((across(each.start.timestamp()), up(each.row_count)) for each in buckets),
        band=_band(
            [
                (
                    across(each.start.timestamp()),
                    up(min(each.upper or 0.0, top * 1.05)),
                    up(max(each.lower or 0.0, 0.0)),
                )
                for each in judged
            ]
        ),
        expected=_line(
            (across(each.start.timestamp()), up(min(each.expected, top)))
            for each in judged
            if each.expected is not None
        ),
        bars="",
        red_bars="",
        shades=tuple(_shades(periods, across, first, last + length)),
        alarms=tuple(
            Mark(across(each.start.timestamp()), up(each.row_count), _alarm_text(each, every))
            for each in alarms
        ),
        blind="".join(
            f"M{_n(across(each.start.timestamp()))} {CHART[1] - BOTTOM}v-4" for each in blind
        ),
        limit=None,
        y_ticks=_y_ticks(top * 1.05, up),
        x_ticks=_x_ticks(first, last, across),
        text=(
            f"{label}, {len(buckets)} {every}s: {counts[-1]:,.0f} in the latest,"
            f" between {min(counts):,.0f} and {max(counts):,.0f};"
            f" {len(alarms)} {'alarm' if len(alarms) == 1 else 'alarms'}"
        ),
    )


def quarantine(rates: Sequence[Rate], limit: float | None) -> Chart | None:
    """The share of rejected rows per load, as bars, against the bound of its check."""
    if not rates:
        return None
    top = max(*(each.rate for each in rates), limit or 0.0, 0.001) * 1.1
    up = _Scale(0, top, CHART[1] - BOTTOM, TOP)
    room = (CHART[0] - LEFT - RIGHT) / len(rates)
    thick = min(room * 0.7, 22.0)
    base = CHART[1] - BOTTOM
    bars: list[str] = []
    red: list[str] = []
    for place, each in enumerate(rates):
        x, y = LEFT + room * (place + 0.5) - thick / 2, min(up(each.rate), base - 0.6)
        path = f"M{_n(x)} {base}V{_n(y)}h{_n(thick)}V{base}z"
        (red if limit is not None and each.rate > limit else bars).append(path)
    marks = [
        Mark(LEFT + room * (place + 0.5), up(each.rate), _rate_text(each))
        for place, each in enumerate(rates)
        if limit is not None and each.rate > limit
    ]
    return Chart(
        line="", band="", expected="",
        bars="".join(bars), red_bars="".join(red),
        shades=(), alarms=tuple(marks), blind="",
        limit=None if limit is None else up(limit),
        y_ticks=tuple(
            Tick(each.at, f"{top * share:.1%}" if share else "0%")
            for each, share in zip(_y_ticks(top, up), (0, 0.5, 1), strict=True)
        ),
        x_ticks=tuple(
            Tick(LEFT + room * (place + 0.5), f"{rates[place].loaded_at:%d %b}")
            for place in sorted({0, len(rates) // 2, len(rates) - 1})
        ),
        text=(
            f"share of rejected rows in the last {len(rates)} loads;"
            f" latest {_rate_text(rates[-1])}"
        ),
    )  # fmt: skip


def day_bars(per_day: Mapping[date, int], first: date, last: date, top: int) -> DayBars:
    """Rows per day from `first` to `last`; `top`: how many fill the height."""
    width, height = SPARK
    days = (last - first).days + 1
    room = (width - 2) / days
    thick = max(min(room * 0.7, 9.0), 0.6)
    base = height - 2
    bars = []
    for day, rows in sorted(per_day.items()):
        if first <= day <= last and rows:
            x = 1 + room * ((day - first).days + 0.5)
            # one row among thousands can still be seen
            tall = max((base - 1) * min(rows / top, 1.0), 1.5)
            bars.append(f"M{_n(x)} {base}v{_n(-tall)}")
    worst = max(per_day, key=lambda day: (per_day[day], day), default=None)
    said = f"; most on {worst}: {per_day[worst]:,}" if worst else ""
    text = f"rows per day from {first} to {last}, on {len(bars)} days{said}"
    return DayBars("".join(bars), round(thick, 1), text)


def _alarm_text(bucket: Bucket, every: str) -> str:
    moment = f"{bucket.start:%Y-%m-%d %H:%M}" if every == "hour" else f"{bucket.start:%Y-%m-%d}"
    return f"{moment} UTC: {bucket.cause or 'not usual'}"


def _rate_text(each: Rate) -> str:
    return (
        f"{each.rate:.2%}, {each.rows_rejected:,} of {each.rows_read:,} rows,"
        f" {each.loaded_at:%Y-%m-%d %H:%M} UTC"
    )


def _shades(
    periods: Sequence[BadPeriod], across: _Scale, first: datetime, last: datetime
) -> list[tuple[float, float, str]]:
    found = []
    for period in periods:
        start, end = max(period.starts_at, first), min(period.ends_at, last)
        if start < end:
            x = across(start.timestamp())
            width = max(min(across(end.timestamp()), CHART[0] - RIGHT) - x, 3.0)
            found.append((round(x, 1), round(width, 1), f"known-bad: {period.why}"))
    return found


def _y_ticks(top: float, up: _Scale) -> tuple[Tick, ...]:
    return tuple(Tick(round(up(top * share), 1), _short(top * share)) for share in (0.0, 0.5, 1.0))


def _x_ticks(first: datetime, last: datetime, across: _Scale) -> tuple[Tick, ...]:
    form = "%d %b %H:%M" if last - first < timedelta(days=4) else "%d %b"
    labels: dict[str, Tick] = {}
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        moment = first + (last - first) * share
        label = moment.strftime(form)
        labels.setdefault(label, Tick(round(across(moment.timestamp()), 1), label))
    return tuple(labels.values())


def _short(value: float) -> str:
    """`49,966` as `50k`: an axis has little room."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


# -------------------------------------------------------------------- paths


@dataclass(frozen=True, slots=True)
class _Scale:
    """From a range of values to a range of coordinates."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return self.start + share * (self.end - self.start)


def _line(points: Iterable[tuple[float, float]]) -> str:
    """A line through the points, each relative to the one before: `M1 2l3 4 5-6`."""
    found = [(round(10 * x), round(10 * y)) for x, y in points]
    if not found:
        return ""
    (x, y), *_ = found
    steps = [
        _pair(right - left, lower - upper)
        for (left, upper), (right, lower) in pairwise(_without_between(found))
    ]
    return f"M{_pair(x, y)}" + (f"l{_joined(steps)}" if steps else "h0")


def _band(steps: Sequence[tuple[float, float, float]]) -> str:
    """An area between an upper and a lower line: [(x, upper y, lower y)]."""
    if len(steps) < 2:
        return ""
    there = [(x, top) for x, top, _ in steps]
    back = [(x, bottom) for x, _, bottom in reversed(steps)]
    return _line([*there, *back]) + "z"


def _without_between(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Without points that stand on a level line between their neighbours."""
    kept = points[:1]
    for point, following in pairwise(points[1:]):
        before = kept[-1]
        is_level = before[1] == point[1] == following[1]
        is_between = (point[0] - before[0]) * (following[0] - point[0]) >= 0
        if not (is_level and is_between):
            kept.append(point)
    return kept + points[1:][-1:]


def _pair(x: int, y: int) -> str:
    """Two coordinates in tenths, with a blank only where no sign parts them."""
    right, lower = _n(x / 10), _n(y / 10)
    return f"{right}{lower}" if lower.startswith("-") else f"{right} {lower}"


def _joined(pairs: Sequence[str]) -> str:
    return "".join(
        pair if place == 0 or pair.startswith("-") else f" {pair}"
        for place, pair in enumerate(pairs)
    )


def _n(value: float) -> str:
    """A coordinate in as few letters as the eye needs."""
    text = f"{value:.1f}".rstrip("0").rstrip(".")
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text
