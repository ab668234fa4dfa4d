"""What is measured right now, for exporter and health: read at once, from the store alone.

No statement reads a table of the warehouse, and none grows with the history of a check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from monitors.health import HealthFacts
from monitors.results import Status
from monitors.store.incidents import Incidents
from monitors.store.sql import statement
from monitors.warehouse.connection import Connection

KNOWN_FOR = timedelta(days=7)
"""A check that has not reported for so long before the latest verdict is one that is gone."""


@dataclass(frozen=True, slots=True)
class CheckFigure:
    """What a check said last."""

    check_id: str
    segment: str
    layer: str
    category: str
    dataset: str
    severity: str
    status: Status
    is_blocked: bool
    metric_name: str | None
    metric_value: float | None
    expected_min: float | None
    expected_max: float | None
    success_rate: float | None
    judged_at: datetime
    is_muted: bool
    is_red: bool = False
    """After damping; muted ones are not."""


@dataclass(frozen=True, slots=True)
class Counter:
    """One of monitoring.counters."""

    metric: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class StageEnd:
    """How a pipeline ended when it ran last."""

    pipeline_name: str
    status: str
    finished_at: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class RunEnd:
    """The latest run of a command that came to an end."""

    command: str
    ended_at: datetime
    exit_code: int | None


@dataclass(frozen=True, slots=True)
class VolumeFigure:
    """The bucket that speaks for a dataset and segment."""

    dataset: str
    segment: str
    state: str
    row_count: float
    expected: float | None
    lower: float | None
    upper: float | None

    @property
    def is_anomalous(self) -> bool:
        return self.state == "anomalous"


@dataclass(frozen=True, slots=True)
class ChannelFigure:
    """Messages of a channel in one state of the outbox."""

    channel: str
    state: str
    messages: int
    failing: int
    """They wait after at least one try that failed."""
    due_since: datetime | None
    """Since when the oldest that nobody tried to send should have been sent."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One look at the store. Moments are of the data where they are named so."""

    checks: Sequence[CheckFigure]
    counters: Sequence[Counter]
    stages: Sequence[StageEnd]
    runs: Sequence[RunEnd]
    last_scan_at: datetime | None
    feed_moments: Mapping[str, datetime | None]
    built_moments: Mapping[str, datetime | None]
    """{silver | gold: newest moment of the data that a build took in}."""
    volumes: Sequence[VolumeFigure]
    incidents: Mapping[tuple[str, str], int]
    """{(severity, state): how many}; resolved ones are not there."""
    outbox: Sequence[ChannelFigure]
    tries: Mapping[tuple[str, str], float]
    """{(channel, outcome): tries that came to an end}."""
    consumers: int
    health: HealthFacts

    @property
    def scores(self) -> dict[str, float]:
        """{layer: 0 to 100}; what monitoring.quality_scores says as long as scans go on."""
        rates: dict[str, list[float]] = {}
        for check in self.checks:
            if check.success_rate is not None:
                rates.setdefault(check.layer, []).append(check.success_rate)
        return {layer: sum(found) / len(found) for layer, found in rates.items()}

    @property
    def newest_moment(self) -> datetime | None:
        """The newest moment that any admitted delivery speaks of."""
        return max((each for each in self.feed_moments.values() if each), default=None)


def read_figures(connection: Connection, environment: str) -> Figures:
    """One look; each statement sees what is committed when it begins."""

    def rows(name: str, **values: Any) -> list[tuple[Any, ...]]:
        values = {"environment": environment, **values}
        return connection.execute(statement(name).encode(), values).fetchall()

    counted = [Counter(*row) for row in rows("counters")]
    pipelines = sorted({each.labels["pipeline_name"] for each in counted if each.metric == "runs"})
    last_scan = rows("last_scan")
    has_streams = rows("stream_table")[0][0]
    return Figures(
        checks=_checks(rows("latest_of_checks"), {(row[0], row[1]) for row in rows("red_states")}),
        counters=counted,
        stages=[StageEnd(*row) for row in rows("last_stages", pipelines=pipelines)],
        runs=[RunEnd(*row) for row in rows("last_runs")],
        last_scan_at=last_scan[0][0] if last_scan else None,
        feed_moments=dict(rows("feed_moments")),
        built_moments=dict(rows("built_moments")),
        volumes=[VolumeFigure(*row) for row in rows("volume_states")],
        incidents={(row[0], row[1]): row[2] for row in rows("incidents_open")},
        outbox=[ChannelFigure(*row) for row in rows("outbox_waiting")],
        tries={(row[0], row[1]): row[2] for row in rows("outbox_tries")},
        consumers=rows("active_consumers")[0][0] if has_streams else 0,
        health=Incidents(connection, environment).health_facts(),
    )


def read_health(connection: Connection, environment: str) -> tuple[HealthFacts, datetime | None]:
    """What the health of the whole is told from, and the newest moment of the data."""
    moments = connection.execute(statement("feed_moments").encode()).fetchall()
    newest = max((row[1] for row in moments if row[1]), default=None)
    return Incidents(connection, environment).health_facts(), newest


def _checks(rows: Sequence[Any], red: set[tuple[str, str]]) -> list[CheckFigure]:
    """Those that still report, the worst first."""
    if not rows:
        return []
    known_since = max(row[13] for row in rows) - KNOWN_FOR
    found = [
        CheckFigure(*(*row[:6], Status(row[6]), *row[7:], row[:2] in red))
        for row in rows
        if row[13] >= known_since
    ]
    rank = {status: status.rank for status in Status}
    return sorted(
        found,
        key=lambda check: (not check.is_red, rank[check.status], check.check_id, check.segment),
    )
