"""What dbt's last build, or the one of this run, says: artifacts, lineage and verdicts together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from monitors import log as logs
from monitors.commands.runner import Runner
from monitors.errors import ChecksError, UsageError
from monitors.lineage import Lineage
from monitors.results import Category, CheckResult, Severity, Status
from monitors.scan.dbt import read_build
from monitors.scan.dbt_artifacts import (
    ARTIFACTS,
    Build,
    keep_build,
    read_artifacts,
    read_sources,
)
from monitors.scan.dbt_freshness import read_freshness
from monitors.scan.dbt_nodes import SUITE
from monitors.store.postgres import Store
from monitors.warehouse.dbt import project_name, target_folder
from monitors.warehouse.target import Target

log = logs.get_logger("Monitor")


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
        return _verdicts(runner, own, _last_build(runner, store), is_own=True)
    if not any((folder / name).is_file() for name in ARTIFACTS):
        raise UsageError(f"--dbt-target {folder}: none of {', '.join(ARTIFACTS)} is there")
    return _verdicts(runner, folder, None)


def results_of_run(runner: Runner, folder: Path, select: Sequence[str]) -> list[CheckResult]:
    """Verdicts of the dbt command that has just ended in this run; all missing if it left none."""
    build = Build(runner.run_id, runner.now(), " ".join(select))
    return _verdicts(runner, folder, build, freshness=False)


def _last_build(runner: Runner, store: Store) -> Build | None:
    source = build_source(runner.target)
    found = store.last_build(source)
    if found is None:
        return None
    is_running = False
    if found["status"] == "started":  # it runs, or it was killed: then nobody holds its lock
        is_running = not store.lock_builds(wait=False)
        if not is_running:
            store.unlock_builds()
    selection = str(found["source"]).removeprefix(source).removeprefix(" --select ")
    return Build(found["run_id"], found["started_at"], selection, is_running)


def _verdicts(
    runner: Runner,
    folder: Path,
    build: Build | None,
    *,
    is_own: bool = False,
    freshness: bool = True,
) -> list[CheckResult]:
    """A file that cannot be read is one error; what the others say stands beside it."""
    now = runner.now()
    try:
        project = project_name(folder.parent) or project_name(runner.config.root)
        artifacts = read_artifacts(folder, build=build, project=project, now=now)
    except ChecksError as error:
        return [_unreadable("dbt.artifacts", error)]
    if artifacts is None:
        return []
    lineage = Lineage(artifacts.manifest)
    results = read_build(artifacts, lineage)
    if is_own and artifacts.is_builds_own and not artifacts.is_kept:
        keep_build(folder)
    if freshness:
        try:
            sources = read_sources(folder, artifacts.manifest)
            results += read_freshness(sources, lineage, now) if sources else []
        except ChecksError as error:
            results.append(_unreadable("dbt.freshness", error))
    return results


def _unreadable(check_id: str, error: ChecksError) -> CheckResult:
    return CheckResult(
        check_id=check_id,
        check_name="dbt's results can be read",
        suite_name=SUITE,
        dataset=SUITE,
        status=Status.ERROR,
        category=Category.INFRASTRUCTURE,
        severity=Severity.HIGH,
        message=str(error),
    )
