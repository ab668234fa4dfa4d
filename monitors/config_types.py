"""The types of values in rampart.yml; each says in words what it allows."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Section(BaseModel):
    """Unknown keys are errors: a typo must not switch a guard off."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(second|minute|hour|day|week)s?", str(value).strip())
    if not found:
        raise ValueError("a duration like `6 hours` or `30 days`")
    try:
        return timedelta(seconds=float(found[1]) * _UNITS[found[2]])
    except OverflowError:
        raise ValueError("a duration that a calendar can hold") from None


def duration_of(text: str) -> timedelta | None:
    """`3 days` as a span; None when it is none."""
    try:
        found: timedelta = _duration(text)
    except ValueError:
        return None
    return found


def _table(value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*", value):
        raise ValueError("a lower-case `schema.table`")
    return value


def _column(value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", value):
        raise ValueError("a column as it is named in raw: lower case, `_` for other characters")
    return value


def _delimiter(value: Any) -> Any:
    # the numbers and moments that go before each record must not hold it
    if not isinstance(value, str) or len(value) != 1 or value not in "\t ,;|^~#!$&*/@=<>":
        raise ValueError("one of , ; | ^ ~ # and the like, or a tab")
    return value


def _moment_format(value: Any) -> Any:
    directives = re.findall("%(.?)", value) if isinstance(value, str) else []
    if not directives or not set(directives) <= set("YmdHMS") or "Y" not in directives:
        raise ValueError("a date of %Y %m %d %H %M %S, the year among them")
    return value


def _encoding(value: Any) -> Any:
    # lines and quotes are found before anything is decoded
    ascii_text = "\t\n\r" + "".join(map(chr, range(32, 127)))
    try:
        sound = ascii_text.encode("ascii").decode(value) == ascii_text
    except (LookupError, UnicodeError, TypeError, ValueError):
        sound = False
    if not sound:
        raise ValueError("an encoding that Python knows and that holds ASCII, like utf-8 or cp1252")
    return value


def _weekday(value: Any) -> Any:
    if isinstance(value, str) and value.lower() in _WEEKDAYS:
        return _WEEKDAYS.index(value.lower()) + 1
    raise ValueError("a day of the week like `saturday`")


def _day(value: Any) -> Any:
    try:
        if not isinstance(value, datetime):
            return date.fromisoformat(str(value))
    except ValueError:
        pass
    raise ValueError("a date like 2026-12-25")


def _time_zone(value: Any) -> Any:
    try:
        return ZoneInfo(value).key
    except (LookupError, OSError, TypeError, ValueError, AttributeError):
        raise ValueError("a time zone like Europe/Berlin") from None


def _optional_file(value: Any) -> Any:
    if value is False or value == "off":  # YAML reads a bare `off` as false
        return None
    if isinstance(value, (str, Path)) and str(value).strip():
        return Path(value)
    raise ValueError("a file like `target/rampart_report.html`, or `off`")


def refuse(_value: Any) -> Any:
    """For what is no key of the file."""
    raise ValueError("no such key: it is the folder of the file")


Duration = Annotated[timedelta, BeforeValidator(_duration)]
OptionalFile = Annotated[Path | None, BeforeValidator(_optional_file)]
"""None: `off`."""
TableName = Annotated[str, BeforeValidator(_table)]
Share = Annotated[float, Field(ge=0, le=1)]
ColumnName = Annotated[str, BeforeValidator(_column)]
Delimiter = Annotated[str, BeforeValidator(_delimiter)]
MomentFormat = Annotated[str, BeforeValidator(_moment_format)]
Encoding = Annotated[str, BeforeValidator(_encoding)]
Weekday = Annotated[int, BeforeValidator(_weekday)]
"""1 is Monday, 7 is Sunday, as ISO 8601 counts them."""
Day = Annotated[date, BeforeValidator(_day)]
TimeZone = Annotated[str, BeforeValidator(_time_zone)]
