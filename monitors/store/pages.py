"""What the status page and the report read; takes a connection, writes nothing.

With an autocommit connection nothing holds a transaction; in one of `repeatable read` all queries
see the same moment.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from monitors.store.sql import statement
from monitors.warehouse.connection import Connection

WORDS = ("error", "fail", "missing", "blocked", "warn", "blind", "muted", "pass")
"""What a check or a dataset can be shown as, worst first: the statuses, and `blocked` (a dbt test
skipped because of its parent) and `muted` (red, but somebody said until when it does not count)."""
RED = WORDS[:3]
RELATIONS = {
    "ledger": "quarantine.ledger",
    "quarantine_rates": "monitoring.quarantine_rates",
}
"""{model: schema.table} of the quality models that the page reads, where they were built."""
PATIENCE = 5_000
"""Milliseconds that a look into a quality model may take: these are views over all that arrived."""


@dataclass(frozen=True, slots=True)
class CheckNow:
    """What a check said last. `is_red`: after damping, as incidents see it.

    `owner_reads`: nobody owns its dataset; `owner` is whoever owns a report that reads it.
    """

    check_id: str
    segment: str
    check_name: str
    suite_name: str
    dataset: str
    column_name: str | None
    layer: str
    category: str
    status: str
    severity: str
    blocked_by: str | None
    metric_name: str | None
    metric_value: float | None
    numerator: float | None
    denominator: float | None
    expected_min: float | None
    expected_max: float | None
    detectable_change: float | None
    success_rate: float | None
    message: str
    executed_at: datetime
    data_timestamp: datetime | None
    run_id: str
    owner: str | None
    owner_reads: bool
    matters: str | None
    what_to_do: str | None
    runbook: str | None
    is_red: bool | None
    changed_at: datetime | None
    """When it turned to what it is now, red or green."""


@dataclass(frozen=True, slots=True)
class Scan:
    """A completed scan."""

    run_id: str
    command: str
    started_at: datetime
    ended_at: datetime
    exit_code: int


@dataclass(frozen=True, slots=True)
class Strip:
    """{place of a scan, from 1: rank of the worst status in WORDS} of one dataset and suite."""

    dataset: str
    suite_name: str
    ranks: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class CheckHistory:
    """A check over a window, the oldest first; a slot without a verdict has no point."""

    check_id: str
    segment: str
    moments: Sequence[datetime]
    values: Sequence[float | None]
    lows: Sequence[float | None]
    highs: Sequence[float | None]
    ranks: Sequence[int]


@dataclass(frozen=True, slots=True)
class Bucket:
    """Rows of an hour or a day; `state` None: nobody judged it."""

    segment: str
    start: datetime
    row_count: float
    expected: float | None
    lower: float | None
    upper: float | None
    state: str | None
    cause: str | None


@dataclass(frozen=True, slots=True)
class VolumeSeries:
    """A dataset whose volume is modelled."""

    dataset: str
    every: str
    timezone: str
    feed: str | None


@dataclass(frozen=True, slots=True)
class SegmentVerdict:
    """What the latest buckets of a segment say together."""

    segment: str
    bucket_start: datetime | None
    state: str
    cause: str
    detectable_change: float | None


@dataclass(frozen=True, slots=True)
class Rate:
    """How many rows of a feed's load were rejected."""

    run_id: str
    loaded_at: datetime
    rows_read: int
    rows_rejected: int
    rate: float


@dataclass(frozen=True, slots=True)
class Reason:
    """Rules that rejected rows together.

    `per_day`: rows by the day on which they were loaded, in UTC, of days that have some.
    """

    rules: str
    rows: int
    rows_open: int
    last_loaded_at: datetime
    per_day: Mapping[date, int]


@dataclass(frozen=True, slots=True)
class RunNow:
    """A run of any command. `ended_at` None: it runs, or it was killed.

    `rows_rejected` None: nobody counted them, as in a run that did not load, build and scan.
    """

    run_id: str
    command: str
    started_at: datetime
    ended_at: datetime | None
    exit_code: int | None
    rows_read: int | None
    rows_written: int | None
    rows_rejected: int | None
    rows_dead_lettered: int | None
    failed_stages: int
    error_message: str | None


@dataclass(frozen=True, slots=True)
class FeedRun:
    """What one run loaded of one feed; `parts`: so many files."""

    run_id: str
    feed: str
    stage: str
    status: str
    started_at: datetime
    finished_at: datetime | None
    parts: int
    rows_read: int | None
    rows_written: int | None
    rows_rejected: int | None
    rows_dead_lettered: int | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class Integrity:
    """The share of keys whose version chain is whole, 0 to 100."""

    check_id: str
    score: float | None
    whole_keys: float | None
    keys: float | None
    judged_at: datetime


