"""`rampart build`: `dbt build`, one at a time on a warehouse, recorded."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import psycopg

from monitors import log as logs
from monitors.alert.lines import alert_line, result_line
from monitors.commands.dbt_results import build_source, results_of_run
from monitors.commands.feeds import prepare_feeds
from monitors.commands.record import record_results
from monitors.commands.runner import Runner, milliseconds
from monitors.errors import ExitCode, ModelsError
from monitors.scan.dbt_artifacts import keep_build
from monitors.store.postgres import StageCounts, Store
from monitors.verdict import Verdict
from monitors.warehouse.dbt import AUDIT, run_dbt, stamp, target_folder
from monitors.warehouse.packages import ensure_packages

log = logs.get_logger("Monitor")


def build_models(
    runner: Runner, store: Store, select: Sequence[str], full_refresh: bool
) -> Verdict:
    """`dbt build`; which tests failed is for the scan to say."""
    return alone(runner, store, lambda: _build_alone(runner, store, select, full_refresh))


def alone(runner: Runner, store: Store, job: Callable[[], Verdict]) -> Verdict:
    """Do a job of dbt while no other one that Rampart starts works on the warehouse."""
    prepare_dbt(runner, store)
    take_turn(runner, store)
    try:
        return job()
    finally:
        if not store.connection.closed:
            with suppress(psycopg.OperationalError):  # a connection that is gone holds no lock
                store.connection.rollback()
                store.unlock_builds()
                store.connection.commit()


def skip_build(runner: Runner, store: Store, why: str, stopped_by: str) -> Verdict:
    """The circuit breaker: nothing is built on what is not here, and the log says why.

    `stopped_by`: the check_id that stands for everything which therefore cannot report.
    """
    source = f"dbt build into {runner.target.name}.{runner.target.schema}"
    log_id = store.start_stage("dbt", "build", "gold", source, "skipped")
    counts = StageCounts(
        error_type="SKIPPED_RED_LANDING",
        error_message=why,
        details={"blocked_by": stopped_by},
    )
    store.finish_stage(log_id, "skipped", counts)
    store.connection.commit()
    log.warning("build skipped", stage="build", reason=why)
    line = alert_line("run stopped", f"{why}; not run: dbt build (`run: on_red_landing`)")
    return Verdict(runner.run_id, ExitCode.RED, alerts=(line,), build_skipped=why)


def take_turn(runner: Runner, store: Store) -> None:
    """Builds that Rampart starts on one warehouse wait for each other."""
    if not store.lock_builds(wait=False):
        log.info("another build runs; this one waits for its turn")
        store.lock_builds(wait=True)
    store.connection.commit()


def prepare_dbt(runner: Runner, store: Store) -> None:
    """What every dbt command finds: a raw table for each feed, and the packages."""
    prepare_feeds(runner, store)
    if message := ensure_packages(runner.config.root):
        log.info(message)


def _build_alone(
    runner: Runner, store: Store, select: Sequence[str], full_refresh: bool
) -> Verdict:
    started = runner.now()
    # unit tests speak of the code, not of the data: they run where the code changes
    arguments = ["build", "--exclude-resource-type", "unit_test"]
    # tests look for a green build of the whole project into their target (untested_deliveries.sql)
    source = build_source(runner.target)
    if select:
        arguments += ["--select", *select]
        source += f" --select {' '.join(select)}"
    if full_refresh:
        arguments.append("--full-refresh")
    # with every row written anew, every row is new to the tests
    code = run_recorded(runner, store, "build", source, arguments, AUDIT if full_refresh else None)
    folder = target_folder(runner.config.root)
    if not code:
        keep_build(folder)
        return Verdict(runner.run_id, ExitCode.OK, build_exit_code=0)
    # Which tests failed is for the scan to say, from dbt's own results.
    red = [each for each in results_of_run(runner, folder, select) if each.is_red]
    keep_build(folder)
    # a build by itself may be the last thing that a scheduler starts today
    record_results(runner, store, red, started)
    alerts = tuple(result_line(each) for each in red)
    return Verdict(runner.run_id, ExitCode.RED, alerts=alerts, build_exit_code=code)


def run_recorded(
    runner: Runner,
    store: Store,
    stage: str,
    source: str,
    arguments: Sequence[str],
    variables: Mapping[str, str] | None = None,
) -> int:
    """Run dbt as a stage; 0 fine, 1 failures. Raises ModelsError when it cannot start."""
    log_id = store.start_stage("dbt", stage, "gold", source)
    store.connection.commit()
    with logs.stage(log, stage) as metrics:
        code = run_dbt(
            runner.target,
            runner.config.root,
            *arguments,
            quiet=runner.quiet_dbt,
            variables={**(variables or {}), **stamp(runner.run_id), **_lock_limit(runner)},
        )
        metrics["exit_code"] = code
    said = {1: "models or tests failed", 2: "dbt could not start; see logs/dbt.log"}.get(code)
    counts = StageCounts(error_message=said)
    store.finish_stage(log_id, "failed" if code else "succeeded", counts)
    store.connection.commit()
    if code == 2:
        raise ModelsError(f"{said} or `rampart doctor`; `dbt parse` says more")
    return code


def _lock_limit(runner: Runner) -> dict[str, str]:
    """The variable by which sessions of dbt wait no longer for a lock than our own."""
    limit = f"-c lock_timeout={milliseconds(runner.config.run.lock_timeout)}"
    return {"PGOPTIONS": " ".join(filter(None, (os.environ.get("PGOPTIONS"), limit)))}
