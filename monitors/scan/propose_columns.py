"""What the columns of a table are for, by name and type: time, key, money, version, segment.

Pure. A guess says why; what a name suggests, the measured values must confirm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitors.scan.propose_marts import Mart
from monitors.warehouse.tables import Column, Measured, Table

_DATES = ("date", "timestamp", "timestamptz")
_NUMBERS = ("int2", "int4", "int8", "numeric", "float4", "float8", "money")
_TEXTS = ("text", "varchar", "bpchar")
_KEYS = (*_TEXTS, "int2", "int4", "int8", "numeric", "uuid")

_TIME = re.compile(
    r"_(at|ts|tstamp|timestamp|time|datetime|date|dt|day|on|utc|synced)$"
    r"|^(date|day|ts|timestamp|datetime|time|created|updated|modified|occurred)$|^(date|ts|dt)_"
)
_BY_LOADING = re.compile(r"load|ingest|insert|extract|sync|import|etl|^dbt_|_dbt_")
_MOVES = re.compile(r"updat|modif|chang|last_|latest|most_recent|edit")
_EVENT = re.compile(r"event|creat|occur|order|purchas|transact|measur|sent|start|record|book|paid")
_ASIDE = re.compile(
    r"end(s|ed)?_|finish|deliver|ship|cancel|delet|clos|approv|resolv|refund|return|confirm"
)
_NEVER = re.compile(
    r"birth|dob|hire|signup|due|expir|valid_|effective|plan|schedul|estimat|expect|renew|until"
    r"|first_|previous_|prior_|next_|min_"
)
"""What was planned, what holds until when, and what stands for many rows: no clock of a row."""

_MONEY = re.compile(
    r"(^|_)(amount|amt|revenue|price|cost|total|subtotal|tax|fee|fees|discount|payment|paid|balance"
    r"|spend|gmv|mrr|arr|ltv|value|sales|profit|margin|salary|usd|eur|gbp|cents)(_|$)"
)
_NO_MONEY = re.compile(
    r"(^|_)(id|key|count|number|num|rate|pct|percent|flag|rank|seq|sequence|points?)(_|$)|^(n|is|has)_"
)
_SEGMENT = re.compile(
    r"(^|_)(status|type|category|country|region|channel|source|segment|plan|currency|store|tenant"
    r"|brand|platform|market|tier|state|method|event_name)$"
)
_ID = re.compile(r"^(id|uuid|guid|key|sk|pk)$|_(id|uuid|guid|key|sk|pk|code|number)$")
_FROM = re.compile(r"^(?P<head>.*?(?:valid|effective|eff))_(?P<word>from|start)(?P<tail>.*)$")
_ENDS = {"from": ("to", "until", "thru", "through"), "start": ("end", "stop")}
_CURRENT = re.compile(r"^(is_|dbt_is_)?(current|latest|active)(_(flag|record|row|version))?$")

NULLS_OF_A_CLOCK = 0.05
"""A time column with a larger share of nulls says nothing of the rows without one."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The column that says when a row happened. `moves`: an old row may take a new value."""

    column: str
    is_date: bool
    moves: bool
    why: str


@dataclass(frozen=True, slots=True)
class History:
    """The columns that make a table an SCD2 dimension."""

    valid_from: str
    valid_to: str
    is_current: str | None


@dataclass(frozen=True, slots=True)
class Roles:
    """Columns that may serve as each; the measured values decide."""

    moments: tuple[Column, ...]
    money: tuple[str, ...]
    ids: tuple[str, ...]
    segments: tuple[str, ...]
    history: History | None


def roles_of(table: Table) -> Roles:
    """By name and type alone."""
    history = history_of(table)
    versioned = {history.valid_from, history.valid_to, history.is_current} if history else set()
    columns = [each for each in table.columns if each.name not in versioned]
    moments = [each for each in columns if each.type in _DATES and _is_clock(each.name)]
    return Roles(
        moments=tuple(moments[:8]),
        money=tuple(each.name for each in columns if _is_money(each))[:8],
        ids=tuple(
            each.name for each in columns if each.type in _KEYS and _ID.search(words_of(each.name))
        )[:6],
        segments=tuple(
            each.name
            for each in columns
            if each.type in _TEXTS and _SEGMENT.search(words_of(each.name))
        )[:4],
        history=history,
    )


def history_of(table: Table) -> History | None:
    """A beginning and an end of validity under matching names."""
    names = {words_of(each.name): each for each in table.columns if each.type in _DATES}
    for name, column in names.items():
        found = _FROM.match(name)
        if not found:
            continue
        for word in _ENDS[found["word"]]:
            end = names.get(f"{found['head']}_{word}{found['tail']}")
            if end is not None:
                current = (
                    each.name
                    for each in table.columns
                    if each.type == "bool" and _CURRENT.match(words_of(each.name))
                )
                return History(column.name, end.name, next(current, None))
    return None


