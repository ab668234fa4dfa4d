"""Deleting what nobody needs any more; the composition owns the transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import sql

from monitors.store.sql import statement
from monitors.warehouse.connection import Connection


@dataclass(frozen=True, slots=True)
class Purged:
    """How many rows of a kind went, and of which moment they were older."""

    kind: str
    rows: int
    before: datetime


class Purge:
    """Each method deletes one kind of rows. Counters are rolled up in the same transaction."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self.connection = connection
        self.now = now

    def logs(self, keep: timedelta) -> Purged:
        """Stages; what they counted goes into monitoring.counter_totals first."""
        before = self.now - keep
        # a stage that began so long ago begins no more: what is rolled up is what is deleted
        self.connection.execute("lock table monitoring.pipeline_logs in share row exclusive mode")
        self.connection.execute(statement("roll_counters").encode(), {"before": before})
        return self._purged("log rows", "purge_logs", before)

    def metrics(self, keep: timedelta, buckets: timedelta) -> list[Purged]:
        """Verdicts, measured values and judged buckets; buckets are kept for `buckets` at least."""
        before = self.now - keep
        return [
            self._purged("verdicts", "purge_verdicts", before),
            self._purged(
                "measured values", "purge_values", before, buckets_before=self.now - buckets
            ),
            self._purged("judged buckets", "purge_judgements", before),
        ]

    def dead_letters(self, keep: timedelta) -> Purged:
        """The bytes of decided dead letters; the deliveries go on counting them."""
        return self._purged("decided dead letters", "purge_dead_letters", self.now - keep)

    def open_dead_letters(self, keep: timedelta) -> int:
        """How many are old enough to go, and stay because nobody decided about them."""
        values = {"before": self.now - keep}
        row = self.connection.execute(
            statement("old_open_dead_letters").encode(), values
        ).fetchone()
        return 0 if row is None else int(row[0])

    def alerts(self, keep: timedelta) -> list[Purged]:
        """Flips, delivered messages and resolved incidents; what is open or waits stays."""
        before = self.now - keep
        self._purged("tries", "purge_outbox_attempts", before)
        flips = self._purged("flips", "purge_flips", before)
        messages = self._purged("messages", "purge_outbox", before)
        self._purged("incident events", "purge_incident_events", before)
        self._purged("incident checks", "purge_incident_checks", before)
        return [flips, messages, self._purged("incidents", "purge_incidents", before)]

    def runs(self, keep: timedelta) -> Purged:
        """Runs to which nothing points any more."""
        before = self.now - keep
        named = [
            sql.SQL(
                "and not exists (select 1 from {} as named where named.{} = runs.run_id)"
            ).format(sql.SQL(table), sql.Identifier(column))
            for table, column in self.connection.execute(
                statement("tables_of_runs").encode(), {}
            ).fetchall()
        ]
        query = sql.SQL(statement("purge_runs")).format(still_named=sql.SQL(" ").join(named))
        done = self.connection.execute(query, {"before": before})
        return Purged("runs", done.rowcount, before)

    def _purged(self, kind: str, name: str, before: datetime, **more: datetime) -> Purged:
        values = {"before": before, **more}
        done = self.connection.execute(statement(name).encode(), values)
        return Purged(kind, done.rowcount, before)
