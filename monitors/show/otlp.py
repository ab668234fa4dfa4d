"""The same figures as OpenTelemetry: pushed over OTLP, from the same collector.

The SDK's instruments count what happens in a process; these figures are counted in the store, so
they are handed to the exporter as they are. Counters are cumulative, with an unknown start.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from time import time_ns
from typing import Any

from prometheus_client.core import Metric

from monitors import log as logs
from monitors.errors import UsageError

log = logs.get_logger("Telemetry")

try:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import export as otel
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
except ImportError:  # pragma: no cover - said where it is used
    raise UsageError("--otlp needs OpenTelemetry: pip install 'rampart[otel]'") from None

UNKNOWN = 0
"""As a start time: OTLP's word for `not known`."""


class Pusher:
    """Pushes what a collector gives every so many seconds, on a thread of its own."""

    def __init__(self, collector: Any, url: str, every: float, environment: str) -> None:
        self._collector = collector
        self._exporter = OTLPMetricExporter(endpoint=url, timeout=10)
        self._resource = Resource(
            {"service.name": "rampart", "deployment.environment.name": environment}
        )
        self._every = every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """No push after this one; waits for one that is under way, at most two seconds."""
        self._ended.set()
        self._thread.join(timeout=2)

    def push(self) -> bool:
        """Whether the receiver took it; what goes wrong is logged and tried again next time."""
        try:
            data = metrics_data(self._collector.collect(), self._resource)
            sent = self._exporter.export(data) is otel.MetricExportResult.SUCCESS
        except Exception as error:  # a receiver that is away must not end the pushing
            log.warning("metrics not pushed", error_message=str(error))
            return False
        if not sent:
            log.warning("metrics not pushed", error_message="the receiver did not take them")
        return sent

    def _run(self) -> None:
        while not self._ended.is_set():
            self.push()
            self._ended.wait(self._every)


def metrics_data(families: Iterable[Metric], resource: Any) -> Any:
    """Families of prometheus_client as OTLP's MetricsData."""
    moment = time_ns()
    scope = otel.ScopeMetrics(
        scope=InstrumentationScope("rampart"),
        metrics=[metric for family in families for metric in _metrics(family, moment)],
        schema_url="",
    )
    return otel.MetricsData([otel.ResourceMetrics(resource, [scope], schema_url="")])


def _metrics(family: Metric, moment: int) -> Iterator[Any]:
    if not family.samples:
        return
    cumulative = otel.AggregationTemporality.CUMULATIVE
    data: Any
    if family.type == "histogram":
        data = otel.Histogram(list(_histograms(family, moment)), cumulative)
    elif family.type == "counter":
        data = otel.Sum(list(_points(family, moment)), cumulative, is_monotonic=True)
    else:
        data = otel.Gauge(list(_points(family, moment)))
    unit = "s" if family.name.endswith("_seconds") else ""
    yield otel.Metric(family.name, family.documentation, unit, data)


def _points(family: Metric, moment: int) -> Iterator[Any]:
    for sample in family.samples:
        yield otel.NumberDataPoint(dict(sample.labels), UNKNOWN, moment, float(sample.value))


def _histograms(family: Metric, moment: int) -> Iterator[Any]:
    """Prometheus counts cumulatively over buckets, OTLP each bucket by itself."""
    found: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
    for sample in family.samples:
        labels = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
        parts = found.setdefault(labels, {"buckets": [], "sum": 0.0, "count": 0})
        if sample.name.endswith("_bucket"):
            parts["buckets"].append((float(sample.labels["le"]), int(sample.value)))
        elif sample.name.endswith("_sum"):
            parts["sum"] = float(sample.value)
        elif sample.name.endswith("_count"):
            parts["count"] = int(sample.value)
    for labels, parts in found.items():
        buckets = sorted(parts["buckets"])
        counts = [now - before for (_, now), before in zip(
            buckets, [0, *(count for _, count in buckets)], strict=False)]  # fmt: skip
        yield otel.HistogramDataPoint(
            attributes=dict(labels),
            start_time_unix_nano=UNKNOWN,
            time_unix_nano=moment,
            count=parts["count"],
            sum=parts["sum"],
            bucket_counts=counts,
            explicit_bounds=[limit for limit, _ in buckets[:-1]],
            min=None,  # type: ignore[arg-type]
            max=None,  # type: ignore[arg-type]
        )
