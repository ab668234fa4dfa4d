"""Metrics for Prometheus: a collector that reads the store at scrape time.

Names, labels and units are documented in docs/monitoring.md; they are a contract. Labels are
bounded: checks, pipelines and volumes beyond a limit have no series, and a metric says how many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from threading import Lock
from time import perf_counter
from typing import TypeVar, get_args

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from monitors.health import State, health_of
from monitors.results import Layer, Severity, Status
from monitors.show.exposition import exposition, format_of, number
from monitors.store.figures import CheckFigure, Counter, Figures, VolumeFigure

T = TypeVar("T")

MAX_PIPELINES = 200
MAX_VOLUMES = 500
DEFAULT_WITHIN = timedelta(hours=26)
"""A scan is missing after this, where rampart.yml does not say `scan: within:`."""
ENDS = ("succeeded", "failed")
STATUS_CODES = {status: len(Status) - 1 - status.rank for status in Status}
"""pass 0, blind 1, warn 2, missing 3, fail 4, error 5: the worse, the higher."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a scrape saw: figures, or why there are none; and when."""

    now: datetime
    seconds: float
    figures: Figures | None = None
    reason: str | None = None
    rendered: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """{format: (content type, text)}, so that who shares a look shares its text."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the series, and what says when a scan is missing."""

    environment: str = "dev"
    max_checks: int = 2_500
    scan_within: timedelta | None = None


class StoreCollector(Collector):
    """prometheus_client asks it at each scrape; it never raises: no database is `rampart_up 0`."""

    def __init__(self, look: Callable[[], Look], limits: Limits) -> None:
        self._look = look
        self.limits = limits
        self._writing = Lock()

    def collect(self) -> Iterable[Metric]:
        return families(self._look(), self.limits)

    def describe(self) -> Iterable[Metric]:
        """Nothing: to register it must not read the database."""
        return ()

    def render(self, accept: str = "") -> tuple[str, bytes]:
        """(content type, text) of one look, in the format that the scraper asks for."""
        look = self._look()
        with self._writing:  # who asks for the same look meanwhile gets this text
            wanted = format_of(accept)
            if wanted not in look.rendered:
                look.rendered[wanted] = exposition(list(families(look, self.limits)), wanted)
            return look.rendered[wanted]


def look_at(read: Callable[[], Figures], reasons: type[Exception]) -> Look:
    """Read; an exception of the class `reasons` is a look without figures."""
    started = perf_counter()
    now = datetime.now(timezone.utc)
    try:
        figures = read()
    except reasons as error:
        return Look(now, perf_counter() - started, reason=str(error))
    return Look(now, perf_counter() - started, figures)


# -------------------------------------------------------------------- families


def families(look: Look, limits: Limits) -> Iterator[Metric]:
    """Every metric of one look."""
    yield _gauge(
        "rampart_up", "Whether the store could be read.", [((), float(bool(look.figures)))]
    )
    yield _gauge(
        "rampart_build_info",
        "What runs here; always 1.",
        [((version("rampart"), limits.environment), 1)],
        "version", "environment",
    )  # fmt: skip
    yield _gauge(
        "rampart_scrape_duration_seconds",
        "How long reading the store took.",
        [((), look.seconds)],
    )
    figures = look.figures
    if figures is None:
        return
    pipelines, left_pipelines = _bounded(_pipelines(figures), MAX_PIPELINES)
    checks, left_checks = _bounded(figures.checks, limits.max_checks)
    volumes, left_volumes = _bounded(
        sorted(figures.volumes, key=lambda each: each.state != "anomalous"), MAX_VOLUMES
    )
    yield from _pipeline_counters(figures, set(pipelines))
    yield from _pipeline_ends(figures, set(pipelines))
    yield from _lags(figures, look.now)
    yield from _quality(figures)
    yield from _checks(checks)
    yield from _volumes(volumes)
    yield from _scans(figures, look.now, limits)
    yield from _alerts(figures, look.now)
    yield _gauge(
        "rampart_series_left_out",
        "Checks, pipelines and volumes that are beyond the limit and have no series.",
        [
            (("checks",), left_checks),
            (("pipelines",), left_pipelines),
            (("volumes",), left_volumes),
        ],
        "kind",
    )  # fmt: skip


