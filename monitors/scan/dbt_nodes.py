"""What a node of the manifest gives to its check: id, layer, the words in `meta`, attributes."""

from __future__ import annotations

import json
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from monitors.lineage import TESTS, Lineage, Node, meta_of
from monitors.log import get_logger
from monitors.results import Layer
from monitors.scan.dbt_register import BUILT

log = get_logger("Dbt")

SUITE = "dbt"
_LAYER_OF_FOLDER = {
    "staging": Layer.SILVER,
    "intermediate": Layer.SILVER,
    "quality": Layer.SILVER,
    "marts": Layer.GOLD,
}
_TELLING = ("combination_of_columns", "column_list", "to", "expression", "name")
"""Arguments that make a generic test another claim, not the same one with another threshold."""
MOST_EXPOSURES = 10
"""A model at the root of everything would carry all of them into the store at every scan."""
_CARRIED = ("runbook", "matters", "do")

EnumT = TypeVar("EnumT", bound=Enum)


def attributes_of(node: Node, lineage: Lineage) -> dict[str, Any]:
    """unique_id, owner, parents, exposures, checksum of the code, and what `meta` tells people."""
    unique_id = node["unique_id"]
    meta = meta_of(node)
    exposures = lineage.exposures_of(unique_id)
    owner = lineage.owner(unique_id)
    found: dict[str, Any] = {
        "unique_id": unique_id,
        **(owner.attributes if owner else {}),
        "parents": list(lineage.parents(unique_id)),
        "exposures": [each.as_dict() for each in exposures[:MOST_EXPOSURES]],
        "exposures_more": max(len(exposures) - MOST_EXPOSURES, 0),
        "checksum": lineage.checksum(unique_id) if node["resource_type"] in BUILT else None,
        **{key: meta[key] for key in _CARRIED if key in meta},
    }
    return {key: value for key, value in found.items() if value}


def check_id_of(node: Node, parent: Node) -> str:
    """Survives a change of the test's arguments: model, column and test, not dbt's hash of all."""
    generic = node.get("test_metadata")
    if not generic:
        version = f".v{node['version']}" if node.get("version") else ""
        return f"dbt.{node['resource_type']}.{node['name']}{version}"
    parts = [parent.get("name", SUITE), node.get("column_name"), generic["name"]]
    stem = ".".join(str(part) for part in parts if part)
    kwargs = generic.get("kwargs") or {}
    telling = {key: value for key, value in kwargs.items() if key in _TELLING}
    extra = json.dumps(telling, sort_keys=True) if telling else ""
    return f"dbt.{stem}{'#' + extra if extra else ''}"[:300]


def parent_of(node: Node) -> str | None:
    attached = node.get("attached_node") or node.get("tested_node_unique_id")
    if attached:
        return str(attached)
    depends = (node.get("depends_on") or {}).get("nodes") or []
    return str(depends[0]) if depends and node.get("resource_type") in TESTS else None


def layer_of(node: Node, test: Node | None = None) -> Layer:
    """The test's own `meta.layer`, else the node's, else by its folder; sources are bronze."""
    if node.get("resource_type") == "source":
        default = Layer.BRONZE
    else:
        parts = Path(node.get("original_file_path") or "").parts
        known = (_LAYER_OF_FOLDER[part] for part in parts if part in _LAYER_OF_FOLDER)
        default = next(known, Layer.GOLD)
    stated = word_of(Layer, node, "layer", default)
    return word_of(Layer, test, "layer", stated) if test else stated


def word_of(kind: type[EnumT], node: Node, key: str, default: EnumT) -> EnumT:
    """A word of ours in `meta`; a word of somebody else's changes no verdict, and is logged."""
    found = meta_of(node).get(key)
    if found is None:
        return default
    try:
        return kind(str(found).lower())
    except ValueError:
        _warn_once(key, str(found), ", ".join(str(each.value) for each in kind))
        return default


@lru_cache(maxsize=256)
def _warn_once(key: str, found: str, allowed: str) -> None:
    """Thousands of tests may carry the same word."""
    log.warning("meta not understood", key=f"meta.{key}", found=found, allowed=allowed)
