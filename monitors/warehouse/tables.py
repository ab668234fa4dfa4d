"""What stands in a table: its columns and keys from the catalog, and what is measured in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from psycopg import sql

from monitors.warehouse.connection import Connection

DAYS_READ = 400
"""So many days before its newest row a table's days are counted."""
FAR_AWAY = "9000-01-01"
"""From here on a moment means `for ever`."""

_COLUMNS = """
with

relation as (
    select
        pg_class.oid,
        pg_class.relkind
    from pg_class
    inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
    where pg_namespace.nspname = %(schema)s and pg_class.relname = %(name)s
),

keys as (
    select
        pg_index.indexrelid,
        array_agg(cast(pg_attribute.attname as text) order by pg_attribute.attnum) as key_columns
    from relation
    inner join pg_index on relation.oid = pg_index.indrelid
    inner join pg_attribute
        on pg_index.indrelid = pg_attribute.attrelid
        and pg_attribute.attnum = any(pg_index.indkey)
    where
        pg_index.indisunique
        and pg_index.indisvalid
        and pg_index.indpred is null
        and pg_index.indexprs is null
    group by pg_index.indexrelid
)

select
    relation.relkind,
    cast(pg_attribute.attname as text),
    cast(pg_type.typname as text),
    pg_attribute.attnotnull,
    (select coalesce(json_agg(keys.key_columns), '[]') from keys)
from relation
inner join pg_attribute on relation.oid = pg_attribute.attrelid
inner join pg_type on pg_attribute.atttypid = pg_type.oid
where pg_attribute.attnum > 0 and not pg_attribute.attisdropped
order by pg_attribute.attnum
"""


@dataclass(frozen=True, slots=True)
class Column:
    """`type` as Postgres names it inside: int4, numeric, timestamptz, bpchar."""

    name: str
    type: str
    not_null: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view; `keys`: what a unique index or constraint enforces."""

    schema: str
    name: str
    is_view: bool
    columns: tuple[Column, ...]
    keys: tuple[tuple[str, ...], ...] = ()

    def column(self, name: str) -> Column | None:
        return next((each for each in self.columns if each.name == name), None)


@dataclass(frozen=True, slots=True)
class Measured:
    """One pass over a table. Nulls, negative and distinct values per column; `newest`: in epoch
    seconds, of a column's last moment that is not for ever."""

    rows: int
    nulls: dict[str, int] = field(default_factory=dict)
    negatives: dict[str, int] = field(default_factory=dict)
    newest: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Days:
    """Rows per day (UTC) of a time column, days without rows left out; in how many of the 24
    hours there are rows."""

    counts: tuple[tuple[date, int], ...]
    hours: int


@dataclass(frozen=True, slots=True)
class Versions:
    """Faults of version chains, and by how many seconds most ends lie before the next beginning."""

    several_current: int
    overlaps: int
    gaps: int
    turned: int
    ends_for_ever: bool
    usual_step: float | None


def read_table(connection: Connection, schema: str, name: str) -> Table | None:
    """Columns and keys by the catalog, or None when there is no such table."""
    rows = connection.execute(_COLUMNS, {"schema": schema, "name": name}).fetchall()
    if not rows:
        return None
    columns = tuple(Column(column, type_, not_null) for _, column, type_, not_null, _ in rows)
    keys = tuple(tuple(key) for key in rows[0][4])
    return Table(schema, name, rows[0][0] in ("v", b"v"), columns, keys)


def measure(
    connection: Connection,
    table: Table,
    *,
    nulls: Sequence[str] = (),
    negatives: Sequence[str] = (),
    moments: Sequence[str] = (),
) -> Measured:
    """One sequential pass over the table for all of it."""
    parts: list[sql.Composable] = [sql.SQL("count(*)")]
    parts += [sql.SQL("count(*) - count({})").format(sql.Identifier(each)) for each in nulls]
    parts += [
        sql.SQL("count(*) filter (where {} < 0)").format(sql.Identifier(each)) for each in negatives
    ]
    parts += [
        sql.SQL("extract(epoch from max({0}) filter (where {0} < cast({1} as date)))").format(
            sql.Identifier(each), sql.Literal(FAR_AWAY)
        )
        for each in moments
    ]
    row = list(_one(connection, sql.SQL(", ").join(parts), table))
    rows = row.pop(0)
    return Measured(
        rows=rows,
        nulls={each: row.pop(0) for each in nulls},
        negatives={each: row.pop(0) for each in negatives},
        newest={each: _number(row.pop(0)) for each in moments},
    )