def _pipeline_counters(figures: Figures, pipelines: set[str]) -> Iterator[Metric]:
    by_metric: dict[str, list[Counter]] = {}
    for counter in figures.counters:
        name = counter.labels.get("pipeline_name")
        if name is None or name in pipelines:
            by_metric.setdefault(counter.metric, []).append(counter)
    records = CounterMetricFamily(
        "pipeline_records_processed",
        "Records by layer: read, written, rejected, dead_lettered.",
        labels=("layer", "status"),
    )
    for counter in by_metric.get("records_processed", []):
        records.add_metric((counter.labels["layer"], counter.labels["status"]), counter.value)
    yield records
    runs = CounterMetricFamily(
        "pipeline_runs",
        "Stages that ended, by pipeline: succeeded, failed, skipped.",
        labels=("pipeline_name", "status"),
    )
    ended = {(pipeline, status): 0.0 for pipeline in sorted(pipelines) for status in ENDS}
    for counter in by_metric.get("runs", []):
        ended[counter.labels["pipeline_name"], counter.labels["status"]] = counter.value
    for labels, value in ended.items():
        runs.add_metric(labels, value)
    yield runs
    yield _durations(by_metric.get("duration_bucket", []), by_metric.get("duration_sum", []))


def _durations(buckets: Sequence[Counter], sums: Sequence[Counter]) -> Metric:
    durations = HistogramMetricFamily(
        "pipeline_execution_duration_seconds",
        "How long stages of a pipeline took.",
        labels=("pipeline_name",),
    )
    # exact to the microsecond in which they are counted: a last digit that falls is a reset
    totals = {each.labels["pipeline_name"]: round(each.value, 6) for each in sums}
    by_pipeline: dict[str, dict[float, float]] = {}
    for each in buckets:
        limit = float(each.labels["le"].replace("+Inf", "inf"))
        by_pipeline.setdefault(each.labels["pipeline_name"], {})[limit] = each.value
    for pipeline, counts in sorted(by_pipeline.items()):
        limits = [(number(limit), counts[limit]) for limit in sorted(counts)]
        durations.add_metric((pipeline,), limits, totals.get(pipeline, 0.0))
    return durations


def _pipeline_ends(figures: Figures, pipelines: set[str]) -> Iterator[Metric]:
    ends = [each for each in figures.stages if each.pipeline_name in pipelines]
    yield _gauge(
        "rampart_pipeline_last_failed",
        "1 while the latest stage of the pipeline is one that failed.",
        [((each.pipeline_name,), float(each.status == "failed")) for each in ends],
        "pipeline_name",
    )
    yield _gauge(
        "rampart_pipeline_last_duration_seconds",
        "How long the latest stage of the pipeline took.",
        [((each.pipeline_name,), each.seconds) for each in ends],
        "pipeline_name",
    )
    yield _gauge(
        "rampart_pipeline_last_timestamp_seconds",
        "When the latest stage of the pipeline ended.",
        [((each.pipeline_name,), each.finished_at.timestamp()) for each in ends],
        "pipeline_name",
    )


def _lags(figures: Figures, now: datetime) -> Iterator[Metric]:
    moments = {Layer.BRONZE.value: figures.newest_moment, **figures.built_moments}
    yield _gauge(
        "pipeline_lag_seconds",
        "Age of the newest moment of the data: bronze admitted, silver built, gold built green.",
        [((layer,), _age(moment, now)) for layer, moment in moments.items() if moment],
        "layer",
    )
    yield _gauge(
        "rampart_feed_lag_seconds",
        "Age of the newest moment that an admitted delivery of the feed speaks of.",
        [((name,), _age(moment, now)) for name, moment in figures.feed_moments.items() if moment],
        "feed",
    )
    yield _gauge(
        "active_streaming_consumers",
        "Consumers of streams that gave a sign of life within a minute.",
        [((), figures.consumers)],
    )


