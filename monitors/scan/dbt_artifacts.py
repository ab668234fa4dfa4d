"""dbt's artifacts of the build that counts: found, read and held against the one that was meant.

`dbt docs generate` and `dbt compile` overwrite run_results.json, a killed build leaves an older
one, and any command may write a new manifest.json. So a build's two files are also kept beside
them, in `last_build/`, where no dbt command writes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import yaml

from monitors.errors import ChecksError
from monitors.log import get_logger
from monitors.warehouse.dbt import RUN_ID_IN_ARTIFACTS

log = get_logger("Dbt")

BUILD_COMMANDS = ("build", "run", "test", "retry")
"""Commands whose run_results.json speaks of models and tests that ran."""
KEPT = "last_build"
RUN_RESULTS, MANIFEST, SOURCES = "run_results.json", "manifest.json", "sources.json"
ARTIFACTS = (RUN_RESULTS, MANIFEST, SOURCES)
SCHEMAS = {RUN_RESULTS: "run-results/v6", MANIFEST: "manifest/v12", SOURCES: "sources/v3"}
"""What dbt 1.8 and later write."""
_CONTENT = {RUN_RESULTS: ("results", list), MANIFEST: ("nodes", dict), SOURCES: ("results", list)}
_LATE = timedelta(minutes=10)
"""A build by hand may run this long, or twice as long as the one before, while some dbt is
connected to the warehouse; then it counts as killed."""

Artifact = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Build:
    """A build that Rampart started on this warehouse, as monitoring.pipeline_logs has it."""

    run_id: str
    started_at: datetime
    selection: str = ""
    """What `--select` named; empty for the whole project."""
    is_running: bool = False
    is_broken_off: bool = False
    """It ended, and not by itself."""
    blocked_by: str = ""
    """The check at the landing place because of which it was skipped."""


@dataclass(frozen=True, slots=True)
class Artifacts:
    """What there is to judge; `run_results` is None when the build that counts left none."""

    manifest: Artifact
    run_results: Artifact | None = None
    is_builds_own: bool = False
    """The manifest is of the same invocation: what it names, the build knew."""
    is_kept: bool = False
    """They are the copies that were made before another command wrote over the build's files."""
    selects_by_default: bool = False
    """A selector of the project says what a command without a selection means."""
    lost: str = ""
    """Why the build that counts left no results, or not all of them, and since when."""
    selection: str = ""
    """Of the build that left not all of its results."""
    blocked_by: str = ""
    """The check that stands for all results: because of it nothing was built."""


def read_artifacts(
    folder: Path,
    *,
    build: Build | None,
    project: str | None,
    now: datetime,
    is_dbt_at_work: Callable[[], bool] = lambda: True,
) -> Artifacts | None:
    """The artifacts of the last build in a target folder; None when nothing was ever built.

    `build` is the last one that Rampart started into this target, `project` the name that the
    manifest must bear. `is_dbt_at_work` says whether any dbt is connected to the warehouse; it is
    asked only when a build by hand has begun and has not written its results. Raises ChecksError
    when a file is torn, foreign or of another dbt.
    """
    results, is_kept = _results_of_a_build(folder)
    is_due = build is not None and not build.is_running
    is_known = results is not None or is_due or _unknown_build(folder, results) is not None
    if not is_known and not (folder / SOURCES).exists():
        return None
    if results is None and build is not None and is_due and not (folder / MANIFEST).exists():
        if build.blocked_by:
            return None
        raise ChecksError(
            f"{folder / RUN_RESULTS}: not found; {_said(build)} left no results here;"
            " run `rampart build`"
        )
    manifest, is_own = _manifest_of(folder, results, project)
    if results is not None:
        _refuse_strangers(results, manifest, folder)
    by_default = _selects_by_default(folder.parent, manifest)
    is_current = is_own and not is_kept  # no command has begun since
    lost = _why_lost(folder, results, build, now, is_current, is_dbt_at_work)
    if lost:
        selection = build.selection if build else ""
        blocked_by = build.blocked_by if build and not _is_left_by(build, results) else ""
        return Artifacts(
            manifest,
            selects_by_default=by_default,
            lost=lost,
            selection=selection,
            blocked_by=blocked_by,
        )
    if build and build.is_broken_off and build.selection and _is_stamped(build, results):
        lost = f"{_said(build)} was stopped; what it did not reach is not known"
        return Artifacts(
            manifest, results, is_own, is_kept, by_default, lost, selection=build.selection
        )
    return Artifacts(manifest, results, is_own, is_kept, by_default)