class Pages:
    """Reads of one environment."""

    def __init__(
        self,
        connection: Connection,
        environment: str,
        relations: Mapping[str, str] = RELATIONS,
    ) -> None:
        self.connection = connection
        self.environment = environment
        self.relations = relations

    def is_there(self) -> bool:
        """Whether a store of this version exists; the page never makes one."""
        return bool(self._rows("page_store_is_there")[0][0])

    def checks(self) -> list[CheckNow]:
        return [CheckNow(*row) for row in self._rows("page_checks")]

    def scans(self, limit: int) -> list[Scan]:
        """The newest first."""
        return [Scan(*row) for row in self._rows("page_scans", limit=limit)]

    def strips(
        self, run_ids: Sequence[str], datasets: Collection[str] | None = None
    ) -> list[Strip]:
        """What all datasets, or these, were in these scans; places count from 1 as given."""
        wanted = None if datasets is None else sorted(datasets)
        rows = self._rows("page_strips", runs=list(run_ids), datasets=wanted, **_ranks())
        return [
            Strip(dataset, suite, dict(zip(places, ranks, strict=True)))
            for dataset, suite, places, ranks in rows
        ]

    def histories(
        self, check_ids: Sequence[str], since: datetime, until: datetime, slots: int = 90
    ) -> dict[tuple[str, str], CheckHistory]:
        """{(check_id, segment): its values over the window}, at most `slots` points each."""
        if not check_ids:
            return {}
        ranks = _ranks()
        rows = self._rows(
            "page_histories", check_ids=list(check_ids), since=since,
            until=until + timedelta(seconds=1), slots=slots,
            blocked=ranks["blocked"], words=ranks["words"],
        )  # fmt: skip
        return {(row[0], row[1]): CheckHistory(*row) for row in rows}

    def volume_series(self) -> dict[str, VolumeSeries]:
        rows = self._rows("page_volume_series")
        return {row[0]: VolumeSeries(*row) for row in rows}

    def segment_verdicts(self, dataset: str) -> list[SegmentVerdict]:
        """The whole first, then what is not usual."""
        rows = self._rows("volume_verdicts", dataset=dataset)
        found = [
            SegmentVerdict(segment, start, state, cause, change)
            for _, segment, _, _, start, _, _, _, _, _, change, state, cause in rows
        ]
        worst = {"anomalous": 0, "not modelled": 1, "blind": 2, "usual": 3}
        return sorted(found, key=lambda each: (each.segment != "", worst[each.state], each.segment))

    def buckets(
        self, dataset: str, segments: Sequence[str], since: datetime, limit: int
    ) -> list[Bucket]:
        """The latest `limit` buckets of each segment, the oldest first."""
        rows = self._rows(
            "page_buckets", dataset=dataset, segments=list(segments), since=since, limit=limit
        )
        return [Bucket(*row) for row in rows]

    def feeds(self) -> dict[str, str]:
        """{feed: raw table}."""
        return dict(self._rows("page_feeds"))

    def quarantine_rates(self, feed: str, limit: int) -> list[Rate]:
        """The oldest first; empty where the model was never built or may not be read.

        Raises TimeoutError when it takes longer than PATIENCE, or than the server allows.
        """
        rows = self._of_model("quarantine_rates", "page_quarantine_rates", feed=feed, limit=limit)
        return [
            Rate(run_id, loaded_at, int(read), int(rejected), float(rate))
            for run_id, loaded_at, read, rejected, rate in rows
        ]

    def quarantine_reasons(self, feed: str, since: datetime, limit: int) -> list[Reason]:
        """The most frequent first; empty where the ledger was never built or may not be read.

        Raises TimeoutError when it takes longer than PATIENCE, or than the server allows.
        """
        rows = self._of_model(
            "ledger", "page_quarantine_reasons", feed=feed, since=since, limit=limit
        )
        return [
            Reason(rules, total, still_open, last, dict(zip(days, counts, strict=True)))
            for rules, total, still_open, last, days, counts in rows
        ]

    def runs(self, limit: int) -> list[RunNow]:
        """The newest first."""
        return [RunNow(*row) for row in self._rows("page_runs", limit=limit)]

    def feed_runs(self, feeds: Sequence[str], since: datetime, limit: int) -> list[FeedRun]:
        """The newest first."""
        if not feeds:
            return []
        rows = self._rows("page_stages", feeds=list(feeds), since=since, limit=limit)
        return [FeedRun(*row) for row in rows]

    def integrity(self, dataset: str) -> list[Integrity]:
        return [Integrity(*row) for row in self._rows("page_integrity", dataset=dataset)]

    # ---------------------------------------------------------------- the driver

    def _of_model(self, model: str, name: str, **values: Any) -> list[Any]:
        relation = self.relations.get(model)
        if not relation or not self._rows("page_relations", names=[relation]):
            return []
        try:
            # a model of another version, or one that nobody granted, takes only its part away
            with self.connection.transaction():
                (_, before), *_ = self._rows("page_patience", milliseconds=PATIENCE)
                found = self._rows(name, **values)
                self._rows("page_patience_as_before", setting=before)
                return found
        except (
            psycopg.errors.InsufficientPrivilege,
            psycopg.errors.UndefinedColumn,
            psycopg.errors.UndefinedTable,
        ):
            return []
        except psycopg.errors.QueryCanceled as error:
            raise TimeoutError(f"{relation}: {error}") from None

    def _rows(self, name: str, /, **values: Any) -> list[Any]:
        text = statement(name)
        wanted = {
            model: sql.Identifier(*relation.split("."))
            for model, relation in self.relations.items()
        }
        query: Any = sql.SQL(text).format(**wanted) if "{" in text else text.encode()
        values = {"environment": self.environment, **values}
        return self.connection.execute(query, values).fetchall()


def _ranks() -> dict[str, Any]:
    return {
        "words": list(WORDS),
        "blocked": WORDS.index("blocked"),
        "muted": WORDS.index("muted"),
    }
