"""Checks that are valid SodaCL and do not say what their author means.

Soda ignores the `%` of an absolute change, and a bound on one side never sees the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitors.results import number_text

_NUMBER = r"[-+]?\d+(?:\.\d+)?"
_CHANGE = re.compile(
    r"^change\s+(?:(?P<past>(?:avg|min|max)\s+last\s+\d+|same day last week)\s+)?"
    r"(?P<percent>percent\s+)?for\s+(?P<metric>.+?)"
    r"(?:\s*(?P<bound>(?:!=|<>|<=|>=|<|>|=|not between\b|between\b).*))?$"
)
_BETWEEN = re.compile(
    rf"^(?:not )?between\s+[\[(]?\s*({_NUMBER})\s*%?\s+and\s+({_NUMBER})\s*%?\s*[\])]?$"
)
_COMPARED = re.compile(rf"^(<=|>=|<|>)\s*({_NUMBER})\s*%?$")


@dataclass(frozen=True, slots=True)
class Warned:
    """A check that can be evaluated and is probably not what was meant."""

    path: Path
    line: int
    said: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.said}"


def needs_history(text: str, item: Any) -> bool:
    """Whether a check compares with what was measured before."""
    if _CHANGE.match(text):
        return True
    wanted = {"schema": "when schema changes", "group evolution": "when groups change"}.get(text)
    return wanted is not None and wanted in str(item)


def traps(text: str, item: Any) -> Iterator[str]:
    """What a check does not say, each with the form that says it."""
    change = _CHANGE.match(text)
    if change is None:
        return
    bounds = [change["bound"]] if change["bound"] else list(_configured(text, item))
    shape = " ".join(filter(None, ["change", change["past"], "percent for", change["metric"]]))
    if not change["percent"] and any("%" in each for each in bounds):
        size = _size(bounds)
        yield (
            f"`{text}` is a change by the number {size}: Soda ignores the `%`;"
            f" write `{shape} between -{size} and {size}`"
        )
        return
    if change["percent"] is None:
        shape = shape.replace("percent for", "for")
    low, high = _sides(bounds, is_fail=not change["bound"])
    size = _size(bounds)
    if high and not low:
        yield f"`{text}` never sees a drop; write `{shape} between -{size} and {size}`"
    elif low and not high:
        yield f"`{text}` never sees a rise; write `{shape} between -{size} and {size}`"
    elif change["percent"] and (lowest := _lowest(bounds)) is not None and lowest <= -100:
        yield (
            f"`{text}` never sees a drop: nothing falls by more than 100 percent;"
            f" write `{shape} between -50 and {size}`"
        )


def _configured(text: str, item: Any) -> Iterator[str]:
    """The conditions of `fail:` and `warn:`, when the first line has no bound."""
    settings = item.get(text) if isinstance(item, dict) else None
    for key in ("fail", "warn"):
        said = settings.get(key) if isinstance(settings, dict) else None
        if isinstance(said, str) and said.startswith("when "):
            yield said.removeprefix("when ").strip()


def _sides(bounds: list[str], *, is_fail: bool) -> tuple[bool, bool]:
    """Whether a fall, and whether a rise, can break the bounds; true for what is not understood."""
    low = high = False
    for each in bounds:
        compared = _COMPARED.match(each)
        if compared is None:
            return True, True
        is_upper = (compared[1][0] == ">") == is_fail
        low, high = low or not is_upper, high or is_upper
    return (low, high) if bounds else (True, True)


def _size(bounds: list[str]) -> str:
    numbers = [abs(float(each)) for bound in bounds for each in re.findall(_NUMBER, bound)]
    return number_text(max(numbers, default=50.0)).replace(",", "")


def _lowest(bounds: list[str]) -> float | None:
    found = [float(match[1]) for each in bounds if (match := _BETWEEN.match(each))]
    return min(found, default=None)
