"""`rampart scan`: the checks, and what dbt's tests said; every verdict into the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from monitors import log as logs
from monitors.alert.lines import alert_line, result_line
from monitors.commands.dbt_results import last_results
from monitors.commands.record import record_results
from monitors.commands.runner import Runner
from monitors.commands.soda_checks import soda_results_in, soda_results_of
from monitors.commands.volumes import model_volumes
from monitors.errors import ExitCode, UsageError
from monitors.results import CheckResult
from monitors.scan.register import SCAN_AGE, scan_age
from monitors.store.history import History, MetricValue
from monitors.store.landing import never_delivered
from monitors.store.postgres import Store
from monitors.verdict import Verdict

log = logs.get_logger("Monitor")


def scan_checks(
    runner: Runner,
    store: Store,
    select: Sequence[str],
    soda_results: Path | None,
    dbt_target: Path | None = None,
) -> Verdict:
    from monitors.scan import checks_files, register
    from monitors.scan.expected import without_never_delivered

    started = runner.now()
    files = checks_files.find_files(runner.config.root, runner.config.scan.checks)
    checks = checks_files.read_checks(files)
    for warned in checks.warnings:
        log.warning(str(warned))
    moment = store.latest_data_moment()
    measured: list[MetricValue] = []
    if soda_results is None:
        model_volumes(runner, store)
    with logs.stage(log, "scan", files=len(files)) as metrics:
        if soda_results is None:
            results, measured = soda_results_of(runner, store, checks, moment)
        else:
            results = soda_results_in(soda_results, runner, checks)
        if soda_results is None or dbt_target is not None:
            results += last_results(runner, store, dbt_target)
        expected = checks.expected(plain_soda=soda_results is not None)
        results += register.absent(expected, results)
        is_empty = not results
        results, not_expected = without_never_delivered(results, _silent_feeds(runner, store))
        results += _scan_age(runner, store, started)
        mutes = History(store.connection, store.run.environment).mutes(started)
        results = _selected(register.with_mutes(results, mutes), select)
        metrics.update(checks=len(results), red=sum(each.is_red for each in results))
    results = [
        each if each.data_timestamp else replace(each, data_timestamp=moment) for each in results
    ]
    History(store.connection, store.run.environment, store.run.run_id).put(measured)
    record_results(runner, store, results, started)
    red = [each for each in results if each.is_red]
    since = store.red_since(each.check_id for each in red)
    alerts = [result_line(each) for each in red]
    if (not checks.definitions and soda_results is None) or is_empty:
        where = ", ".join(runner.config.scan.checks)
        alerts.append(alert_line("monitoring failure", f"no check at all in {where}"))
    return Verdict(
        runner.run_id,
        ExitCode.RED if alerts else ExitCode.OK,
        results=tuple(results),
        red_since=since,
        alerts=tuple(alerts),
        not_expected=not_expected,
        warnings=tuple(map(str, checks.warnings)),
        scanned=True,
        scores=tuple(store.scores()),
    )


def _silent_feeds(runner: Runner, store: Store) -> list[str]:
    """Optional feeds of which nothing has ever come."""
    optional = [name for name, feed in runner.config.arrivals.items() if not feed.required]
    return never_delivered(store.connection, optional)


def _scan_age(runner: Runner, store: Store, now: datetime) -> list[CheckResult]:
    """How long nobody had looked; a check where rampart.yml says how long that may be."""
    last_scan_at = store.last_scan_at()
    if last_scan_at is not None:
        age = max((now - last_scan_at).total_seconds(), 0.0)
        measured = MetricValue(SCAN_AGE, "monitoring.runs", "scan_age_seconds", now, age)
        History(store.connection, store.run.environment, store.run.run_id).put([measured])
    within = runner.config.scan.within
    return [scan_age(last_scan_at, now, within)] if within else []


def _selected(results: list[CheckResult], select: Sequence[str]) -> list[CheckResult]:
    """Checks whose id, suite, dataset, layer or category is named; all when nothing is named.

    Raises UsageError when nothing matches: a typo must not look like a green scan.
    """
    if not select:
        return results
    wanted = [
        each
        for each in results
        if any(
            word in (each.suite_name, each.dataset, each.layer.value, each.category.value)
            or each.check_id == word
            or each.check_id.startswith(f"{word}.")
            for word in select
        )
    ]
    if not wanted:
        suites = ", ".join(sorted({each.suite_name for each in results}))
        raise UsageError(f"--select {' '.join(select)}: no check matches; suites: {suites}")
    return wanted
