"""The store: takes a connection and never opens or commits one; the composition does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from monitors.config_feeds import Calendar, Feed
from monitors.results import CheckResult
from monitors.store.sql import statement
from monitors.warehouse.connection import Connection


@dataclass(frozen=True, slots=True)
class Delivery:
    """One arrival of a feed, counted. `records` = `rows` + `dead_letters`."""

    delivery_id: int
    feed: str
    name: str
    sha256: str
    sequence: int
    extracted_at: datetime
    extracted_at_from: str
    kind: str
    records: int
    rows: int
    dead_letters: int
    bytes: int
    admission: str = "admitted"
    admitted_by: str = "rampart"
    why: str | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be read as a row. `content` holds its first bytes."""

    source_row: int
    line: int
    reason: str
    content: bytes
    content_bytes: int
    source_partition: str | None = None
    source_offset: int | None = None


@dataclass(slots=True)
class StageCounts:
    """What a stage did, for pipeline_logs."""

    rows_read: int | None = None
    rows_written: int | None = None
    rows_rejected: int | None = None
    rows_dead_lettered: int | None = None
    source: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    """What it measured beside its counts, such as `null_shares`."""


@dataclass(frozen=True, slots=True)
class Score:
    """A share of what holds, 0 to 100: `subject` is a layer, or an SCD2 dimension."""

    kind: str
    subject: str
    score: float | None


@dataclass(frozen=True, slots=True)
class LatestVerdict:
    """What a check said last, within seven days; of several segments the worst."""

    check_id: str
    status: str
    message: str
    dataset: str
    executed_at: datetime


@dataclass(frozen=True, slots=True)
class RunContext:
    """Which run writes, and in which environment."""

    run_id: str
    environment: str
    versions: Mapping[str, str] = field(default_factory=dict)
    git_revision: str | None = None


