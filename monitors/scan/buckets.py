"""Rows of a table counted per hour or day on a calendar: a bucket without rows is a zero."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from typing import Literal
from zoneinfo import ZoneInfo

from psycopg import sql

from monitors.config_volumes import Every, Volume
from monitors.errors import ChecksError
from monitors.warehouse.connection import Connection

WHOLE = ""
"""The segment that stands for the whole table."""
READ_AGAIN = {"day": timedelta(days=2), "hour": timedelta(hours=24)}
"""A load that was mended shows: what was counted last is counted again."""
LOOKED_AT = {"day": timedelta(days=365), "hour": timedelta(days=130)}
"""How far back the model looks."""
TimeType = Literal["date", "timestamp without time zone", "timestamp with time zone"]


@dataclass(frozen=True, slots=True)
class Grid:
    """The calendar of buckets: days begin at midnight of a time zone, hours are those of UTC."""

    every: Every
    timezone: str = "UTC"

    def floor(self, moment: datetime) -> datetime:
        """The start of the bucket in which a moment lies, in UTC."""
        if self.every == "hour":
            return moment.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)
        return self.of_day(moment.astimezone(ZoneInfo(self.timezone)).date())

    def of_day(self, day: date) -> datetime:
        """The midnight with which a day begins, in UTC."""
        return datetime.combine(day, time(), ZoneInfo(self.timezone)).astimezone(timezone.utc)

    def after(self, start: datetime) -> datetime:
        """The end of a bucket, which is the start of the next; a day may have 23 or 25 hours."""
        if self.every == "hour":
            return start + timedelta(hours=1)
        return self.of_day(start.astimezone(ZoneInfo(self.timezone)).date() + timedelta(days=1))

    def starts(self, since: datetime, until: datetime) -> Iterator[datetime]:
        """Every bucket from `since`, itself a start, that ends at `until` or before."""
        while (end := self.after(since)) <= until:
            yield since
            since = end


@dataclass(slots=True)
class Counted:
    """What a table has between two moments: `{segment: {start of the bucket: rows}}`."""

    rows: dict[str, dict[datetime, int]] = field(default_factory=dict)
    first_row_at: datetime | None = None

    def spine(
        self, grid: Grid, since: datetime, until: datetime, known: Mapping[str, datetime]
    ) -> Iterator[tuple[str, datetime, int]]:
        """(segment, start, rows) without a gap, zeros included.

        `known` says of each segment that the store has from where on; a new one begins with its
        first row, the whole table with the first bucket that is whole.
        """
        starts = list(grid.starts(since, until))
        begins = self._first_whole_bucket(grid)
        for segment in sorted({*self.rows, *known}):
            found = self.rows.get(segment, {})
            first = known.get(segment)
            if first is None:
                first = max(min(found), begins or min(found))
            for start in starts:
                if start >= first:
                    yield segment, start, found.get(start, 0)

    def _first_whole_bucket(self, grid: Grid) -> datetime | None:
        """A table that begins late in a bucket has only a part of it."""
        if self.first_row_at is None:
            return None
        start = grid.floor(self.first_row_at)
        end = grid.after(start)
        return end if self.first_row_at - start > (end - start) / 12 else start


def count_rows(
    connection: Connection, dataset: str, volume: Volume, since: datetime, until: datetime
) -> Counted:
    """Rows per segment and bucket with `since` <= time < `until`, by the range of an index.

    Raises ChecksError when a column is absent or no time; psycopg.Error when the table is.
    """
    grid = Grid(volume.every, volume.timezone)
    columns = _columns(connection, dataset)
    kind = _time_type(columns, dataset, volume)
    if volume.segment is not None and volume.segment not in columns:
        raise ChecksError(_no_column(dataset, "segment", volume.segment, columns))
    low, high = (_as_type(moment, kind, volume.timezone) for moment in (since, until))
    column = sql.Identifier(volume.time)
    query = sql.SQL(
        "select {segment} as segment, {bucket} as bucket, count(*) as row_count,"
        " min({column}) as first_at from {table}"
        " where {column} >= %(low)s and {column} < %(high)s group by 1, 2"
    ).format(
        segment=_segment(volume),
        bucket=_bucket(kind, volume),
        column=column,
        table=sql.Identifier(*dataset.split(".")),
    )
    counted = Counted()
    whole: dict[datetime, int] = {}
    firsts = []
    for segment, bucket, row_count, first_at in connection.execute(
        query, {"low": low, "high": high}
    ):
        start = _start(bucket, grid)
        whole[start] = whole.get(start, 0) + row_count
        firsts.append(_start(first_at, grid))
        if segment is not None:
            counted.rows.setdefault(segment, {})[start] = row_count
    if whole:
        counted.rows[WHOLE] = whole
        counted.first_row_at = min(firsts)
    return counted


def _columns(connection: Connection, dataset: str) -> dict[str, str]:
    """{column: its type}, of a table or a view; raises psycopg.Error when there is none."""
    return dict(
        connection.execute(
            "select attname, format_type(atttypid, null) from pg_attribute"
            " where attrelid = %s::regclass and attnum > 0 and not attisdropped",
            (sql.Identifier(*dataset.split(".")).as_string(connection),),
        ).fetchall()
    )


def _time_type(columns: Mapping[str, str], dataset: str, volume: Volume) -> TimeType:
    if volume.time not in columns:
        raise ChecksError(_no_column(dataset, "time", volume.time, columns))
    kind = columns[volume.time]
    if kind == "date" and volume.every == "hour":
        raise ChecksError(f"{dataset}: `{volume.time}` is a date, and a date has no hours")
    if kind in ("date", "timestamp without time zone", "timestamp with time zone"):
        return kind  # type: ignore[return-value]  # narrowed by the line before
    raise ChecksError(
        f"{dataset}: `{volume.time}` is {kind}, allowed is date, timestamp or timestamptz"
    )


def _no_column(dataset: str, key: str, column: str, columns: Mapping[str, str]) -> str:
    return f"{dataset}: {key}: found `{column}`, allowed is one of {', '.join(sorted(columns))}"


def _as_type(moment: datetime, kind: TimeType, zone: str) -> datetime | date:
    """A bound as the column holds it, so that its index can be used."""
    if kind == "timestamp with time zone":
        return moment
    local = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    return local.date() if kind == "date" else local


def _segment(volume: Volume) -> sql.Composable:
    if volume.segment is None:
        return sql.SQL("cast(null as text)")
    # the blank one stands for the whole table
    return sql.SQL("coalesce(nullif(cast({} as text), ''), '(blank)')").format(
        sql.Identifier(volume.segment)
    )


def _bucket(kind: TimeType, volume: Volume) -> sql.Composable:
    column = sql.Identifier(volume.time)
    zone = sql.Literal(volume.timezone)
    if kind == "date":
        return column
    if volume.every == "day" and kind == "timestamp with time zone":
        return sql.SQL("cast({} at time zone {} as date)").format(column, zone)
    if volume.every == "day":
        return sql.SQL("cast({} as date)").format(column)
    if kind == "timestamp with time zone":
        return sql.SQL("date_trunc('hour', {})").format(column)
    return sql.SQL("date_trunc('hour', {} at time zone {})").format(column, zone)


def _start(value: date | datetime, grid: Grid) -> datetime:
    """A moment of the database in UTC; one without a time zone is read in the declared one."""
    if not isinstance(value, datetime):
        return grid.of_day(value)
    if value.tzinfo is None:
        value = value.replace(tzinfo=ZoneInfo(grid.timezone))
    return value.astimezone(timezone.utc)
