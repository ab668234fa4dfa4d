"""Time as a feed's calendar counts it: hours of a closed day do not pass."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from monitors.config_feeds import Calendar


def is_closed(day: date, calendar: Calendar) -> bool:
    """Whether nothing is expected on a day."""
    return day.isoweekday() in calendar.closed or day in calendar.holidays


def open_between(begin: datetime, end: datetime, calendar: Calendar) -> timedelta:
    """Open time from one moment to another; nothing when the other lies before it."""
    passed = timedelta(0)
    while begin < end:
        day, until = _rest_of_day(begin, calendar)
        until = min(until, end)
        if not is_closed(day, calendar):
            passed += until - begin
        begin = until
    return passed


def open_before(end: datetime, duration: timedelta, calendar: Calendar) -> datetime:
    """The moment that lies so much open time before another.

    For example 20 hours before Monday 06:00, Saturday and Sunday being closed, is Friday 10:00.
    """
    left = duration
    while True:
        day, begin = _day_before(end, calendar)
        if not is_closed(day, calendar):
            if end - begin >= left:
                return end - left
            left -= end - begin
        end = begin


def _rest_of_day(moment: datetime, calendar: Calendar) -> tuple[date, datetime]:
    """(the day of a moment, the midnight that ends it)."""
    day = moment.astimezone(ZoneInfo(calendar.timezone)).date()
    return day, _midnight(day + timedelta(days=1), calendar)


def _day_before(moment: datetime, calendar: Calendar) -> tuple[date, datetime]:
    """(the day just before a moment, the midnight that begins it)."""
    day = moment.astimezone(ZoneInfo(calendar.timezone)).date()
    if (begin := _midnight(day, calendar)) == moment:
        day -= timedelta(days=1)
        begin = _midnight(day, calendar)
    return day, begin


def _midnight(day: date, calendar: Calendar) -> datetime:
    zoned = datetime.combine(day, time(), ZoneInfo(calendar.timezone))
    return zoned.astimezone(timezone.utc)