def count_distinct(connection: Connection, table: Table, columns: Sequence[str]) -> dict[str, int]:
    """Different values per column, nulls not counted."""
    if not columns:
        return {}
    parts = [sql.SQL("count(distinct {})").format(sql.Identifier(each)) for each in columns]
    return dict(zip(columns, _one(connection, sql.SQL(", ").join(parts), table), strict=True))


def read_days(connection: Connection, table: Table, column: str, newest: float) -> Days:
    """Rows per day over the 400 days up to its newest moment (epoch seconds)."""
    query = sql.SQL(
        """
        with

        moments as (
            select cast({column} as timestamp) as moment
            from {table}
            where
                {column} >= cast(to_timestamp({newest}) at time zone 'UTC' as date) - {days}
                and {column} < cast({far} as date)
        )

        select
            cast(moment as date) as day,
            count(*),
            count(distinct extract(hour from moment))
        from moments
        group by 1
        order by 1
        """
    ).format(
        column=sql.Identifier(column),
        table=sql.Identifier(table.schema, table.name),
        far=sql.Literal(FAR_AWAY),
        newest=sql.Literal(newest),
        days=sql.Literal(DAYS_READ),
    )
    rows = connection.execute(query).fetchall()
    hours = max((hours for _, _, hours in rows), default=0)
    return Days(tuple((day, count) for day, count, _ in rows), hours)


def count_current(
    connection: Connection, table: Table, *, valid_to: str, is_current: str | None
) -> int:
    """Versions that hold now."""
    current = sql.SQL("count(*) filter (where {})").format(_is_current(valid_to, is_current))
    return int(_one(connection, current, table)[0])


def read_versions(
    connection: Connection,
    table: Table,
    *,
    key: Sequence[str],
    valid_from: str,
    valid_to: str,
    is_current: str | None,
) -> Versions:
    """How whole the version chains are today."""
    query = sql.SQL(
        """
        with

        versions as (
            select
                {valid_from} as valid_from,
                {valid_to} as valid_to,
                {current} as is_current,
                row_number() over (
                    partition by {key} order by case when {current} then 0 else 1 end
                ) as nth_current,
                lead({valid_from}) over (partition by {key} order by {valid_from}) as next_from
            from {table}
        )

        select
            count(*) filter (where is_current and nth_current > 1),
            count(*) filter (where next_from is not null and coalesce(valid_to > next_from, true)),
            count(*) filter (where valid_to < next_from),
            count(*) filter (where valid_to <= valid_from),
            coalesce(bool_or(valid_to >= cast({far} as date)), false),
            mode() within group (
                order by extract(
                    epoch from cast(next_from as timestamp) - cast(valid_to as timestamp)
                )
            ) filter (where next_from is not null and valid_to < cast({far} as date))
        from versions
        """
    ).format(
        valid_from=sql.Identifier(valid_from),
        valid_to=sql.Identifier(valid_to),
        current=_is_current(valid_to, is_current),
        key=sql.SQL(", ").join(map(sql.Identifier, key)),
        table=sql.Identifier(table.schema, table.name),
        far=sql.Literal(FAR_AWAY),
    )
    row = connection.execute(query).fetchone()
    assert row is not None  # noqa: S101 - an aggregate always returns
    several, overlaps, gaps, turned, for_ever, step = row
    return Versions(several, overlaps, gaps, turned, for_ever, _number(step))


def _is_current(valid_to: str, is_current: str | None) -> sql.Composable:
    if is_current:
        return sql.Identifier(is_current)
    return sql.SQL("({0} is null or {0} >= cast({1} as date))").format(
        sql.Identifier(valid_to), sql.Literal(FAR_AWAY)
    )


def _one(connection: Connection, parts: sql.Composable, table: Table) -> tuple[Any, ...]:
    query = sql.SQL("select {} from {}").format(parts, sql.Identifier(table.schema, table.name))
    row = connection.execute(query).fetchone()
    assert row is not None  # noqa: S101 - an aggregate always returns
    return row


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
