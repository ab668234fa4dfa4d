"""What the store and the quality models know about the surroundings of a failure. Reads only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import sql

from monitors.store.sql import statement
from monitors.warehouse.connection import Connection


@dataclass(frozen=True, slots=True)
class Streak:
    """Since when a check is red without a break, and when it was green before that."""

    red_at: datetime | None
    red_run: str | None
    green_at: datetime | None
    green_run: str | None


@dataclass(frozen=True, slots=True)
class Arrived:
    """A delivery, as far as an incident speaks of it."""

    delivery_id: int
    name: str
    kind: str
    rows: int
    dead_letters: int
    loaded_at: datetime
    run_id: str
    admission: str
    why: str | None

    @property
    def records(self) -> int:
        return self.rows + self.dead_letters


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """How many rows a rule rejects; `delivery_id` is where most of them stand."""

    rule: str
    rows: int
    delivery_id: int
    source_row: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """`relations`: {model: schema.table} of the quality models, as dbt named them here."""

    connection: Connection
    environment: str
    relations: Mapping[str, str]

    def streak(self, check_id: str, segment: str) -> Streak:
        row = self._rows("red_streak", check_id=check_id, segment=segment)[0]
        return Streak(*row)

    def versions(self, run_id: str) -> tuple[dict[str, str], str | None]:
        """(versions by name, git revision) of a run; empty when there is no such run."""
        rows = self._rows("run_versions", run_id=run_id)
        return (dict(rows[0][0] or {}), rows[0][1]) if rows else ({}, None)

    def code_before(self, check_ids: Collection[str], until: datetime) -> dict[str, str]:
        """{unique_id: checksum} of models when they were built well last."""
        return dict(self._rows("code_before", check_ids=sorted(check_ids), until=until))

    def was_idle_since(self, moment: datetime) -> bool:
        """Whether nothing was loaded or built since."""
        return bool(self._rows("was_idle_since", since=moment)[0][0])

    def deliveries_since(self, feed: str, since: datetime) -> list[Arrived]:
        return [Arrived(*row) for row in self._rows("deliveries_since", feed=feed, since=since)]

    def latest_deliveries(self, feed: str) -> list[Arrived]:
        """Those of the latest run that brought something, the newest first."""
        return [Arrived(*row) for row in self._rows("latest_deliveries", feed=feed)]

    def usual_records(self, feed: str, kind: str, before: int) -> float | None:
        """The median of the deliveries before; None with fewer than three."""
        usual, deliveries = self._rows("usual_rows", feed=feed, kind=kind, before=before)[0]
        return float(usual) if usual is not None and deliveries >= 3 else None

    def drift(self, deliveries: Sequence[int]) -> list[tuple[str, str, str]]:
        """[(column, added | missing, file)], what is missing first."""
        return self._rows("drift_of", deliveries=list(deliveries))

    def dead_letters(self, deliveries: Sequence[int]) -> list[tuple[str, int, str]]:
        """[(reason, records, one of the files)], the most frequent first."""
        return self._rows("reasons_of_dead_letters", deliveries=list(deliveries))

    def rules(self, feed: str, deliveries: Sequence[int]) -> list[BrokenRule]:
        """The most frequent first; empty where dbt has no violations."""
        rows = self._rows("rules_broken", feed=feed, deliveries=list(deliveries))
        return [BrokenRule(rule, int(rows_), *rest) for rule, rows_, *rest in rows]

    def rows_that_break(
        self, feed: str, deliveries: Sequence[int], rule: str, limit: int
    ) -> list[tuple[int, int]]:
        """[(delivery, source row)]."""
        return self._rows(
            "rows_that_break", feed=feed, deliveries=list(deliveries), rule=rule, limit=limit
        )

    def unaccounted(self) -> list[tuple[str, str | None, str, int]]:
        """[(feed, file, grain, rows)]; positive is lost, negative is doubled."""
        return self._rows("unaccounted_deliveries")

    def scd2_faults(self) -> list[tuple[str, int]]:
        """[(fault, how many)], the most frequent first."""
        return self._rows("faults_of_chains")

    def sample(self, query: str, limit: int) -> list[dict[str, Any]]:
        """A few rows of somebody else's query."""
        text = sql.SQL("select * from (\n{query}\n) as failing limit {limit}").format(
            query=sql.SQL(query.strip().rstrip(";")), limit=sql.Literal(limit)
        )
        cursor = self.connection.execute(text)
        names = [column.name for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _rows(self, name: str, /, **values: Any) -> list[Any]:
        text = statement(name)
        wanted = {
            model: sql.Identifier(*relation.split("."))
            for model, relation in self.relations.items()
        }
        query: Any = sql.SQL(text).format(**wanted) if "{" in text else text.encode()
        values = {"environment": self.environment, **values}
        return self.connection.execute(query, values).fetchall()