def read_sources(folder: Path, manifest: Artifact) -> Artifact | None:
    """sources.json of `dbt source freshness`; None when there is none. Raises ChecksError."""
    found = read_file(folder / SOURCES)
    known = manifest.get("sources") or {}
    if found and found["results"] and not any(_id(each) in known for each in found["results"]):
        raise ChecksError(
            f"{folder / SOURCES}: found sources of another project ({_id(found['results'][0])}),"
            f" allowed are those of {folder / MANIFEST}"
        )
    return found


def read_file(path: Path) -> Artifact | None:
    """An artifact; None when it is not there. Raises ChecksError when it is torn or foreign."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ChecksError(f"{path}: cannot be read ({error.strerror})") from None
    if not text.strip():
        raise ChecksError(
            f"{path}: is empty; dbt was stopped while it wrote it, or its disk is full"
        )
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ChecksError(
            f"{path}: is no whole JSON document ({error}); dbt was stopped while it wrote it"
        ) from None
    _refuse_other_schema(path, found)
    return found  # type: ignore[no-any-return]


def keep_build(folder: Path) -> None:
    """Copy what a build has just left to where no other dbt command overwrites it.

    Never raises: a folder that cannot be written only loses the second chance.
    """
    try:
        for name in (MANIFEST, RUN_RESULTS):
            ours, theirs = folder / KEPT / name, folder / name
            then, now = (ours.stat() if ours.exists() else None), theirs.stat()
            if then and (then.st_size, then.st_mtime_ns) == (now.st_size, now.st_mtime_ns):
                continue
            ours.parent.mkdir(exist_ok=True)
            staged = ours.with_suffix(".new")
            shutil.copy2(theirs, staged)
            staged.replace(ours)
    except OSError as error:
        log.debug("artifacts of the build not kept", folder=str(folder), error=str(error))


def moment_of(artifact: Artifact, key: str = "generated_at") -> datetime | None:
    """A moment of the metadata, with its time zone; None when it is not there."""
    return parse_moment(artifact["metadata"].get(key))


def parse_moment(text: Any) -> datetime | None:
    return datetime.fromisoformat(str(text).replace("Z", "+00:00")) if text else None


# -------------------------------------------------------------------- which files count


def _results_of_a_build(folder: Path) -> tuple[Artifact | None, bool]:
    """The newest results that are a build's, dbt's own file or the copy; whether the copy."""
    for place, is_kept in ((folder, False), (folder / KEPT, True)):
        found = read_file(place / RUN_RESULTS)
        if _is_of_a_build(found):
            return found, is_kept
    return None, False


def _is_of_a_build(results: Artifact | None) -> bool:
    if results is None:
        return False
    arguments = results.get("args") or {}
    # a retry that finds nothing to repeat writes an empty file over the build's
    nothing = is_retry(results) and not results["results"]
    return arguments.get("which") in BUILD_COMMANDS and not nothing


def is_retry(results: Artifact) -> bool:
    """`dbt retry` states the arguments of the build that it repeats a part of."""
    arguments = results.get("args") or {}
    return "retry" in (arguments.get("which"), *str(arguments.get("invocation_command")).split())


def _manifest_of(
    folder: Path, results: Artifact | None, project: str | None
) -> tuple[Artifact, bool]:
    """The manifest of the results' invocation, or else the newest; and whether it is the former."""
    found = read_file(folder / MANIFEST)
    if results is not None and (found is None or not _is_same_invocation(found, results)):
        kept = read_file(folder / KEPT / MANIFEST)
        if kept is not None and (found is None or _is_same_invocation(kept, results)):
            found = kept
    if found is None:
        raise ChecksError(
            f"{folder / MANIFEST}: not found; without it nobody knows what was built; `dbt parse`"
        )
    name = found["metadata"].get("project_name")
    if project and name and name != project:
        raise ChecksError(
            f"{folder / MANIFEST}: found the dbt project `{name}`, allowed is `{project}`"
        )
    return found, results is not None and _is_same_invocation(found, results)


def _is_same_invocation(one: Artifact, other: Artifact) -> bool:
    invocation = one["metadata"].get("invocation_id")
    return bool(invocation) and invocation == other["metadata"].get("invocation_id")


def _selects_by_default(project: Path, manifest: Artifact) -> bool:
    """Of the manifest, and of the file: dbt's partial parsing does not see that it changed."""
    selectors = [*(manifest.get("selectors") or {}).values()]
    try:
        text = (project / "selectors.yml").read_text(encoding="utf-8")
        selectors += (yaml.safe_load(text) or {}).get("selectors") or []
    except (OSError, ValueError, AttributeError, yaml.YAMLError):
        pass  # there is none, or dbt says what is wrong with it
    return any(isinstance(each, dict) and each.get("default") for each in selectors)


