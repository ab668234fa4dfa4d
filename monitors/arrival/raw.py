"""Raw tables: what arrived, as text, plus where it stands in which delivery."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from psycopg import sql

from monitors.config_feeds import Feed
from monitors.warehouse.connection import Connection

DELIVERY, ROW, MOMENT = "_delivery_id", "_source_row", "_extracted_at"
PAYLOAD = "payload"
RESERVED = (DELIVERY, ROW, MOMENT, "tableoid", "ctid", "xmin", "cmin", "xmax", "cmax")
"""Ours, and those that every table of Postgres has already."""

MOST_COLUMNS = 1600
"""What Postgres allows a table."""


@dataclass(frozen=True, slots=True)
class Drift:
    """How a header differs from the columns that are known."""

    added: tuple[str, ...]
    missing: tuple[str, ...]


NO_DRIFT = Drift((), ())


def column_names(header: list[str]) -> list[str]:
    """Header cells as column names: lower case, other characters `_`, repeats numbered.

    `PM2.5` becomes `pm2_5`, `Audit_Phase__c` becomes `audit_phase__c`, an empty cell `column_3`.
    """
    names: list[str] = []
    for position, cell in enumerate(header, start=1):
        name = re.sub(r"[^0-9a-z_]", "_", cell.strip().lower()) or f"column_{position}"
        if name[0].isdigit():
            name = f"_{name}"
        unique, count = name[:63], 1
        while unique in names or unique in RESERVED:
            count += 1
            unique = f"{name[:58]}_{count}"
        names.append(unique)
    return names


def ensure_table(connection: Connection, feed: Feed) -> None:
    """Create the feed's raw table with its declared columns, so that models can always be built."""
    if _exists(connection, feed):
        if feed.format == "csv":
            _add_columns(connection, feed, feed.columns)  # declared since the table was made
        return
    moment = sql.SQL(", _extracted_at timestamptz not null") if feed.extract else sql.SQL("")
    columns: list[sql.Composable] = (
        [sql.SQL("payload json not null")]
        if feed.is_json
        else [sql.SQL("{} text").format(sql.Identifier(name)) for name in feed.columns]
    )
    # Two loads at once may both see no table: one creates it, the other waits here.
    connection.execute("select pg_advisory_xact_lock(hashtextextended('rampart.raw', 0))")
    connection.execute(
        sql.SQL("create schema if not exists {}").format(sql.Identifier(feed.schema_name))
    )
    connection.execute(
        sql.SQL(
            "create table if not exists {table}"
            " (_delivery_id bigint not null, _source_row bigint not null{moment}{comma}{columns})"
        ).format(
            table=table(feed),
            moment=moment,
            comma=sql.SQL(", " if columns else ""),
            columns=sql.SQL(", ").join(columns),
        )
    )
    # Deliveries are appended one after the other: a block range index costs next to nothing.
    connection.execute(
        sql.SQL(
            "create index if not exists {name} on {table}"
            " using brin (_delivery_id) with (pages_per_range = 16)"
        ).format(name=sql.Identifier(f"{feed.table_name}_by_delivery"), table=table(feed))
    )


def fit_columns(connection: Connection, feed: Feed, columns: list[str]) -> Drift:
    """Add the columns that are new; says what is new and what is missing."""
    known = _columns(connection, feed)
    added = _add_columns(connection, feed, columns)
    expected = feed.columns or known
    return Drift(
        # The first file of a feed that declares nothing defines the columns: that is no drift.
        added=added if known else (),
        missing=tuple(name for name in expected if name not in columns),
    )


def no_room(connection: Connection, feed: Feed, columns: list[str]) -> str | None:
    """Why a header does not fit into the table any more, or None; a dropped column counts, too."""
    new = set(columns) - set(_columns(connection, feed))
    used = connection.execute(
        "select count(*) from pg_attribute where attrelid = %s::regclass and attnum > 0",
        (feed.table,),
    ).fetchone()
    held = int(used[0]) if used else 0
    if held + len(new) <= MOST_COLUMNS:
        return None
    return (
        f"its header names {len(new)} new columns, {feed.table} has {held}, and a table of Postgres"
        f" holds {MOST_COLUMNS}"
    )


def summarise(connection: Connection, feed: Feed) -> None:
    """Let the block range index know the rows that were just loaded.

    Postgres itself does so at the next vacuum; until then it reads all new pages for each delivery.
    """
    connection.execute(
        "select brin_summarize_new_values(index.oid) from pg_class as index"
        " where index.oid = to_regclass(%s) and pg_has_role(index.relowner, 'usage')",
        (f"{feed.table}_by_delivery",),
    )


def _add_columns(
    connection: Connection, feed: Feed, columns: Iterable[str]
) -> tuple[str, ...]:  # fmt: skip
    known = _columns(connection, feed)
    added = tuple(name for name in columns if name not in known)
    for name in added:
        connection.execute(
            sql.SQL("alter table {} add column if not exists {} text").format(
                table(feed), sql.Identifier(name)
            )
        )
    return added


def table(feed: Feed) -> sql.Identifier:
    return sql.Identifier(feed.schema_name, feed.table_name)


def _exists(connection: Connection, feed: Feed) -> bool:
    row = connection.execute("select to_regclass(%s)", (feed.table,)).fetchone()
    return bool(row and row[0])


def _columns(connection: Connection, feed: Feed) -> tuple[str, ...]:
    rows = connection.execute(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0"
        " and not attisdropped order by attnum",
        (feed.table,),
    ).fetchall()
    return tuple(row[0] for row in rows if row[0] not in (DELIVERY, ROW, MOMENT))
