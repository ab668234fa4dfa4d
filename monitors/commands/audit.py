"""`rampart audit`: every dbt test over whole tables; daily builds test what is new."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from monitors.alert.lines import alert_line, result_line
from monitors.commands.build import alone, run_recorded
from monitors.commands.dbt_results import results_of_run
from monitors.commands.record import record_results
from monitors.commands.runner import Runner
from monitors.errors import ExitCode
from monitors.store.postgres import Store
from monitors.verdict import Verdict
from monitors.warehouse.dbt import AUDIT

FOLDER = Path("target") / "audit"
"""Its artifacts lie apart, so that the next scan still finds those of the build."""


def audit_tables(runner: Runner, store: Store, select: Sequence[str]) -> Verdict:
    """Run the data tests on all rows and record their verdicts."""
    return alone(runner, store, lambda: _audit_alone(runner, store, select))


def _audit_alone(runner: Runner, store: Store, select: Sequence[str]) -> Verdict:
    started = runner.now()
    arguments = ["test", "--exclude-resource-type", "unit_test", "--target-path", str(FOLDER)]
    if select:
        arguments += ["--select", *select]
    run_recorded(runner, store, "audit", "dbt test", arguments, AUDIT)
    results = results_of_run(runner, runner.config.root / FOLDER, select)
    record_results(runner, store, results, started)
    red = [each for each in results if each.is_red]
    alerts = [result_line(each) for each in red]
    if not results:
        alerts.append(alert_line("monitoring failure", "no dbt test at all"))
    return Verdict(
        runner.run_id,
        ExitCode.RED if alerts else ExitCode.OK,
        results=tuple(results),
        red_since=store.red_since(each.check_id for each in red),
        alerts=tuple(alerts),
        scanned=True,
    )
