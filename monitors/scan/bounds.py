"""The threshold of a SodaCL check, read from its text and written again: `<= 0.05`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_BETWEEN = re.compile(
    rf"\bbetween\s+(?P<low_open>\()?\s*(?P<low>{_NUMBER})\s*%?\s+and\s+"
    rf"(?P<high>{_NUMBER})(?P<percent>\s*%)?\s*(?P<high_open>\))?\s*$"
)
_ONE = re.compile(rf"(?P<sign><=|>=|(?<!!)=|<|>)\s*(?P<value>{_NUMBER})(?P<percent>\s*%)?\s*$")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between which values a check holds; None is no bound, an open one does not hold itself."""

    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False
    suffix: str = ""
    """` %` when the text says so."""

    @property
    def is_exact(self) -> bool:
        """Only one value holds: there is nothing to tune."""
        return self.low is not None and self.low == self.high

    def hold(self, value: float) -> bool:
        below = self.low is not None and (value < self.low or (self.low_open and value == self.low))
        above = self.high is not None and (
            value > self.high or (self.high_open and value == self.high)
        )
        return not below and not above

    def __str__(self) -> str:
        """As SodaCL writes it."""
        if self.low is not None and self.high is not None:
            if self.is_exact:
                return f"= {plain(self.low)}{self.suffix}"
            opened, closed = "(" * self.low_open, ")" * self.high_open
            return f"between {opened}{plain(self.low)} and {plain(self.high)}{self.suffix}{closed}"
        if self.low is not None:
            return f"{'>' if self.low_open else '>='} {plain(self.low)}{self.suffix}"
        if self.high is not None:
            return f"{'<' if self.high_open else '<='} {plain(self.high)}{self.suffix}"
        return "no bound"


def parse_bounds(text: str) -> Bounds | None:
    """The bounds at the end of a check's text; None when it has none, or one of another form."""
    if found := _BETWEEN.search(text):
        if re.search(r"\bnot\s+$", text[: found.start()]):
            return None
        return Bounds(
            low=float(found["low"]),
            high=float(found["high"]),
            low_open=found["low_open"] is not None,
            high_open=found["high_open"] is not None,
            suffix=found["percent"] or "",
        )
    found = _ONE.search(text)
    if found is None:
        return None
    value, sign = float(found["value"]), found["sign"]
    bounds = Bounds(suffix=found["percent"] or "")
    if sign == "=":
        return replace(bounds, low=value, high=value)
    if sign in ("<", "<="):
        return replace(bounds, high=value, high_open=sign == "<")
    return replace(bounds, low=value, low_open=sign == ">")


def with_bounds(text: str, bounds: Bounds) -> str | None:
    """The check's text with another threshold in the place of its own; None when it has none."""
    found = _BETWEEN.search(text) or _ONE.search(text)
    return None if found is None else text[: found.start()] + str(bounds)


def plain(value: float) -> str:
    """A number as a checks file has it: no thousands, no exponent, nothing after a whole one."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.12f}".rstrip("0").rstrip(".") if abs(value) >= 1e-6 else repr(value)


def outward(value: float, *, up: bool, digits: int = 2) -> float:
    """The next rounder number: up or down to so many significant digits."""
    if value == 0 or not math.isfinite(value):
        return value
    step = 10.0 ** (math.floor(math.log10(abs(value))) - digits + 1)
    steps = value / step
    whole = round(steps)
    if not math.isclose(steps, whole, rel_tol=1e-9):
        whole = math.ceil(steps) if up else math.floor(steps)
    return float(f"{whole * step:.12g}")
