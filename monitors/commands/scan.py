"""`rampart scan`: the checks, and what dbt's tests said; every verdict into the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from monitors import log as logs
from monitors.alert.lines import alert_line, result_line
from monitors.commands.build import dbt_results
from monitors.commands.runner import Runner
from monitors.errors import ExitCode, UsageError
from monitors.results import CheckResult
from monitors.store.history import History, MetricValue
from monitors.store.postgres import Store
from monitors.verdict import Verdict
from monitors.warehouse.connection import connect

if TYPE_CHECKING:
    from monitors.scan.checks_files import Checks

log = logs.get_logger("Monitor")


def scan_checks(
    runner: Runner, store: Store, select: Sequence[str], soda_results: Path | None
) -> Verdict:
    from monitors.scan import checks_files

    started = runner.now()
    files = checks_files.find_files(runner.config.root, runner.config.scan.checks)
    checks = checks_files.read_checks(files)
    for warned in checks.warnings:
        log.warning(str(warned))
    moment = store.latest_data_moment()
    with logs.stage(log, "scan", files=len(files)) as metrics:
        results, measured = _soda(runner, store, checks, moment, soda_results)
        results += dbt_results(runner) if soda_results is None else []
        results = _selected(results, select)
        metrics.update(checks=len(results), red=sum(each.is_red for each in results))
    results = [
        each if each.data_timestamp else replace(each, data_timestamp=moment) for each in results
    ]
    store.add_results(results, started)
    History(store.connection, runner.config.environment, runner.run_id).put(measured)
    store.connection.commit()
    red = [each for each in results if each.is_red]
    since = store.red_since(each.check_id for each in red)
    alerts = [result_line(each) for each in red]
    if (not checks.definitions and soda_results is None) or not results:
        where = ", ".join(runner.config.scan.checks)
        alerts.append(alert_line("monitoring failure", f"no check at all in {where}"))
    return Verdict(
        runner.run_id,
        ExitCode.RED if alerts else ExitCode.OK,
        results=tuple(results),
        red_since=since,
        alerts=tuple(alerts),
        warnings=tuple(map(str, checks.warnings)),
        scanned=True,
    )


def _soda(
    runner: Runner, store: Store, checks: Checks, moment: datetime | None, soda_results: Path | None
) -> tuple[list[CheckResult], list[MetricValue]]:
    """What the checks say, by a scan of our own or by the file of a plain `soda scan`."""
    if soda_results is not None:
        from monitors.scan import soda_file

        found = soda_file.read_results_file(soda_results)
        with connect(runner.target, read_only=True) as reading:
            return soda_file.to_results(found, checks.definitions, reading), []
    from monitors.scan import soda

    scan, now = runner.config.scan, runner.now()
    history = History(store.connection, runner.config.environment)
    moments = dict.fromkeys(runner.config.feeds) | history.moments()
    outcome = soda.run_checks(
        checks,
        runner.target,
        soda.Settings(scan.statement_timeout, scan.parallel, moments=moments),
        history=history,
        moment=moment or now,
        now=now,
    )
    return list(outcome.results), list(outcome.measured)


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
