"""What dbt's last build, or the one of this run, says: the folder, and which build is meant."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from monitors.commands.runner import Runner
from monitors.errors import UsageError
from monitors.results import CheckResult
from monitors.scan.dbt_artifacts import ARTIFACTS, Build
from monitors.scan.dbt_target import read_target
from monitors.store.postgres import Store
from monitors.warehouse.dbt import project_name, target_folder
from monitors.warehouse.target import Target


def build_source(target: Target) -> str:
    """How a whole-project build is named in pipeline_logs; untested_deliveries.sql looks for it."""
    return f"dbt build into {target.name}.{target.schema}"


def last_results(runner: Runner, store: Store, folder: Path | None = None) -> list[CheckResult]:
    """Verdicts of the last build, and of `dbt source freshness`, from a target folder of dbt.

    In the project's own folder they must be of the last build that monitoring.pipeline_logs knows,
    or newer. Raises UsageError when another folder is named and has no artifacts.
    """
    own = target_folder(runner.config.root)
    if folder is None or folder.resolve() == own.resolve():
        return read_target(
            own,
            _project(runner, own),
            runner.now(),
            build=_last_build(runner, store),
            is_dbt_at_work=lambda: _is_dbt_at_work(store),
            keep=True,
        )
    if not any((folder / name).is_file() for name in ARTIFACTS):
        raise UsageError(f"--dbt-target {folder}: none of {', '.join(ARTIFACTS)} is there")
    return read_target(folder, _project(runner, folder), runner.now())


def results_of_run(runner: Runner, folder: Path, select: Sequence[str]) -> list[CheckResult]:
    """Verdicts of the dbt command that has just ended in this run; all missing if it left none."""
    build = Build(runner.run_id, runner.now(), " ".join(select))
    project = _project(runner, folder)
    return read_target(folder, project, runner.now(), build=build, freshness=False)


def _last_build(runner: Runner, store: Store) -> Build | None:
    source = build_source(runner.target)
    found = store.last_build(source)
    if found is None:
        return None
    is_running = False
    has_no_end = found["status"] == "started"
    if has_no_end:  # it runs, or it was killed: then nobody holds its lock
        is_running = not store.lock_builds(wait=False)
        if not is_running:
            store.unlock_builds()
    selection = str(found["source"]).removeprefix(source).removeprefix(" --select ")
    return Build(
        found["run_id"],
        found["started_at"],
        selection,
        is_running=is_running,
        is_broken_off=has_no_end and not is_running,
        blocked_by=found["blocked_by"] or "",
    )


def _is_dbt_at_work(store: Store) -> bool:
    """Looks a few times: between two models dbt may have no connection for a moment."""
    for _ in range(3):
        if store.count_dbt_sessions():
            return True
        time.sleep(0.3)
    return False


def _project(runner: Runner, folder: Path) -> str | None:
    """The dbt project that a target folder belongs to; where it lies alone, the one beside us."""
    return project_name(folder.parent) or project_name(runner.config.root)