# -------------------------------------------------------------------- whether they are the build's


def _why_lost(
    folder: Path,
    results: Artifact | None,
    build: Build | None,
    now: datetime,
    is_current: bool,
    is_dbt_at_work: Callable[[], bool],
) -> str:
    """Why the last build left no results, in words; empty when it left some, or still runs."""
    if build is not None and not build.is_running and not _is_left_by(build, results):
        return (
            f"{_said(build)} left no results: it was stopped, or could not start{_before(results)}"
        )
    began = None if is_current else _unknown_build(folder, results)
    before = float(results.get("elapsed_time") or 0) if results else 0
    elapsed = timedelta(seconds=2 * before)
    if began is None or (build and build.is_running):
        return ""
    if now - began <= max(_LATE, elapsed) and is_dbt_at_work():
        return ""
    return (
        f"a `dbt build` that began {began:%Y-%m-%d %H:%M} UTC left no results: it was"
        f" stopped{_before(results)}"
    )


def _is_left_by(build: Build, results: Artifact | None) -> bool:
    """The build's own results, or those of a build by hand that began after it."""
    if results is None:
        return False
    if (results["metadata"].get("env") or {}).get(RUN_ID_IN_ARTIFACTS):
        return _is_stamped(build, results)
    began = moment_of(results, "invocation_started_at") or moment_of(results)
    return began is not None and began > build.started_at


def _is_stamped(build: Build, results: Artifact | None) -> bool:
    env = (results["metadata"].get("env") or {}) if results else {}
    return bool(env.get(RUN_ID_IN_ARTIFACTS) == build.run_id)


def _unknown_build(folder: Path, results: Artifact | None) -> datetime | None:
    """When a build by hand began that has not written its results; None when there is none.

    Any command writes a manifest. Only `dbt build` writes a graph with the edges of tests.
    """
    path = folder / "graph_summary.json"
    try:
        began = datetime.fromtimestamp(path.stat().st_mtime, tz=timezone.utc)
        graph = json.loads(path.read_bytes())
        invocation = graph.get("_invocation_id")
    except (OSError, ValueError, AttributeError):
        return None
    if "with_test_edges" not in graph or _has_written(invocation, results):
        return None
    if _has_written(invocation, read_file(folder / RUN_RESULTS)):
        return None  # a retry that found nothing to repeat
    finished = moment_of(results) if results else None
    return None if finished and began <= finished else began


def _has_written(invocation: str, results: Artifact | None) -> bool:
    return results is not None and invocation == results["metadata"].get("invocation_id")


def _said(build: Build) -> str:
    selection = f" --select {build.selection}" if build.selection else ""
    return (
        f"the build{selection} that began {build.started_at:%Y-%m-%d %H:%M} UTC"
        f" (run {build.run_id})"
    )


def _before(results: Artifact | None) -> str:
    finished = moment_of(results) if results else None
    return f"; the results before it are of {finished:%Y-%m-%d %H:%M} UTC" if finished else ""


# -------------------------------------------------------------------- what is refused


def _refuse_other_schema(path: Path, found: Any) -> None:
    key, kind = _CONTENT.get(path.name, ("results", list))
    metadata = found.get("metadata") if isinstance(found, dict) else None
    content = found.get(key) if isinstance(found, dict) else None
    items = content if isinstance(content, list) else []
    is_whole = all(isinstance(each, dict) and "unique_id" in each for each in items)
    if not isinstance(metadata, dict) or not isinstance(content, kind) or not is_whole:
        raise ChecksError(f"{path}: found no artifact of dbt, allowed is {SCHEMAS[path.name]}")
    version = str(metadata.get("dbt_schema_version"))
    stem = version.removesuffix(".json")
    if not stem.endswith(f"/{SCHEMAS[path.name]}"):
        written = metadata.get("dbt_version", "unknown")
        raise ChecksError(
            f"{path}: found schema {'/'.join(stem.split('/')[-2:])} of dbt {written},"
            f" allowed is {SCHEMAS[path.name]} (dbt 1.8 to 1.11)"
        )


def _refuse_strangers(results: Artifact, manifest: Artifact, folder: Path) -> None:
    known = (manifest["nodes"], manifest.get("unit_tests") or {}, manifest.get("exposures") or {})
    ids = [_id(each) for each in results["results"]]
    if ids and not any(each in section for each in ids for section in known):
        raise ChecksError(
            f"{folder / RUN_RESULTS}: found results of another project ({ids[0]}),"
            f" allowed are those of {folder / MANIFEST}"
        )


def _id(result: Mapping[str, Any]) -> str:
    return str(result.get("unique_id"))
