"""What was rejected of a feed: the share per load, and the reasons with what each cost per day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

from monitors.show import page_charts as charts
from monitors.store.pages import Pages, Rate, Reason

LOADS = 40
REASONS = 6
DAYS_DRAWN = 90
DAYS_LISTED = 14


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """A reason with its rows per day, drawn."""

    reason: Reason
    bars: charts.DayBars


@dataclass(frozen=True, slots=True)
class QuarantineView:
    """What was rejected of a feed."""

    feed: str
    rates: tuple[Rate, ...]
    reasons: tuple[ReasonRow, ...]
    by_day: tuple[tuple[date, tuple[int, ...]], ...]
    """The latest days on which something was rejected, with the rows of each reason."""
    more_days: int
    chart: charts.Chart | None
    limit: float | None
    is_unread: bool = False
    """It takes longer than a page may: nothing is known, which is not the same as nothing."""

    @property
    def is_worth_a_look(self) -> bool:
        return bool(self.rates or self.reasons or self.is_unread)


def read_quarantine(
    pages: Pages, feed: str, since: datetime, now: datetime, limit: float | None
) -> QuarantineView:
    """`limit`: what its check of the rate allows."""
    try:
        rates = pages.quarantine_rates(feed, LOADS)
        reasons = pages.quarantine_reasons(feed, since, REASONS)
    except TimeoutError:
        return QuarantineView(feed, (), (), (), 0, None, limit, is_unread=True)
    days = sorted({day for reason in reasons for day in reason.per_day}, reverse=True)
    listed = days[:DAYS_LISTED]
    return QuarantineView(
        feed,
        tuple(rates),
        reason_rows(reasons, now.astimezone(timezone.utc).date()),
        tuple((day, tuple(each.per_day.get(day, 0) for each in reasons)) for day in listed),
        len(days) - len(listed),
        charts.quarantine(rates, limit),
        limit,
    )


def reason_rows(reasons: list[Reason], today: date) -> tuple[ReasonRow, ...]:
    """All on one scale and over the same days, so that one can be held against the other."""
    oldest = today - timedelta(days=DAYS_DRAWN - 1)
    days = [day for reason in reasons for day in reason.per_day if day >= oldest]
    # a young history takes the whole room, not the last corner of it
    first = min(days, default=today)
    top = max((rows for reason in reasons for rows in reason.per_day.values()), default=1)
    return tuple(
        ReasonRow(reason, charts.day_bars(reason.per_day, first, today, top)) for reason in reasons
    )
