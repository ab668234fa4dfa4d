"""`rampart build`: `dbt build`, one at a time on a warehouse, recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from monitors import log as logs
from monitors.alert.lines import result_line
from monitors.commands.load import prepare_feeds
from monitors.commands.runner import Runner
from monitors.errors import ExitCode, ModelsError
from monitors.results import CheckResult
from monitors.store.postgres import StageCounts, Store
from monitors.verdict import Verdict
from monitors.warehouse.dbt import AUDIT, run_dbt, run_results
from monitors.warehouse.packages import install_packages, packages_status

log = logs.get_logger("Monitor")


def build_models(
    runner: Runner, store: Store, select: Sequence[str], full_refresh: bool
) -> Verdict:
    prepare_dbt(runner, store)
    take_turn(runner, store)
    try:
        return _build_alone(runner, store, select, full_refresh)
    finally:
        if not store.connection.closed:
            store.connection.rollback()
            store.unlock_builds()
            store.connection.commit()


def take_turn(runner: Runner, store: Store) -> None:
    """Builds that Rampart starts on one warehouse wait for each other."""
    if not store.lock_builds(wait=False):
        log.info("another build runs; this one waits for its turn")
        store.lock_builds(wait=True)
    store.connection.commit()


def prepare_dbt(runner: Runner, store: Store) -> None:
    """What every dbt command finds: a raw table for each feed, and the packages."""
    prepare_feeds(runner, store)
    if packages_status(runner.config.root) is None:
        log.info(install_packages(runner.config.root).message)


def _build_alone(
    runner: Runner, store: Store, select: Sequence[str], full_refresh: bool
) -> Verdict:
    # unit tests speak of the code, not of the data: they run where the code changes
    arguments = ["build", "--exclude-resource-type", "unit_test"]
    source = "dbt build"
    if select:
        arguments += ["--select", *select]
        source = f"dbt build --select {' '.join(select)}"  # no green build of the whole project
    if full_refresh:
        arguments.append("--full-refresh")
    log_id = store.start_stage("dbt", "build", "gold", source)
    store.connection.commit()
    with logs.stage(log, "build") as metrics:
        code = run_dbt(
            runner.target,
            runner.config.root,
            *arguments,
            quiet=runner.quiet_dbt,
            variables=AUDIT if full_refresh else None,  # then every row is new
        )
        metrics["exit_code"] = code
    if code == 2:
        error = "dbt could not start; see logs/dbt.log or `rampart doctor`"
        store.finish_stage(log_id, "failed", StageCounts(error_message=error))
        store.connection.commit()
        raise ModelsError(f"{error}; `dbt parse` says more")
    counts = StageCounts(error_message="models or tests failed" if code else None)
    store.finish_stage(log_id, "failed" if code else "succeeded", counts)
    store.connection.commit()
    if not code:
        return Verdict(runner.run_id, ExitCode.OK, build_exit_code=0)
    # Which tests failed is for the scan to say, from dbt's own results.
    alerts = tuple(result_line(each) for each in dbt_results(runner) if each.is_red)
    return Verdict(runner.run_id, ExitCode.RED, alerts=alerts, build_exit_code=code)


def dbt_results(runner: Runner, folder: Path = Path("target")) -> list[CheckResult]:
    """Verdicts of the last build in this project; none when nothing was built here."""
    from monitors.scan.dbt import read_build

    found = run_results(runner.config.root / folder)
    return read_build(found, runner.config.root / folder / "manifest.json") if found else []
