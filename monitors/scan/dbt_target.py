"""A target folder of dbt as verdicts: the build that counts, and the freshness of sources."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from monitors.errors import ChecksError
from monitors.lineage import Lineage
from monitors.log import get_logger
from monitors.results import Category, CheckResult, Severity, Status
from monitors.scan.dbt import read_build
from monitors.scan.dbt_artifacts import Build, keep_build, read_artifacts, read_sources
from monitors.scan.dbt_freshness import read_freshness
from monitors.scan.dbt_nodes import SUITE

log = get_logger("Dbt")

_NOT_AS_DBT_WRITES = (AttributeError, KeyError, TypeError, ValueError)
"""What a value in the wrong place gives: the schema's version promised another one."""


def read_target(
    folder: Path,
    project: str | None,
    now: datetime,
    *,
    build: Build | None = None,
    is_dbt_at_work: Callable[[], bool] = lambda: True,
    keep: bool = False,
    freshness: bool = True,
) -> list[CheckResult]:
    """Verdicts of what lies in a target folder; none when nothing was ever built.

    `build`: the last one that Rampart started, which the artifacts must be of, or newer.
    `is_dbt_at_work`: whether any dbt is connected to the warehouse; see read_artifacts. `keep`:
    copy them to where no other dbt command overwrites them. A file that cannot be read is one
    error, and what the others say stands beside it.
    """
    with _without_collector():
        try:
            artifacts = read_artifacts(
                folder, build=build, project=project, now=now, is_dbt_at_work=is_dbt_at_work
            )
            if artifacts is None:
                return []
            lineage = Lineage(artifacts.manifest)
            results = read_build(artifacts, lineage)
        except (ChecksError, *_NOT_AS_DBT_WRITES) as error:
            return [_unreadable("dbt.artifacts", folder, error)]
        if keep and artifacts.is_builds_own and not artifacts.is_kept:
            keep_build(folder)
        if not freshness:
            return results
        try:
            sources = read_sources(folder, artifacts.manifest)
            return results + (read_freshness(sources, lineage, now) if sources else [])
        except (ChecksError, *_NOT_AS_DBT_WRITES) as error:
            return [*results, _unreadable("dbt.freshness", folder, error)]


@contextmanager
def _without_collector() -> Iterator[None]:
    """A manifest is a million objects without a circle; looking for some doubles the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _unreadable(check_id: str, folder: Path, error: Exception) -> CheckResult:
    message = str(error)
    if not isinstance(error, ChecksError):
        log.debug("artifacts not understood", exc_info=error)
        found = f"{type(error).__name__}: {error}"
        message = f"{folder}: found artifacts that are not as dbt writes them ({found})"
    return CheckResult(
        check_id=check_id,
        check_name="dbt's results can be read",
        suite_name=SUITE,
        dataset=SUITE,
        status=Status.ERROR,
        category=Category.INFRASTRUCTURE,
        severity=Severity.HIGH,
        message=message,
    )
