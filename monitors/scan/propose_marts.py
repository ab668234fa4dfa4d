"""Which models of a foreign dbt project people read, and what dbt tests there already.

Pure: a manifest in, marts out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

BEFORE_MARTS = frozenset(
    ("staging", "stg", "base", "intermediate", "int", "raw", "landing", "bronze", "silver", "prep")
)
"""Folders whose models others read and people do not; so do the prefixes of names below."""
_PREFIX_BEFORE_MARTS = re.compile(r"(stg|base|int|raw|prep)_+")
_MARTS = frozenset(("mart", "marts", "gold", "core", "reporting"))
_STORED = frozenset(("table", "incremental", "materialized_view"))

Node = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DbtTest:
    """A test that dbt has on a mart. `is_whole`: it looks at every row, and fails."""

    name: str
    kind: str
    columns: tuple[str, ...]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Mart:
    """A model or snapshot to propose checks for; `schema` and `table` as the target has them."""

    model: str
    schema: str
    table: str
    path: str
    why: str
    """Why it was taken for a mart."""
    is_snapshot: bool = False
    key: tuple[str, ...] = ()
    """What the project itself declares: a primary key constraint, a snapshot's unique_key."""
    tests: tuple[DbtTest, ...] = ()
    parents: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    """Exposures that read it."""
    owner: str | None = None
    severity: str | None = None

    @property
    def dataset(self) -> str:
        return f"{self.schema}.{self.table}"


@dataclass(frozen=True, slots=True)
class Choice:
    """The marts of a project; what was left out although it may look like one: name -> why."""

    marts: tuple[Mart, ...]
    left_out: Mapping[str, str]


def choose_marts(manifest: Mapping[str, Any]) -> Choice:
    """Stored models outside staging and intermediate; without such folders, models that no other
    model reads. Snapshots always; only what the project itself defines."""
    project = manifest["metadata"].get("project_name")
    nodes = manifest["nodes"]
    own = {
        unique_id: node
        for unique_id, node in nodes.items()
        if node["resource_type"] in ("model", "snapshot") and node["package_name"] == project
    }
    layered = any(_is_before_marts(node) for node in own.values() if _is_model(node))
    read = {
        parent
        for node in nodes.values()
        if node["resource_type"] in ("model", "snapshot")
        for parent in (node.get("depends_on") or {}).get("nodes") or []
    }
    marts, left_out = [], {}
    for unique_id, node in own.items():
        why = _why_mart(node, layered, unique_id in read)
        if node.get("time_spine"):
            left_out[node["name"]] = "a time spine: a calendar, no data"
        elif why:
            marts.append(_mart(unique_id, node, manifest, why))
        elif layered and not _is_before_marts(node) and _kind(node) == "view":
            left_out[node["name"]] = "a view outside the marts' folders"
    packages = {
        node["package_name"]
        for node in nodes.values()
        if node["resource_type"] == "model" and node["package_name"] != project
    }
    for package in sorted(packages - {"elementary"}):
        left_out[f"package {package}"] = "models of an installed package"
    return Choice(tuple(sorted(marts, key=lambda mart: mart.dataset)), left_out)


def _why_mart(node: Node, layered: bool, is_read: bool) -> str | None:
    kind = _kind(node)
    if node["resource_type"] == "snapshot":
        return "a snapshot"
    if kind == "ephemeral":
        return None
    if layered:
        if _is_before_marts(node):
            return None
        if kind in _STORED:
            return f"{_a(kind)} outside staging and intermediate"
        return f"{_a(kind)} in {_mart_folder(node)}/" if _mart_folder(node) else None
    return None if is_read else f"{_a(kind)} that no other model reads"


def _mart(unique_id: str, node: Node, manifest: Mapping[str, Any], why: str) -> Mart:
    meta = _meta(node)
    return Mart(
        model=node["name"],
        schema=node["schema"],
        table=node.get("alias") or node["name"],
        path=node.get("original_file_path") or "",
        why=why,
        is_snapshot=node["resource_type"] == "snapshot",
        key=_declared_key(node),
        tests=tuple(_tests_of(unique_id, manifest["nodes"])),
        parents=tuple(
            parent.split(".")[-1]
            for parent in (node.get("depends_on") or {}).get("nodes") or []
            if parent.split(".")[0] in ("model", "source", "seed", "snapshot")
        ),
        readers=tuple(
            str(exposure.get("label") or exposure["name"])
            for exposure in (manifest.get("exposures") or {}).values()
            if unique_id in (exposure.get("depends_on") or {}).get("nodes", [])
        ),
        owner=_owner(node, meta, manifest),
        severity=str(meta.get("severity", "")).lower() or None,
    )


def _tests_of(unique_id: str, nodes: Mapping[str, Node]) -> Iterator[DbtTest]:
    for node in nodes.values():
        generic = node.get("test_metadata")
        if node["resource_type"] != "test" or not generic or node.get("attached_node") != unique_id:
            continue
        kwargs = {
            **(generic.get("kwargs") or {}),
            **(generic.get("kwargs") or {}).get("arguments", {}),
        }
        columns = kwargs.get("combination_of_columns") or kwargs.get("column_list") or ()
        column = node.get("column_name") or kwargs.get("column_name")
        config = node.get("config") or {}
        yield DbtTest(
            name=node["name"],
            kind=generic["name"],
            columns=tuple(str(each) for each in columns) or ((str(column),) if column else ()),
            is_whole=not config.get("where")
            and not config.get("limit")
            and str(config.get("severity") or "error").lower() == "error"
            and not kwargs.get("row_condition"),
        )


def _declared_key(node: Node) -> tuple[str, ...]:
    for constraint in node.get("constraints") or []:
        if constraint.get("type") == "primary_key":
            return tuple(constraint.get("columns") or ())
    for name, column in (node.get("columns") or {}).items():
        if any(each.get("type") == "primary_key" for each in column.get("constraints") or []):
            return (name,)
    key = (node.get("config") or {}).get("unique_key") or ()
    return (key,) if isinstance(key, str) else tuple(str(each) for each in key)


def _owner(node: Node, meta: Mapping[str, Any], manifest: Mapping[str, Any]) -> str | None:
    if meta.get("owner"):
        owner = meta["owner"]
    else:
        group = (node.get("config") or {}).get("group") or node.get("group")
        groups = (manifest.get("groups") or {}).values()
        owner = next((each.get("owner") for each in groups if each["name"] == group), None)
    if isinstance(owner, Mapping):
        owner = owner.get("email") or owner.get("name")
    return str(owner) if owner else None


def _meta(node: Node) -> Mapping[str, Any]:
    return {**(node.get("meta") or {}), **((node.get("config") or {}).get("meta") or {})}


def _kind(node: Node) -> str:
    return str((node.get("config") or {}).get("materialized") or "view")


def _a(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind.replace('_', ' ')} model"


def _folders(node: Node) -> tuple[str, ...]:
    return tuple(part.lower() for part in PurePath(node.get("path") or "").parts[:-1])


def _mart_folder(node: Node) -> str | None:
    return next((folder for folder in _folders(node) if folder in _MARTS), None)


def _is_before_marts(node: Node) -> bool:
    named = _PREFIX_BEFORE_MARTS.match(node["name"].lower()) is not None
    return named or bool(BEFORE_MARTS & set(_folders(node)))


def _is_model(node: Node) -> bool:
    return bool(node["resource_type"] == "model")
