"""Which checks a build was to report, as far as its own arguments say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitors.lineage import TESTS, Lineage
from monitors.scan.dbt_artifacts import Artifacts, is_retry

TOOLS = ("elementary",)
"""Packages whose tables say nothing about our data: heard of only when they fail."""
BUILT = ("model", "snapshot", "seed")
_RUN_BY = {
    "build": (*BUILT, *TESTS),
    "run": ("model",),
    "test": TESTS,
}
_NARROWED_BY = ("select", "exclude", "selector", "models", "inline")


def expected(artifacts: Artifacts, lineage: Lineage) -> list[str]:
    """unique_ids of the nodes that must have reported, whether they did or not; sorted.

    Of a whole-project command: every enabled node of its kinds. Of a selection, by dbt's own rule
    of eager selection: the tests on everything that was built. dbt does not say what else it had
    selected, so a build of a selection answers for no more than this. Without results, of a build
    of the whole project by Rampart: what `rampart build` always builds.
    """
    by_default = artifacts.selects_by_default
    results = artifacts.run_results
    if results is None:
        if not artifacts.lost or artifacts.selection or by_default:
            return []
        return _of_kinds(lineage, {*BUILT, "test"})
    arguments = results.get("args") or {}
    if not artifacts.is_builds_own or is_retry(results):
        return []
    kinds = _kinds(arguments)
    if not any(arguments.get(each) for each in _NARROWED_BY):
        return [] if by_default else _of_kinds(lineage, kinds)
    return _eagerly(results, arguments, kinds, lineage)


def _kinds(arguments: Mapping[str, Any]) -> set[str]:
    """Resource types that a command runs, as narrowed by its `--resource-type` options."""
    kinds = set(_RUN_BY.get(str(arguments.get("which")), ()))
    wanted = {str(each) for each in arguments.get("resource_types") or ()}
    if wanted and not wanted & {"all", "default"}:
        kinds &= wanted
    return kinds - {str(each) for each in arguments.get("exclude_resource_types") or ()}


def _of_kinds(lineage: Lineage, kinds: set[str]) -> list[str]:
    return sorted(
        unique_id
        for unique_id, node in lineage.nodes.items()
        if node.get("resource_type") in kinds and is_run(node)
    )


def _eagerly(
    results: Mapping[str, Any], arguments: Mapping[str, Any], kinds: set[str], lineage: Lineage
) -> list[str]:
    """The tests on what was built; nothing where dbt's rule is another, or more was left out."""
    is_eager = arguments.get("indirect_selection", "eager") == "eager"
    if not is_eager or any(arguments.get(each) for each in ("exclude", "selector")):
        return []
    found = {
        child
        for each in results["results"]
        for child in lineage.children(str(each.get("unique_id")))
        if lineage.nodes[child].get("resource_type") in kinds & set(TESTS)
    }
    return sorted(each for each in found if is_run(lineage.nodes[each]))


def is_run(node: Mapping[str, Any]) -> bool:
    """Whether dbt reports on a node at all: not on what is only compiled into others."""
    config = node.get("config") or {}
    return (
        node.get("package_name") not in TOOLS
        and config.get("enabled", True)
        and config.get("materialized") != "ephemeral"
    )
