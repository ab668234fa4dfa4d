"""Buckets of rows and what the volume model said of them; takes a connection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from monitors.config_volumes import Volume
from monitors.store.sql import statement
from monitors.warehouse.connection import Connection


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """The buckets of one segment, oldest first, without a gap."""

    segment: str
    starts: tuple[datetime, ...]
    counts: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class BucketJudgement:
    """What was said of one bucket; `expected` and bounds are None where it is blind."""

    dataset: str
    segment: str
    bucket_start: datetime
    bucket_end: datetime
    row_count: float
    expected: float | None
    lower: float | None
    upper: float | None
    score: float
    kind: str | None
    detectable_change: float | None
    state: str
    cause: str


@dataclass(frozen=True, slots=True)
class VolumeVerdict:
    """A row of monitoring.volume_verdicts: what the latest buckets of a segment say together."""

    dataset: str
    segment: str
    every: str
    method: str
    bucket_start: datetime | None
    row_count: float | None
    expected: float | None
    lower: float | None
    upper: float | None
    score: float | None
    detectable_change: float | None
    state: str
    cause: str


class Volumes:
    """Reads and writes of volumes in one environment."""

    def __init__(
        self, connection: Connection, environment: str, run_id: str = "", project: str = ""
    ) -> None:
        self.connection = connection
        self.environment = environment
        self.run_id = run_id
        self.project = project

    def lock(self, dataset: str) -> None:
        """Two scans of one dataset take turns until this transaction ends."""
        self._execute("lock_volumes", dataset=dataset)

    def declare(self, dataset: str, volume: Volume, clock: str) -> datetime | None:
        """What rampart.yml says now; until when its rows are counted. Holds the dataset's lock."""
        self.lock(dataset)
        rows = self._rows(
            "declare_volume",
            dataset=dataset,
            every=volume.every,
            clock_feed=volume.feed,
            clock=clock,
            timezone=volume.timezone,
            lateness=volume.lateness,
            method=volume.method,
            smallest_change=volume.smallest_change,
            project=self.project,
        )
        counted_until: datetime | None = rows[0][0]
        return counted_until

    def undeclare_others(self, datasets: Iterable[str]) -> None:
        self._execute("undeclare_volumes", datasets=list(datasets), project=self.project)

    def forget(self, dataset: str) -> None:
        """Delete the stored buckets of a dataset."""
        self._execute("forget_volumes", metric_id=metric_id_of(dataset))

    def recount(self, dataset: str) -> None:
        """Let the next scan count from the first bucket."""
        self._execute("recount_volumes", dataset=dataset)

    def counted(self, dataset: str, until: datetime | None, error: str | None = None) -> None:
        self._execute("counted_volumes", dataset=dataset, counted_until=until, error=error)

    def clock_of_feed(self, feed: str) -> datetime | None:
        moment: datetime | None = self._rows("clock_of_feed", feed=feed)[0][0]
        return moment

    def put_buckets(self, dataset: str, buckets: Iterable[tuple[str, datetime, int]]) -> int:
        """Store (segment, start, rows); how many are new or changed."""
        self._execute("stage_buckets")
        with (
            self.connection.cursor() as cursor,
            cursor.copy(statement("copy_buckets").encode()) as copy,
        ):
            for bucket in buckets:
                copy.write_row(bucket)
        done = self._execute("put_buckets", metric_id=metric_id_of(dataset), dataset=dataset)
        self.connection.execute("drop table rampart_buckets")
        return int(done.rowcount)

    def known_segments(self, dataset: str, since: datetime) -> dict[str, datetime]:
        """{segment: its first bucket in the window}; those without any row in it are left out."""
        return dict(self._rows("first_buckets", metric_id=metric_id_of(dataset), since=since))

    def series(self, dataset: str, since: datetime, until: datetime) -> list[StoredSeries]:
        """The stored buckets of every segment from `since` to before `until`."""
        rows = self._rows(
            "stored_buckets", metric_id=metric_id_of(dataset), since=since, until=until
        )
        return [StoredSeries(row[0], tuple(row[1]), tuple(row[2])) for row in rows]

    def judged(self, dataset: str, since: datetime) -> dict[str, dict[datetime, float]]:
        """{segment: {start: rows}} of what was judged."""
        found: dict[str, dict[datetime, float]] = {}
        for segment, start, rows in self._rows("judged_buckets", dataset=dataset, since=since):
            found.setdefault(segment, {})[start] = rows
        return found

    def put_judgements(self, judgements: Iterable[BucketJudgement]) -> None:
        rows = [
            {**asdict(each), "environment": self.environment, "run_id": self.run_id}
            for each in judgements
        ]
        if rows:
            with self.connection.cursor() as cursor:
                cursor.executemany(statement("put_judgement").encode(), rows)

    def verdicts(self, dataset: str | None = None) -> list[VolumeVerdict]:
        return [VolumeVerdict(*row) for row in self._rows("volume_verdicts", dataset=dataset)]

    def _execute(self, name: str, /, **values: Any) -> Any:
        values |= {"environment": self.environment, "run_id": self.run_id}
        return self.connection.execute(statement(name).encode(), values)

    def _rows(self, name: str, /, **values: Any) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self._execute(name, **values).fetchall()
        return found


def metric_id_of(dataset: str) -> str:
    """Under which its buckets stand in monitoring.metric_values."""
    return f"volume.{dataset}"
