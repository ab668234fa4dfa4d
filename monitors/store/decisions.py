"""The quarantine ledger, which dbt derives, and the decisions about its rows, which the store owns.

Like the store it takes a connection and never commits; the composition does.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg import sql
from psycopg.types.json import set_json_loads

from monitors.store.sql import statement
from monitors.warehouse.connection import Connection


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows of the ledger; what is None selects nothing out."""

    feed: str | None = None
    rule: str | None = None
    delivery: int | None = None
    row: int | None = None

    @property
    def is_everything(self) -> bool:
        return self == Selection()


@dataclass(frozen=True, slots=True)
class LedgerGroup:
    """Rows of one delivery that break one rule and share a decision."""

    feed: str
    decision: str
    rule: str
    delivery_id: int
    file_name: str
    since: datetime
    rows: int
    example_row: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many rows that broke `rules` pass, stay, wait for a build, or are discarded."""

    feed: str
    rules: str
    outcome: str
    rows: int


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule. `item` is the column where the rule counts cells, else blank."""

    item: str
    rule: str
    effect: str
    why: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided about a row or a cell."""

    item: str
    decision: str
    decided_by: str
    decided_at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What the ledger says of a row, or of one cell of it."""

    item: str
    grain: str
    decision: str
    file_name: str
    run_id: str
    loaded_at: datetime


class Decisions:
    """Reads the ledger in `schema`, appends to quarantine.decisions."""

    def __init__(self, connection: Connection, schema: str) -> None:
        self.connection = connection
        self.schema = schema

    def exists(self, model: str) -> bool:
        """Whether dbt has built that model of the quarantine."""
        name = sql.Identifier(self.schema, model).as_string(self.connection)
        row = self.connection.execute("select to_regclass(%s)", (name,)).fetchone()
        return bool(row and row[0])

    def groups(self, selection: Selection, decision: str | None) -> list[LedgerGroup]:
        rows = self._execute("ledger_groups", **asdict(selection), decision=decision)
        return [LedgerGroup(*row) for row in rows.fetchall()]

    # ---------------------------------------------------------------- one row

    def ledger_rows(self, feed: str, delivery: int, row: int) -> list[LedgerRow]:
        found = self._execute("ledger_rows", feed=feed, delivery=delivery, row=row).fetchall()
        return [LedgerRow(*each) for each in found]

    def violations(self, feed: str, delivery: int, row: int) -> list[Violation]:
        found = self._execute("violations_of_row", feed=feed, delivery=delivery, row=row)
        return [Violation(*each) for each in found.fetchall()]

    def history(self, feed: str, delivery: int, row: int) -> list[Decision]:
        found = self._execute("decisions_of_row", feed=feed, delivery=delivery, row=row)
        return [Decision(*each) for each in found.fetchall()]

    def raw_row(self, table: str, delivery: int, row: int) -> dict[str, Any] | None:
        """The row as it arrived, by column; None when raw has no such row."""
        query = sql.SQL("select * from {} where _delivery_id = %s and _source_row = %s")
        cursor = self.connection.cursor()
        set_json_loads(_as_text, cursor)
        cursor.execute(query.format(sql.Identifier(*table.split("."))), (delivery, row))
        found = cursor.fetchone()
        names = [column.name for column in cursor.description or []]
        return dict(zip(names, found, strict=True)) if found else None

    # ---------------------------------------------------------------- deciding

    def judge_anew(self, selection: Selection, *, discarded: bool) -> list[Outcome]:
        """Judge the chosen rows by the rules of now; `replay` then takes those that pass."""
        self._execute("judge_anew", **asdict(selection), discarded=discarded)
        return [Outcome(*row) for row in self._execute("judged_anew").fetchall()]

    def replay(self, by: str, why: str, run_id: str) -> int:
        """Decide to replay what `judge_anew` found to pass, in the same transaction."""
        self._execute("lock_decisions")
        done = self._execute("decide_replays", decided_by=by, why=why, run_id=run_id)
        self._execute("analyze_decisions")
        return int(done.rowcount)

    def discard(self, selection: Selection, by: str, why: str, run_id: str) -> list[Outcome]:
        self._execute("lock_decisions")
        done = self._execute(
            "decide_discards", **asdict(selection), decided_by=by, why=why, run_id=run_id
        )
        return [Outcome(*row) for row in done.fetchall()]

    def left_in_ledger(self, run_id: str) -> int:
        row = self._execute("left_in_ledger", run_id=run_id).fetchone()
        return int(row[0]) if row else 0

    # ---------------------------------------------------------------- the driver

    def _execute(self, name: str, /, **values: Any) -> Any:
        query = sql.SQL(statement(name)).format(quarantine=sql.Identifier(self.schema))
        return self.connection.execute(query, values)


def _as_text(payload: str | bytes) -> str:
    """JSON as it arrived, not as Python reads it."""
    return payload if isinstance(payload, str) else payload.decode()
