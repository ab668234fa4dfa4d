"""The manifest of a dbt project, as it stands in the files now and for the target in use."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from monitors.errors import ModelsError
from monitors.warehouse.connection import state_folder
from monitors.warehouse.dbt import dbt_output
from monitors.warehouse.target import Target


def parse_project(target: Target, project_dir: Path) -> dict[str, Any]:
    """`dbt parse` into a folder of ours, so that the artifacts of the last build stay.

    Raises ModelsError with what dbt said.
    """
    folder = state_folder(project_dir).resolve() / "parsed"
    # not the project's own artifacts: they may be of another target, or of last month's files
    arguments = ("parse", "--target-path", str(folder), "--log-path", str(folder))
    code, output = dbt_output(target, project_dir, *arguments)
    if code:
        raise ModelsError(f"{project_dir}: dbt cannot parse the project: {_reason(output)}")
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelsError(f"{folder / 'manifest.json'}: cannot be read ({error})") from None
    return dict(manifest)


def schemas_of(manifest: dict[str, Any], dbname: str) -> dict[str, str]:
    """{schema: built | source} of the relations that a project has in this database."""
    sources = dict.fromkeys(_schemas_in(manifest.get("sources"), dbname), "source")
    built = {
        unique_id: node
        for unique_id, node in (manifest.get("nodes") or {}).items()
        if node.get("resource_type") in ("model", "seed", "snapshot")
        and (node.get("config") or {}).get("materialized") != "ephemeral"
    }
    return {**sources, **dict.fromkeys(_schemas_in(built, dbname), "built")}


def _schemas_in(nodes: dict[str, Any] | None, dbname: str) -> set[str]:
    found = (nodes or {}).values()
    return {each["schema"] for each in found if each.get("database") == dbname and each["schema"]}


def _reason(output: str) -> str:
    """dbt's own words from the first heading of an error on, as one line."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", output)
    lines = [re.sub(r"^\d\d:\d\d:\d\d\s*", "", line).strip() for line in text.splitlines()]
    lines = [line for line in lines if line.strip("-") and "Encountered an error" not in line]
    start = next((number for number, line in enumerate(lines) if "Error" in line), -3)
    return " ".join(lines[start:])[:300] or "no word of why; `dbt parse` says more"