def pick_clock(table: Table, roles: Roles, measured: Measured, now: float) -> Clock | None:
    """The best of the time columns: of an event, never null, to the second, with recent rows.

    `now` in epoch seconds. None when no column says when its row happened.
    """
    newest = {
        each.name: moment
        for each in roles.moments
        if (moment := measured.newest.get(each.name)) is not None and moment <= now + 86400
    }
    ranked = sorted(
        (each for each in roles.moments if each.name in newest),
        key=lambda each: -_score(each, measured, newest),
    )
    best = next(iter(ranked), None)
    if best is None or _score(best, measured, newest) < 4:
        return None
    others = [each.name for each in ranked[1:]]
    return Clock(
        column=best.name,
        is_date=best.type == "date",
        moves=_is_moving(best.name),
        why=_why_clock(best, measured, others),
    )


def natural_key(
    mart: Mart, history: History, current_rows: int | None, distinct: Mapping[str, int]
) -> tuple[str, ...]:
    """Of whom each row is a version: as the project says, or else the id that the current versions
    have once each, the one with the fewest values."""
    candidates = [mart.key, *(test.columns for test in mart.tests if is_key_test(test.kind))]
    for key in candidates:
        rest = tuple(each for each in key if each not in (history.valid_from, history.valid_to))
        if rest and (mart.is_snapshot or rest != key):
            return rest
    fitting = [name for name, count in distinct.items() if count == current_rows]
    return tuple(sorted(fitting, key=lambda name: bool(re.search(r"_(key|sk|pk)$", name)))[:1])


def is_key_test(kind: str) -> bool:
    """dbt's own, dbt_utils', dbt_expectations' and dbt_constraints' words for `unique`."""
    return kind in (
        "unique",
        "unique_combination_of_columns",
        "primary_key",
        "unique_key",
        "expect_column_values_to_be_unique",
        "expect_compound_columns_to_be_unique",
    )


def guessed_key(
    mart: Mart, ids: Sequence[str], rows: int, distinct: Mapping[str, int]
) -> str | None:
    """An id that has no value twice today; of several the one that is called like the table, and
    of a few rows only such a one."""
    called = words_of(mart.table)
    words = {*re.sub(r"e?s$", "", called).split("_"), *called.removesuffix("s").split("_")}
    unique = [
        name
        for name in ids
        if rows and distinct.get(name) == rows and (rows >= 10 or _is_called(name, words))
    ]
    return min(unique, key=lambda name: not _is_called(name, words), default=None)


def _is_called(name: str, words: set[str]) -> bool:
    """Whether an id is called like its table, or just id."""
    parts = words_of(name).split("_")
    return parts in (["id"], ["uuid"]) or bool(words & set(parts))


def words_of(name: str) -> str:
    """Order ID, OrderId and order_id are one name."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9_]+", "_", apart.lower())


def _is_clock(name: str) -> bool:
    lower = words_of(name)
    return bool(_TIME.search(lower)) and not _NEVER.search(lower)


def _is_moving(name: str) -> bool:
    return bool(_MOVES.search(words_of(name)) or _BY_LOADING.search(words_of(name)))


def _is_money(column: Column) -> bool:
    name = words_of(column.name)
    return bool(column.type in _NUMBERS and _MONEY.search(name) and not _NO_MONEY.search(name))


def _score(column: Column, measured: Measured, newest: Mapping[str, float]) -> int:
    name = words_of(column.name)
    nulls = measured.nulls.get(column.name, 0)
    score = 6
    score += 1 if _EVENT.search(name) else 0
    score -= 2 if _is_moving(name) else 0
    score -= 3 if _ASIDE.search(name) else 0
    score += 2 if column.not_null or not nulls else 0
    score -= 4 if nulls > NULLS_OF_A_CLOCK * max(measured.rows, 1) else 0
    score += 1 if column.type != "date" else 0
    score += 1 if newest[column.name] >= max(newest.values()) - 2 * 86400 else 0
    return score


def _why_clock(column: Column, measured: Measured, others: Sequence[str]) -> str:
    nulls = measured.nulls.get(column.name, 0)
    said = "never null" if column.not_null or not nulls else f"null in {nulls:,} rows"
    said += ", a date" if column.type == "date" else ", a moment"
    return said + (f"; passed over: {', '.join(others)}" if others else "; no other column fits")