def _quality(figures: Figures) -> Iterator[Metric]:
    yield _gauge(
        "data_quality_score",
        "Share of checks that hold, 0 to 100, by the latest verdict of each.",
        [((layer,), score) for layer, score in sorted(figures.scores.items())],
        "layer",
    )
    counts = {(layer.value, status.value): 0 for layer in Layer for status in Status}
    for check in figures.checks:
        if not check.is_blocked:
            counts[check.layer, check.status.value] += 1
    yield _gauge(
        "rampart_checks",
        "Checks by what they said last; those that a failed parent blocked are not counted.",
        list(counts.items()),
        "layer", "status",
    )  # fmt: skip
    yield _gauge(
        "rampart_checks_muted",
        "Red checks that somebody muted.",
        [((), sum(check.is_muted for check in figures.checks))],
    )
    for name, metric_name, text in (
        ("rampart_quarantine_rate", "quarantine_rate", "Share of rejected rows, 0 to 1."),
        ("rampart_scd2_integrity", "integrity_score", "Share of whole version chains, 0 to 100."),
    ):
        yield _gauge(
            name,
            text,
            [
                ((check.check_id, check.segment, check.dataset), check.metric_value)
                for check in figures.checks[:5_000]
                if check.metric_name == metric_name and check.metric_value is not None
            ],
            "check_id", "segment", "dataset",
        )  # fmt: skip


def _checks(checks: Sequence[CheckFigure]) -> Iterator[Metric]:
    labels = ("check_id", "segment", "dataset", "layer", "severity")
    wide = [
        dict(zip(labels, (c.check_id, c.segment, c.dataset, c.layer, c.severity), strict=True))
        for c in checks
    ]
    narrow = [{"check_id": check.check_id, "segment": check.segment} for check in checks]
    yield _family(
        "rampart_check_status",
        "0 pass, 1 blind, 2 warn, 3 missing, 4 fail, 5 error.",
        [(names, STATUS_CODES[c.status]) for names, c in zip(wide, checks, strict=True)],
    )
    yield _family(
        "rampart_check_red",
        "1 while alerts and the health take the check for red: after damping, unless muted.",
        [(names, float(c.is_red)) for names, c in zip(wide, checks, strict=True)],
    )
    for name, text, column in (
        ("rampart_check_value", "What the check measured.", "metric_value"),
        ("rampart_check_expected_min", "The least that it accepts.", "expected_min"),
        ("rampart_check_expected_max", "The most that it accepts.", "expected_max"),
    ):
        found = [(names, getattr(c, column)) for names, c in zip(narrow, checks, strict=True)]
        yield _family(name, text, [each for each in found if each[1] is not None])


def _volumes(volumes: Sequence[VolumeFigure]) -> Iterator[Metric]:
    for name, text, column in (
        ("rampart_volume_rows", "Rows of the bucket that was judged last.", "row_count"),
        ("rampart_volume_expected_rows", "Rows that were expected in it.", "expected"),
        ("rampart_volume_lower_rows", "The least that is usual.", "lower"),
        ("rampart_volume_upper_rows", "The most that is usual.", "upper"),
        ("rampart_volume_anomalous", "1 while the number of rows is unusual.", "is_anomalous"),
    ):
        found = [(each, getattr(each, column)) for each in volumes]
        yield _gauge(
            name,
            text,
            [
                ((each.dataset, each.segment), float(value))
                for each, value in found
                if value is not None
            ],
            "dataset", "segment",
        )  # fmt: skip


