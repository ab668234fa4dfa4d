"""`rampart audit`: every dbt test over whole tables; daily builds test what is new."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from monitors import log as logs
from monitors.alert.lines import alert_line, result_line
from monitors.commands.build import dbt_results, prepare_dbt
from monitors.commands.runner import Runner
from monitors.errors import ExitCode, ModelsError
from monitors.store.postgres import StageCounts, Store
from monitors.verdict import Verdict
from monitors.warehouse.dbt import AUDIT, run_dbt

log = logs.get_logger("Monitor")
FOLDER = Path("target") / "audit"
"""Its artifacts lie apart, so that the next scan still finds those of the build."""


def audit_tables(runner: Runner, store: Store, select: Sequence[str]) -> Verdict:
    """Run the data tests on all rows and record their verdicts."""
    started = runner.now()
    prepare_dbt(runner, store)
    arguments = ["test", "--exclude-resource-type", "unit_test", "--target-path", str(FOLDER)]
    if select:
        arguments += ["--select", *select]
    log_id = store.start_stage("dbt", "audit", "gold", "dbt test")
    store.connection.commit()
    with logs.stage(log, "audit") as metrics:
        code = run_dbt(
            runner.target, runner.config.root, *arguments, quiet=runner.quiet_dbt, variables=AUDIT
        )
        metrics["exit_code"] = code
    counts = StageCounts(error_message="tests failed" if code else None)
    store.finish_stage(log_id, "failed" if code else "succeeded", counts)
    store.connection.commit()
    if code == 2:
        raise ModelsError("dbt could not start; see logs/dbt.log or `rampart doctor`")
    results = dbt_results(runner, FOLDER)
    store.add_results(results, started)
    store.connection.commit()
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