class Store:
    """Every write and read on the monitoring schema."""

    def __init__(self, connection: Connection, run: RunContext) -> None:
        self.connection = connection
        self.run = run

    # ---------------------------------------------------------------- runs and stages

    def start_run(self, command: str) -> None:
        self._execute(
            "start_run",
            run_id=self.run.run_id,
            command=command,
            environment=self.run.environment,
            versions=Jsonb(dict(self.run.versions)),
            git_revision=self.run.git_revision,
        )

    def finish_run(self, exit_code: int) -> None:
        self._execute("finish_run", run_id=self.run.run_id, exit_code=exit_code)

    def start_stage(
        self, pipeline: str, stage: str, layer: str, source: str, status: str = "started"
    ) -> int:
        row = self._execute(
            "start_stage",
            run_id=self.run.run_id,
            pipeline_name=pipeline,
            stage=stage,
            layer=layer,
            status=status,
            source=source,
        ).fetchone()
        assert row is not None  # noqa: S101 - `returning` always returns
        return int(row[0])

    def finish_stage(self, log_id: int, status: str, counts: StageCounts) -> None:
        self._execute(
            "finish_stage",
            log_id=log_id,
            status=status,
            rows_read=counts.rows_read,
            rows_written=counts.rows_written,
            rows_rejected=counts.rows_rejected,
            rows_dead_lettered=counts.rows_dead_lettered,
            source=counts.source,
            error_type=counts.error_type,
            error_message=counts.error_message,
            details=Jsonb(dict(counts.details)),
        )

    # ---------------------------------------------------------------- arrival

    def register_feed(self, name: str, feed: Feed, calendar: Calendar) -> None:
        """What rampart.yml says of a feed now, for checks in SQL."""
        freshness = feed.freshness
        self._execute(
            "register_feed",
            feed=name,
            raw_table=feed.table,
            required=feed.required,
            clock=freshness.clock if freshness else "wall",
            freshness_within=freshness.within if freshness else None,
            calendar=freshness.calendar if freshness else None,
            timezone=calendar.timezone,
            closed_weekdays=sorted(set(calendar.closed)),
            holidays=sorted(set(calendar.holidays)),
        )

    def lock_feed(self, feed: str) -> None:
        """Loads of one feed take turns until this transaction ends."""
        self._execute("lock_feed", feed=feed)

    def has_delivery_of_size(self, feed: str, name: str, size: int) -> bool:
        row = self._execute("has_delivery_of_size", feed=feed, name=name, bytes=size).fetchone()
        return bool(row and row[0])

    def find_delivery(self, feed: str, name: str, sha256: str) -> int | None:
        """The id of the delivery with this name and content, if it was loaded before."""
        row = self._execute("find_delivery", feed=feed, name=name, sha256=sha256).fetchone()
        return int(row[0]) if row else None

    def next_delivery(self, feed: str) -> tuple[int, int]:
        """(delivery_id, sequence); call it under `lock_feed`."""
        row = self._execute("next_delivery", feed=feed).fetchone()
        assert row is not None  # noqa: S101 - a select of scalars always returns
        return int(row[0]), int(row[1])

    def full_extract_before(self, feed: str, moment: datetime) -> int | None:
        """The latest admitted full extract of a feed at or before a moment."""
        row = self._execute("full_extract_before", feed=feed, moment=moment).fetchone()
        return int(row[0]) if row else None

    def let_through(self, feed: str, name: str, by: str, why: str) -> bool:
        """Let the newest refused delivery of that name take part; False when there is none."""
        row = self._execute("let_through", feed=feed, name=name, by=by, why=why).fetchone()
        return row is not None

    def list_deliveries(self, feed: str | None, refused: bool, limit: int) -> list[dict[str, Any]]:
        """The latest deliveries, the newest first."""
        found = self._execute("list_deliveries", feed=feed, refused=refused, limit=limit)
        names = [column.name for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def add_delivery(self, delivery: Delivery) -> None:
        values = {name: getattr(delivery, name) for name in Delivery.__slots__}
        self._execute("add_delivery", **values, run_id=self.run.run_id)

    def add_dead_letters(
        self, delivery_id: int, feed: str, name: str, letters: Iterable[DeadLetter]
    ) -> None:
        """May come before the delivery's own row: the foreign key is checked with the statement,
        so call it after `add_delivery`."""
        with (
            self.connection.cursor() as cursor,
            cursor.copy(statement("copy_dead_letters").encode()) as copy,
        ):
            for letter in letters:
                values = [getattr(letter, slot) for slot in DeadLetter.__slots__]
                copy.write_row([delivery_id, feed, name, *values, self.run.run_id])

    def add_schema_drift(self, delivery_id: int, feed: str, column: str, change: str) -> None:
        self._execute(
            "add_schema_drift",
            delivery_id=delivery_id,
            feed=feed,
            column_name=column,
            change=change,
        )

    # ---------------------------------------------------------------- builds

    def lock_builds(self, *, wait: bool) -> bool:
        """Builds take turns, over transactions. Whether it is ours; unlock as often as you lock.

        A turn is waited for without the limit that other locks have: a build may take hours.
        """
        if wait:
            self._execute("wait_without_limit")
        row = self._execute("lock_builds" if wait else "try_lock_builds").fetchone()
        return wait or bool(row and row[0])

    def unlock_builds(self) -> None:
        self._execute("unlock_builds")

    def count_dbt_sessions(self) -> int:
        """How many sessions dbt has on this database, whoever started it."""
        self._execute("forget_sessions")
        row = self._execute("count_dbt_sessions").fetchone()
        return int(row[0]) if row else 0

    def last_build(self, source: str) -> dict[str, Any] | None:
        """The latest build into a target: run_id, started_at, status, source, blocked_by."""
        found = self._execute("last_build", source=source)
        row = found.fetchone()
        return (
            dict(zip([each.name for each in found.description], row, strict=True)) if row else None
        )

    # ---------------------------------------------------------------- verdicts

    def add_results(self, results: Iterable[CheckResult], executed_at: datetime) -> None:
        """Append verdicts; the same run, check and segment twice is one row."""
        rows = [
            {
                "run_id": self.run.run_id,
                "environment": self.run.environment,
                "execution_timestamp": executed_at,
                "data_timestamp": result.data_timestamp,
                "layer": result.layer.value,
                "category": result.category.value,
                "suite_name": result.suite_name,
                "dataset": result.dataset,
                "column_name": result.column_name,
                "segment": result.segment or "",
                "check_id": result.check_id,
                "check_name": result.check_name,
                "metric_name": result.metric_name,
                "metric_value": result.metric_value,
                "numerator": result.numerator,
                "denominator": result.denominator,
                "expected_min": result.expected_min,
                "expected_max": result.expected_max,
                "detectable_change": result.detectable_change,
                "status": result.status.value,
                "severity": result.severity.value,
                "blocked_by": result.blocked_by,
                "success_rate": result.success_rate,
                "failed_expectations": result.failed_expectations,
                "message": result.message,
                "attributes": Jsonb(_attributes(result)),
            }
            for result in results
        ]
        if rows:
            self._execute_many("add_result", rows)

    def red_since(self, check_ids: Iterable[str]) -> dict[tuple[str, str], tuple[datetime, str]]:
        """{(check_id, segment): (first red execution of the streak, its run_id)}."""
        rows = self._execute("red_since", check_ids=list(check_ids)).fetchall()
        return {(row[0], row[1]): (row[2], row[3]) for row in rows}

    def last_scan_at(self) -> datetime | None:
        """When the last scan before this run was completed, in this environment."""
        values = {"environment": self.run.environment, "run_id": self.run.run_id}
        row = self._execute("last_scan_at", **values).fetchone()
        return row[0] if row else None

    def scores(self) -> list[Score]:
        """Quality per layer by the latest verdicts, and the integrity of SCD2 dimensions."""
        rows = self._execute("scores", environment=self.run.environment).fetchall()
        return [Score(*row) for row in rows]

    def latest_verdicts(self) -> list[LatestVerdict]:
        """What each check of this environment said last, within seven days."""
        rows = self._execute("latest_verdicts", environment=self.run.environment).fetchall()
        return [LatestVerdict(*row) for row in rows]

    def latest_data_moment(self) -> datetime | None:
        row = self._execute("latest_data_moment").fetchone()
        return row[0] if row else None

    # ---------------------------------------------------------------- the driver

    def _execute(self, statement_name: str, /, **values: Any) -> Any:
        return self.connection.execute(statement(statement_name).encode(), values)

    def _execute_many(self, name: str, rows: list[dict[str, Any]]) -> None:
        with self.connection.cursor() as cursor:
            cursor.executemany(statement(name).encode(), rows)


def _attributes(result: CheckResult) -> dict[str, Any]:
    """What the check carried; a muted one says so."""
    return {**result.attributes, **({"muted": result.muted} if result.muted else {})}