def _scans(figures: Figures, now: datetime, limits: Limits) -> Iterator[Metric]:
    within = limits.scan_within or DEFAULT_WITHIN
    last = figures.last_scan_at
    yield _gauge(
        "rampart_last_scan_timestamp_seconds",
        "When a scan was completed last, whatever it found; absent before the first.",
        [((), last.timestamp())] if last else [],
    )
    yield _gauge(
        "rampart_scan_within_seconds",
        "A scan is missing when the last is older: `scan: within:` of rampart.yml, or 26 hours.",
        [((), within.total_seconds())],
    )
    yield _gauge(
        "rampart_last_run_timestamp_seconds",
        "When a run of the command ended last.",
        [((run.command,), run.ended_at.timestamp()) for run in figures.runs],
        "command",
    )
    yield _gauge(
        "rampart_last_run_exit_code",
        "Its exit code.",
        [((r.command,), r.exit_code) for r in figures.runs if r.exit_code is not None],
        "command",
    )
    state = health_of(figures.health, now, limits.scan_within).state
    yield _gauge(
        "rampart_health_state",
        "1 for the state of the whole: healthy, degraded or down; 0 for the others.",
        [((each,), float(each == state)) for each in get_args(State)],
        "state",
    )


def _alerts(figures: Figures, now: datetime) -> Iterator[Metric]:
    incidents = {
        (severity.value, state): 0
        for severity in Severity
        for state in ("open", "acknowledged", "snoozed")
    } | dict(figures.incidents)
    yield _gauge(
        "rampart_incidents_open",
        "Incidents that are not resolved.",
        list(incidents.items()),
        "severity", "state",
    )  # fmt: skip
    channels = figures.outbox
    yield _gauge(
        "rampart_outbox_messages",
        "Messages that wait (pending, sending, collected for a digest) or were refused (parked).",
        [((each.channel, each.state), each.messages) for each in channels],
        "channel", "state",
    )  # fmt: skip
    yield _gauge(
        "rampart_outbox_failing_messages",
        "Messages that wait after at least one try that failed.",
        [((each.channel, each.state), each.failing) for each in channels],
        "channel", "state",
    )  # fmt: skip
    yield _gauge(
        "rampart_outbox_overdue_seconds",
        "For how long the oldest message that nobody tried to send has been due.",
        [((e.channel, e.state), _age(e.due_since, now)) for e in channels if e.due_since],
        "channel", "state",
    )  # fmt: skip
    tries = CounterMetricFamily(
        "rampart_outbox_tries",
        "Tries to send that came to an end: sent, failed (tried again), parked (refused).",
        labels=("channel", "outcome"),
    )
    for labels, value in sorted(figures.tries.items()):
        tries.add_metric(labels, value)
    yield tries


# -------------------------------------------------------------------- pieces


def _pipelines(figures: Figures) -> list[str]:
    """All that were ever counted; the ones that ended last come first."""
    ends = {each.pipeline_name: each.finished_at.timestamp() for each in figures.stages}
    counted = {each.labels["pipeline_name"] for each in figures.counters if each.metric == "runs"}
    return sorted(counted, key=lambda name: (-ends.get(name, 0.0), name))


def _bounded(found: Sequence[T], most: int) -> tuple[Sequence[T], int]:
    return found[:most], max(0, len(found) - most)


def _age(moment: datetime, now: datetime) -> float:
    """Seconds; data that speak of a moment to come are not behind."""
    return max(0.0, (now - moment).total_seconds())


def _gauge(
    name: str,
    text: str,
    values: Iterable[tuple[Sequence[str], float]],
    *labels: str,
) -> GaugeMetricFamily:
    return _family(
        name, text, [(dict(zip(labels, found, strict=True)), value) for found, value in values]
    )


def _family(
    name: str, text: str, values: Iterable[tuple[dict[str, str], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text)
    family.samples = [Sample(name, labels, value) for labels, value in values]
    return family
