"""A target folder of dbt as verdicts: the build that counts, and the freshness of sources."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from monitors.errors import ChecksError
from monitors.lineage import Lineage
from monitors.results import Category, CheckResult, Severity, Status
from monitors.scan.dbt import read_build
from monitors.scan.dbt_artifacts import Build, keep_build, read_artifacts, read_sources
from monitors.scan.dbt_freshness import read_freshness
from monitors.scan.dbt_nodes import SUITE


def read_target(
    folder: Path,
    project: str | None,
    now: datetime,
    *,
    build: Build | None = None,
    keep: bool = False,
    freshness: bool = True,
) -> list[CheckResult]:
    """Verdicts of what lies in a target folder; none when nothing was ever built.

    `build`: the last one that Rampart started, which the artifacts must be of, or newer. `keep`:
    copy them to where no other dbt command overwrites them. A file that cannot be read is one
    error, and what the others say stands beside it.
    """
    with _without_collector():
        try:
            artifacts = read_artifacts(folder, build=build, project=project, now=now)
        except ChecksError as error:
            return [_unreadable("dbt.artifacts", error)]
        if artifacts is None:
            return []
        if keep and artifacts.is_builds_own and not artifacts.is_kept:
            keep_build(folder)
        lineage = Lineage(artifacts.manifest)
        results = read_build(artifacts, lineage)
        if not freshness:
            return results
        try:
            sources = read_sources(folder, artifacts.manifest)
        except ChecksError as error:
            return [*results, _unreadable("dbt.freshness", error)]
        return results + (read_freshness(sources, lineage, now) if sources else [])


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
