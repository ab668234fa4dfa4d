"""Who was expected to report: absent checks are missing, muted ones are marked, silence shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from monitors.results import Category, CheckResult, Layer, Severity, Status
from monitors.scan.checks_files import Definition
from monitors.store.history import Mute

SUITE = "rampart"
SCAN_AGE = "rampart.scan_age"


def absent(definitions: Iterable[Definition], results: Iterable[CheckResult]) -> list[CheckResult]:
    """A `missing` verdict for each check of the files that did not report."""
    reported = {each.check_id for each in results}
    return [_missing(each) for each in definitions if each.check_id not in reported]


def with_mutes(results: Iterable[CheckResult], mutes: Mapping[str, Mute]) -> list[CheckResult]:
    """The same results; those of muted checks say until when, why and by whom."""
    return [
        replace(each, muted=_mute_text(mutes[each.check_id])) if each.check_id in mutes else each
        for each in results
    ]


def scan_age(last_scan_at: datetime | None, now: datetime, within: timedelta) -> CheckResult:
    """How long nobody had looked before this scan: `warn` beyond `within`, it is over now."""
    age = None if last_scan_at is None else max((now - last_scan_at).total_seconds(), 0.0)
    limit = within.total_seconds()
    is_late = age is not None and age > limit
    return CheckResult(
        check_id=SCAN_AGE,
        check_name="scans come as often as they should",
        suite_name=SUITE,
        dataset="monitoring.runs",
        status=Status.BLIND if age is None else Status.WARN if is_late else Status.PASS,
        layer=Layer.BRONZE,
        category=Category.INFRASTRUCTURE,
        severity=Severity.HIGH,
        metric_name="scan_age_seconds",
        metric_value=age,
        expected_max=limit,
        message="this is the first scan"
        if age is None
        else f"the scan before ended {_words(age)} ago (max {_words(limit)})",
        attributes={
            "matters": "Between two scans nobody knows whether the numbers hold.",
            "do": "See why the scheduler did not call: its own log, and monitoring.runs.",
        },
    )


def _missing(definition: Definition) -> CheckResult:
    attributes = definition.attributes
    return CheckResult(
        check_id=definition.check_id,
        check_name=definition.name,
        suite_name=definition.suite,
        dataset=definition.dataset,
        segment=definition.segment,
        status=Status.MISSING,
        layer=Layer(attributes.get("layer", "gold")),
        category=Category(attributes.get("category", "data_quality")),
        severity=Severity(attributes.get("severity", "high")),
        metric_name=definition.metric,
        message=f"expected by {definition.path.name}:{definition.line}, and it did not report",
        attributes=attributes,
    )


def _mute_text(mute: Mute) -> str:
    return f"until {mute.muted_until:%Y-%m-%d %H:%M} UTC: {mute.why} ({mute.muted_by})"


def _words(seconds: float) -> str:
    """`40 minutes`, `26 hours`, `3 days`."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}s"
    return f"{seconds:.0f} seconds"
