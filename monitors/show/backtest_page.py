"""The picture of a backtest: one HTML file with inline SVG, no script, and no request to anybody.

It takes the object that `rampart backtest --json` prints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from functools import cache
from typing import Any

from jinja2 import Environment

from monitors.results import number_text
from monitors.show.backtest_text import (
    alarm_text,
    budget_line,
    delay_text,
    moment_text,
    percent_text,
    rate_text,
)
from monitors.show.templating import new_environment

Object = Mapping[str, Any]
Point = tuple[float, float]

WIDTH, HEIGHT = 960.0, 240.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 12.0, 12.0, 26.0
MOST_POINTS = 1200
"""Longer lines are drawn by the least and the greatest value of each stretch."""
MOST_SEGMENTS = 12
_TICKS = (1, 2, 2.5, 5, 10)


def page_of(report: Object) -> str:
    """The whole page; checks that fired, or were tried with faults, have a chart."""
    checks = report["checks"]
    drawn = [each for each in checks if len(checks) == 1 or _is_worth_a_chart(each)]
    return (
        _environment()
        .get_template("backtest.html")
        .render(
            report=report,
            budget=budget_line(report["budget"]).removeprefix("budget").strip(),
            drawn=[(each, list(_charts(each)), _trade_off(each)) for each in drawn],
            others=[each for each in checks if each not in drawn],
            trade_off_size=_TRADE_OFF,
        )
    )


@cache
def _environment() -> Environment:
    environment = new_environment()
    environment.filters |= {
        "number": number_text, "rate": rate_text, "percent": percent_text, "delay": delay_text,
    }  # fmt: skip
    environment.globals |= {
        "WIDTH": WIDTH, "HEIGHT": HEIGHT, "LEFT": LEFT, "TOP": TOP,
        "INNER": WIDTH - LEFT - RIGHT, "FLOOR": HEIGHT - BOTTOM,
    }  # fmt: skip
    return environment


def _is_worth_a_chart(check: Object) -> bool:
    return bool(
        check["alarms"]
        or check["kind"] == "volume"
        or any(each["tried"] for each in check["injections"])
    )


# -------------------------------------------------------------------- a series over time


def _charts(check: Object) -> Iterator[dict[str, Any]]:
    """A chart per segment; of many those with the most alarms."""
    alarms = {series["segment"]: 0 for series in check["series"]}
    for alarm in check["alarms"]:
        alarms[alarm["segment"]] += 1
    loudest = sorted(alarms, key=lambda segment: (segment != "", -alarms[segment]))[:MOST_SEGMENTS]
    for series in check["series"]:
        if series["segment"] in loudest and series["starts"]:
            yield _chart(check, series)


def _chart(check: Object, series: Object) -> dict[str, Any]:
    times = [_seconds(start) for start in series["starts"]]
    values = series["values"]
    frame = _Frame.around(times, series, from_zero=check["kind"] == "volume")
    placed = [(time, value) for time, value in zip(times, values, strict=True) if value is not None]
    return {
        "id": f"{check['check_id']}{series['segment']}",
        "segment": series["segment"],
        "label": f"{check['check_id']} {series['segment']}: values, bounds and alarms over time",
        "y_ticks": [(frame.y(tick), number_text(tick)) for tick in frame.y_ticks()],
        "x_ticks": [(frame.x(time), text) for time, text in frame.x_ticks()],
        "bad": [
            (frame.x(times[first]), frame.x(times[min(last + 1, len(times) - 1)]))
            for first, last in _runs(series["known_bad"])
        ],
        "bands": list(_bands(frame, times, series)) if check["kind"] != "threshold" else [],
        "limits": [
            frame.y(limit)
            for limit in (series["lower"][-1], series["upper"][-1])
            if limit is not None and check["kind"] == "threshold"
        ],
        "expected": _line(frame, _known(times, series["expected"])),
        "values": _line(frame, _thinned(placed)),
        "dots": [(frame.x(time), frame.y(value)) for time, value in placed]
        if len(placed) <= 60
        else [],
        "alarms": [
            (
                frame.x(_seconds(alarm["moment"])),
                frame.y(alarm["value"]),
                f"{moment_text(alarm['moment'], check['step'])}  {alarm_text(alarm, check)}",
                alarm["is_known_bad"],
            )
            for alarm in check["alarms"]
            if alarm["segment"] == series["segment"] and alarm["value"] is not None
        ],
    }


class _Frame:
    """From seconds and values to places in the picture."""

    def __init__(self, first: float, last: float, low: float, high: float) -> None:
        self.first, self.last = first, last if last > first else first + 1
        self.low, self.high = low, high if high > low else low + 1

    @classmethod
    def around(cls, times: Sequence[float], series: Object, *, from_zero: bool) -> _Frame:
        values = [value for value in series["values"] if value is not None] or [0.0]
        if from_zero:
            most = min(
                max(values), 4 * sorted(values)[int(0.98 * (len(values) - 1))] or max(values)
            )
            upper = [value for value in series["upper"] if value is not None]
            # a wide band, and a single spike, go out of the picture
            high = max(most, min(max(upper, default=most), 1.6 * most))
            return cls(times[0], times[-1], 0.0, high * 1.05)
        limits = [
            limit for limit in (series["lower"][-1], series["upper"][-1]) if limit is not None
        ]
        low, high = min(*values, *limits, 0.0), max([*values, *limits])
        return cls(times[0], times[-1], low, high + 0.08 * (high - low))

    def x(self, time: float) -> float:
        share = (time - self.first) / (self.last - self.first)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def y_ticks(self) -> list[float]:
        """Three to six round numbers."""
        rough = (self.high - self.low) / 4
        magnitude = 10.0 ** len(str(int(rough))) / 10 if rough >= 1 else 1.0
        while magnitude > rough:
            magnitude /= 10
        step = next(each * magnitude for each in _TICKS if each * magnitude >= rough)
        first = int(self.low / step) * step
        ticks = (first + number * step for number in range(12))
        return [float(f"{tick:.10g}") for tick in ticks if self.low <= tick <= self.high]

    def x_ticks(self) -> list[tuple[float, str]]:
        """Beginnings of months, at most a dozen; of days where there is less than two months."""
        days = (self.last - self.first) / 86400
        if days < 62:
            step = max(1, round(days / 8)) * 86400
            start = -(-self.first // 86400) * 86400
            moments = [start + number * step for number in range(int(days * 86400 // step) + 1)]
            return [(each, f"{_date(each):%d %b}") for each in moments if each <= self.last]
        every = -(-int(days / 30.4) // 12)
        month = _date(self.first).year * 12 + _date(self.first).month  # the next one, from 0
        ticks = []
        while (time := _month(month)) <= self.last:
            ticks.append((time, f"{_date(time):%b %Y}"))
            month += every
        return ticks


def _bands(frame: _Frame, times: Sequence[float], series: Object) -> Iterator[str]:
    """Polygons between the bounds, one for each stretch in which both are known."""
    pairs = zip(series["lower"], series["upper"], strict=True)
    known = [low is not None and high is not None for low, high in pairs]
    for first, last in _runs(known):
        step = max(1, (last - first) // MOST_POINTS + 1)
        places = [*range(first, last + 1, step)]
        above = [(frame.x(times[at]), frame.y(series["upper"][at])) for at in places]
        below = [(frame.x(times[at]), frame.y(series["lower"][at])) for at in reversed(places)]
        yield " ".join(f"{x},{y}" for x, y in above + below)


def _runs(flags: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """(first, last) of each stretch of true ones."""
    first = None
    for place, flag in enumerate([*flags, False]):
        if flag and first is None:
            first = place
        elif not flag and first is not None:
            yield first, place - 1
            first = None


def _known(times: Sequence[float], values: Sequence[float | None]) -> list[Point]:
    known = [(t, value) for t, value in zip(times, values, strict=True) if value is not None]
    return known[:: max(1, len(known) // MOST_POINTS + 1)]


def _thinned(points: Sequence[Point]) -> list[Point]:
    """All of a short line; of a long one the extremes of each stretch, so that no dip is lost."""
    if len(points) <= MOST_POINTS:
        return list(points)
    stretch = 2 * -(-len(points) // MOST_POINTS)
    kept: list[Point] = []
    for start in range(0, len(points), stretch):
        part = points[start : start + stretch]
        ends = {min(part, key=lambda each: each[1]), max(part, key=lambda each: each[1])}
        kept += sorted(ends)
    return kept


def _line(frame: _Frame, points: Sequence[Point]) -> str:
    return " ".join(f"{frame.x(time)},{frame.y(value)}" for time, value in points)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).replace(tzinfo=timezone.utc).timestamp()


def _date(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def _month(number: int) -> float:
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=timezone.utc).timestamp()


# -------------------------------------------------------------------- detected against alarms

_TRADE_OFF = {"width": 420.0, "height": 200.0, "left": 46.0, "bottom": 40.0, "top": 10.0}


def _trade_off(check: Object) -> dict[str, Any] | None:
    """What other thresholds would detect, and how often they would alarm; None without faults."""
    sweep = [each for each in check["sweep"] if each["detected"] is not None]
    if len(sweep) < 2:
        return None
    recommendation = check["recommendation"]
    marked = [each for each in (recommendation["now"], recommendation["then"]) if each]
    shown = max(3.0, *(3 * each["alarms_per_month"] for each in marked))
    sweep = [each for each in sweep if each["alarms_per_month"] <= shown]
    inner = _TRADE_OFF["width"] - _TRADE_OFF["left"] - 12
    floor = _TRADE_OFF["height"] - _TRADE_OFF["bottom"]

    def place(each: Object) -> Point:
        x = _TRADE_OFF["left"] + each["alarms_per_month"] / shown * inner
        return round(x, 1), round(floor - each["detected"] * (floor - _TRADE_OFF["top"]), 1)

    return {
        "line": " ".join(f"{x},{y}" for x, y in map(place, sweep)),
        "points": [
            (
                *place(each),
                f"{each['threshold']}: {percent_text(each['detected'])} detected,"
                f" {rate_text(each['alarms_per_month'])} alarms a month",
            )
            for each in sweep
        ],
        "now": (*place(marked[0]), marked[0]["threshold"]),
        "then": (*place(marked[1]), marked[1]["threshold"]) if len(marked) > 1 else None,
        "x_ticks": [
            (round(_TRADE_OFF["left"] + share * inner, 1), rate_text(share * shown))
            for share in (0, 0.25, 0.5, 0.75, 1)
        ],
        "y_ticks": [
            (round(floor - share * (floor - _TRADE_OFF["top"]), 1), percent_text(share))
            for share in (0, 0.5, 1)
        ],
        "floor": floor,
    }
