"""What was measured before: the history that checks are held against, without any cloud."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from psycopg.types.json import Jsonb

from monitors.store.sql import statement
from monitors.warehouse.connection import Connection

Origin = Literal["measured", "recomputed", "bucket"]
EVER = datetime(1900, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class MetricValue:
    """One metric at one moment of the data. `payload`: what is no number (a schema, groups)."""

    metric_id: str
    dataset: str
    metric_name: str
    data_timestamp: datetime
    value: float | None = None
    payload: Any = None
    segment: str = ""
    origin: Origin = "measured"


@dataclass(frozen=True, slots=True)
class PastValue:
    """A value as the store remembers it."""

    data_timestamp: datetime
    value: float | None
    payload: Any
    origin: Origin


@dataclass(frozen=True, slots=True)
class BadPeriod:
    """A period that says nothing about what is usual; `dataset` None means all of them."""

    period_id: int
    dataset: str | None
    segment: str | None
    starts_at: datetime
    ends_at: datetime
    why: str
    named_by: str
    named_at: datetime


@dataclass(frozen=True, slots=True)
class Mute:
    """A check that somebody muted, until when and why."""

    check_id: str
    muted_until: datetime
    why: str
    muted_by: str
    muted_at: datetime


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """All values of one check and segment, oldest first."""

    check_id: str
    segment: str
    dataset: str
    metric_name: str
    suite_name: str
    moments: list[datetime]
    values: list[float]
    lows: list[float | None]
    highs: list[float | None]
    """The bounds that were in force; None is no bound, and both for a recomputed value."""
    expected_min: float | None = None
    expected_max: float | None = None
    """The bounds of its latest verdict."""


class History:
    """Reads and writes of metric values, known-bad periods and mutes; takes a connection."""

    def __init__(self, connection: Connection, environment: str, run_id: str = "") -> None:
        self.connection = connection
        self.environment = environment
        self.run_id = run_id

    def put(self, values: Iterable[MetricValue]) -> None:
        """Remember values; measuring a moment again replaces its value."""
        rows = [
            {
                "environment": self.environment,
                "run_id": self.run_id,
                "metric_id": each.metric_id,
                "segment": each.segment,
                "data_timestamp": each.data_timestamp,
                "value": each.value,
                "payload": None if each.payload is None else Jsonb(each.payload),
                "origin": each.origin,
                "dataset": each.dataset,
                "metric_name": each.metric_name,
            }
            for each in values
        ]
        if rows:
            with self.connection.cursor() as cursor:
                cursor.executemany(statement("put_metric_value").encode(), rows)

    def before(
        self,
        metric_id: str,
        moment: datetime,
        *,
        segment: str = "",
        limit: int = 1000,
        since: datetime = EVER,
    ) -> list[PastValue]:
        """The latest values before a moment of the data, the newest first."""
        rows = self._rows(
            "metric_values_before",
            environment=self.environment,
            metric_id=metric_id,
            segment=segment,
            before=moment,
            since=since,
            limit=limit,
        )
        return [PastValue(*row) for row in rows]

    def verdict_series(self, since: datetime = EVER) -> list[StoredSeries]:
        """The values of every check that ever had one: of each run, and recomputed ones."""
        rows = self._rows("verdict_series", environment=self.environment, since=since)
        return [StoredSeries(*row) for row in rows]

    def moments(self) -> dict[str, datetime]:
        """{feed: the newest moment that a delivery of it speaks of}."""
        return dict(self._rows("moments_of_feeds"))

    # ---------------------------------------------------------------- known-bad periods

    def bad_periods(self, dataset: str | None = None) -> list[BadPeriod]:
        """Those of one dataset and of all datasets; every one when none is named."""
        return [BadPeriod(*row) for row in self._rows("bad_periods", dataset=dataset)]

    def add_bad_period(
        self,
        starts_at: datetime,
        ends_at: datetime,
        why: str,
        named_by: str,
        dataset: str | None = None,
        segment: str | None = None,
    ) -> int:
        """Name one; its number."""
        rows = self._rows(
            "add_bad_period",
            starts_at=starts_at,
            ends_at=ends_at,
            why=why,
            named_by=named_by,
            dataset=dataset,
            segment=segment,
        )
        return int(rows[0][0])

    def name_incident_as_bad(self, incident_id: int, why: str, named_by: str) -> int:
        """The anomalous buckets since an incident opened, as known-bad periods; how many."""
        found = self._rows("bad_buckets_of_incident", incident_id=incident_id)
        for dataset, segment, starts_at, ends_at in found:
            # a bad whole is a bad sum of its segments, which say for themselves what they had
            self.add_bad_period(starts_at, ends_at, why, named_by, dataset, segment)
        return len(found)

    def withdraw_bad_period(self, period_id: int, withdrawn_by: str) -> bool:
        """Whether there was one of that number."""
        return bool(
            self._rows("withdraw_bad_period", period_id=period_id, withdrawn_by=withdrawn_by)
        )

    # ---------------------------------------------------------------- mutes

    def mutes(self, now: datetime) -> dict[str, Mute]:
        """{check_id: the mute in force}."""
        return {row[0]: Mute(*row) for row in self._rows("mutes_in_force", now=now)}

    def mute(self, check_id: str, until: datetime, why: str, muted_by: str) -> None:
        self._rows("mute_check", check_id=check_id, muted_until=until, why=why, muted_by=muted_by)

    def lift_mutes(self, check_id: str, now: datetime, lifted_by: str) -> bool:
        """Whether the check was muted."""
        return bool(self._rows("lift_mutes", check_id=check_id, now=now, lifted_by=lifted_by))

    def _rows(self, name: str, /, **values: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(statement(name).encode(), values).fetchall()
