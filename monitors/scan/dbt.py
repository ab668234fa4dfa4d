"""dbt's own artifacts as verdicts: every model and test of the last build."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from monitors.errors import ChecksError
from monitors.results import Category, CheckResult, Layer, Severity, Status

SUITE = "dbt"
_LAYER_OF_FOLDER = {
    "staging": Layer.SILVER,
    "intermediate": Layer.SILVER,
    "quality": Layer.SILVER,
    "marts": Layer.GOLD,
}
_STATUS = {
    "success": Status.PASS,
    "pass": Status.PASS,
    "warn": Status.WARN,
    "fail": Status.FAIL,
    "error": Status.ERROR,
    "runtime error": Status.ERROR,
    "skipped": Status.MISSING,
}
_TOOLS = ("elementary",)
"""Packages whose tables say nothing about our data: heard of only when they fail."""
_BUILT = ("model", "snapshot", "seed")
_TESTED = ("test", "unit_test")


def read_build(run_results: Mapping[str, Any], manifest_path: Path) -> list[CheckResult]:
    """Verdicts of a build. A skipped node names the failed parent and is counted there only.

    Raises ChecksError when the manifest is missing or torn.
    """
    try:
        manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ChecksError(
            f"{manifest_path}: cannot be read ({error}); run `rampart build`"
        ) from None
    nodes = {**manifest["nodes"], **manifest.get("unit_tests", {}), **manifest.get("sources", {})}
    statuses = {each["unique_id"]: each["status"] for each in run_results["results"]}
    finished = _moment(run_results["metadata"].get("generated_at"))
    results = []
    for each in run_results["results"]:
        node = nodes.get(each["unique_id"])
        if node is None or (node["package_name"] in _TOOLS and each["status"] == "success"):
            continue
        if node["resource_type"] in _TESTED:
            results.append(_of_test(each, node, nodes, statuses, finished))
        elif node["resource_type"] in _BUILT:
            results.append(_of_model(each, node, nodes, statuses, finished))
    return results


def _of_model(
    each: Mapping[str, Any],
    node: Mapping[str, Any],
    nodes: Mapping[str, Any],
    statuses: Mapping[str, str],
    finished: datetime | None,
) -> CheckResult:
    status = _STATUS.get(each["status"], Status.ERROR)
    return CheckResult(
        check_id=f"dbt.{node['resource_type']}.{node['name']}",
        check_name=f"{node['name']} is built",
        suite_name=SUITE,
        dataset=_relation(node),
        status=status,
        layer=_layer(node),
        category=Category.INFRASTRUCTURE,
        severity=Severity.HIGH,
        metric_name="execution_seconds",
        metric_value=each.get("execution_time"),
        data_timestamp=finished,
        blocked_by=_failed_ancestor(node, nodes, statuses) if status is Status.MISSING else None,
        message=_first_line(each.get("message")) or each["status"],
        attributes=_attributes(node),
    )


def _of_test(
    each: Mapping[str, Any],
    node: Mapping[str, Any],
    nodes: Mapping[str, Any],
    statuses: Mapping[str, str],
    finished: datetime | None,
) -> CheckResult:
    status = _STATUS.get(each["status"], Status.ERROR)
    parent = nodes.get(_parent(node) or "", {})
    failures = each.get("failures")
    meta = _meta(node)
    said = _first_line(each.get("message"))
    if status in (Status.FAIL, Status.WARN) and failures is not None:
        said = f"failures={failures:,} (max 0)"
    return CheckResult(
        check_id=_test_id(node, parent),
        check_name=node["name"],
        suite_name=SUITE,
        dataset=_relation(parent) if parent else "dbt",
        column_name=node.get("column_name"),
        status=status,
        layer=_layer(parent or node),
        category=Category(meta.get("category", "data_quality")),
        severity=Severity(meta.get("severity", "medium")),
        metric_name="failures",
        metric_value=failures,
        numerator=failures,
        expected_max=0,
        data_timestamp=finished,
        blocked_by=_failed_ancestor(node, nodes, statuses) if status is Status.MISSING else None,
        message=said or f"failures={failures or 0} (max 0)",
        attributes=_attributes(node),
    )


def _test_id(node: Mapping[str, Any], parent: Mapping[str, Any]) -> str:
    """Survives a change of the test's arguments: model, column and test, not dbt's hash of all."""
    generic = node.get("test_metadata")
    if not generic:
        return f"dbt.{node['resource_type']}.{node['name']}"
    parts = [parent.get("name", "dbt"), node.get("column_name"), generic["name"]]
    stem = ".".join(str(part) for part in parts if part)
    kwargs = {
        key: value
        for key, value in (generic.get("kwargs") or {}).items()
        if key in ("combination_of_columns", "column_list", "to", "expression", "name")
    }
    extra = json.dumps(kwargs, sort_keys=True) if kwargs else ""
    return f"dbt.{stem}{'#' + extra if extra else ''}"[:300]


def _parent(node: Mapping[str, Any]) -> str | None:
    attached = node.get("attached_node") or node.get("tested_node_unique_id")
    if attached:
        return str(attached)
    depends = node.get("depends_on", {}).get("nodes") or []
    return str(depends[0]) if depends else None


def _failed_ancestor(
    node: Mapping[str, Any], nodes: Mapping[str, Any], statuses: Mapping[str, str]
) -> str | None:
    """The nearest ancestor, or test on one, that failed by its own fault; breadth first."""
    queue = [node["unique_id"]]
    seen: set[str] = set()
    while queue:
        unique_id = queue.pop(0)
        if unique_id in seen:
            continue
        seen.add(unique_id)
        if statuses.get(unique_id) in ("error", "fail", "runtime error"):
            return str(unique_id)
        broken_test = _failed_test_of(unique_id, nodes, statuses)
        if broken_test:
            return broken_test
        queue += nodes.get(unique_id, {}).get("depends_on", {}).get("nodes") or []
    return None


def _failed_test_of(
    unique_id: str, nodes: Mapping[str, Any], statuses: Mapping[str, str]
) -> str | None:
    for test_id, status in statuses.items():
        if (
            status in ("error", "fail")
            and test_id in nodes
            and _is_test_on(nodes[test_id], unique_id)
        ):
            return test_id
    return None


def _is_test_on(node: Mapping[str, Any], unique_id: str) -> bool:
    parents = node.get("depends_on", {}).get("nodes") or []
    return bool(node["resource_type"] in _TESTED and unique_id in parents)


def _relation(node: Mapping[str, Any]) -> str:
    name = node.get("alias") or node.get("identifier") or node.get("name") or "dbt"
    return f"{node['schema']}.{name}" if node.get("schema") else str(name)


def _layer(node: Mapping[str, Any]) -> Layer:
    if node.get("resource_type") == "source":
        return Layer.BRONZE
    meta = _meta(node)
    if "layer" in meta:
        return Layer(meta["layer"])
    parts = Path(node.get("original_file_path") or "").parts
    return next((_LAYER_OF_FOLDER[part] for part in parts if part in _LAYER_OF_FOLDER), Layer.GOLD)


def _meta(node: Mapping[str, Any]) -> Mapping[str, Any]:
    config = node.get("config") or {}
    return {**(node.get("meta") or {}), **(config.get("meta") or {})}


def _attributes(node: Mapping[str, Any]) -> dict[str, Any]:
    meta = _meta(node)
    kept = {key: meta[key] for key in ("owner", "runbook", "matters", "do") if key in meta}
    return {"unique_id": node["unique_id"], **kept}


def _first_line(text: Any) -> str:
    """The first line; of an error also the second, which says why. Row values stay in the log."""
    lines = [line.strip() for line in str(text or "").splitlines() if line.strip()]
    why = lines[1:2] if lines and " Error in " in lines[0] else []
    return ": ".join([*lines[:1], *why])[:300]


def _moment(text: Any) -> datetime | None:
    return datetime.fromisoformat(str(text).replace("Z", "+00:00")) if text else None
