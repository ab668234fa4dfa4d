"""How long a scan reads dbt's artifacts of a large project, against json.load of the same files.

CPU time: one thread does it, and the files are in memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from time import process_time
from typing import Any

from bench.figure import Figure, Options, in_turns
from monitors.results import Status
from monitors.scan.dbt_artifacts import MANIFEST, RUN_RESULTS
from monitors.scan.dbt_target import read_target

MODELS, TESTS_EACH, EXPOSURES, MACROS = 2_000, 2, 100, 600
CODE = "select\n" + "\n".join(f"    orders.column_{i} as name_{i}," for i in range(60))
NOW = datetime(2026, 3, 2, tzinfo=timezone.utc)


def read_results(options: Options) -> Iterator[Figure]:
    """2,000 models with 4,000 tests; one early model fails, and almost everything is skipped."""
    write_artifacts(options.folder)
    size = sum((options.folder / name).stat().st_size for name in (MANIFEST, RUN_RESULTS))
    note = f"{size / 1e6:.0f} MB"
    _ours(options.folder), _load(options.folder)
    pairs = in_turns(options.pairs, lambda: _ours(options.folder), lambda: _load(options.folder))
    ours = [each for each, _ in pairs]
    yield Figure("dbt_results", "the clock (CPU)", ours, "<=", 1, "s", note)
    ratios = [mine / theirs for mine, theirs in pairs]
    yield Figure("dbt_results_load", "json.load of the same files", ratios, "<=", 1.5, "x", note)


def write_artifacts(folder: Path) -> None:
    """manifest.json and run_results.json in the shape and about the size that dbt gives them."""
    models = [_model(number) for number in range(MODELS)]
    tests = [_test(number, which) for number in range(MODELS) for which in range(TESTS_EACH)]
    exposures = [_exposure(number) for number in range(EXPOSURES)]
    macros = {f"macro.dbt.m{i}": {"macro_sql": CODE[:1500], "name": f"m{i}"} for i in range(MACROS)}
    nodes = {each["unique_id"]: each for each in (*models, *tests)}
    manifest = {
        "metadata": _metadata("manifest/v12") | {"project_name": "shop"},
        "nodes": nodes,
        "macros": macros,
        "exposures": {each["unique_id"]: each for each in exposures},
        "parent_map": {key: each["depends_on"]["nodes"] for key, each in nodes.items()},
    }
    results = [
        {
            "unique_id": unique_id, "status": _status(number), "failures": None,
            "execution_time": 1.5, "message": None, "compiled_code": CODE, "timing": [],
            "adapter_response": {}, "relation_name": f'"db"."facts"."m{number}"',
        }
        for number, unique_id in enumerate(nodes)
    ]  # fmt: skip
    arguments = {"which": "build", "select": [], "exclude": []}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    (folder / RUN_RESULTS).write_text(
        json.dumps({"metadata": _metadata("run-results/v6"), "results": results, "args": arguments})
    )


def _ours(folder: Path) -> float:
    started = process_time()
    results = read_target(folder, "shop", NOW)
    seconds = process_time() - started
    assert len(results) == MODELS * (1 + TESTS_EACH)
    assert sum(each.is_red for each in results) == 1
    assert sum(each.status is Status.MISSING for each in results) > MODELS
    return seconds


def _load(folder: Path) -> float:
    started = process_time()
    for name in (MANIFEST, RUN_RESULTS):
        with (folder / name).open("rb") as file:
            json.load(file)
    return process_time() - started


def _metadata(kind: str) -> dict[str, Any]:
    return {
        "dbt_schema_version": f"https://schemas.getdbt.com/dbt/{kind}.json",
        "dbt_version": "1.11.16",
        "generated_at": NOW.isoformat(),
        "invocation_id": "one",
        "env": {},
    }


def _status(number: int) -> str:
    """The model 10 fails; the ones before it and their tests are green."""
    if number == 10:
        return "error"
    before = number if number < MODELS else (number - MODELS) // TESTS_EACH
    return "skipped" if before >= 10 else "pass" if number >= MODELS else "success"


def _parents(number: int) -> list[str]:
    """Each model reads three earlier ones, near and far."""
    found = sorted({number - 1, number // 2, number - 7} & set(range(number)))
    return [f"model.shop.m{each}" for each in found]


def _model(number: int) -> dict[str, Any]:
    columns = {
        f"name_{i}": {"name": f"name_{i}", "description": "What it is. " * 3, "meta": {},
                      "data_type": "text", "constraints": [], "tags": [], "config": {"tags": []}}
        for i in range(15)
    }  # fmt: skip
    return _node("model", f"m{number}", _parents(number)) | {
        "columns": columns, "raw_code": CODE, "compiled_code": CODE,
        "checksum": {"name": "sha256", "checksum": "ab" * 32},
        "original_file_path": f"models/marts/m{number}.sql",
    }  # fmt: skip


def _test(number: int, which: int) -> dict[str, Any]:
    model = f"model.shop.m{number}"
    node = _node("test", f"unique_m{number}_name_{which}", [model])
    return node | {
        "unique_id": f"{node['unique_id']}.{number:010x}", "attached_node": model,
        "column_name": f"name_{which}", "test_metadata": {"name": "unique", "kwargs": {}},
        "raw_code": "{{ test_unique(**_dbt_generic_test_kwargs) }}",
        "compiled_code": CODE[:800], "original_file_path": "models/marts/_models.yml",
    }  # fmt: skip


def _exposure(number: int) -> dict[str, Any]:
    parents = [f"model.shop.m{MODELS - 1 - number}"]
    return _node("exposure", f"board_{number}", parents) | {
        "type": "dashboard", "owner": {"name": f"Owner {number}", "email": "o@example.com"},
    }  # fmt: skip


def _node(kind: str, name: str, parents: list[str]) -> dict[str, Any]:
    return {
        "unique_id": f"{kind}.shop.{name}", "resource_type": kind, "name": name, "alias": name,
        "database": "db", "schema": "facts", "package_name": "shop", "path": f"marts/{name}.sql",
        "fqn": ["shop", "marts", name], "tags": ["daily"], "description": "One row per thing. " * 8,
        "config": {
            "enabled": True, "materialized": kind if kind == "test" else "table", "tags": [],
            "meta": {}, "group": None, "persist_docs": {}, "post-hook": [], "pre-hook": [],
            "quoting": {}, "column_types": {}, "on_schema_change": "ignore", "grants": {},
            "docs": {"show": True, "node_color": None}, "contract": {"enforced": True},
        },
        "depends_on": {"macros": ["macro.dbt.m1"], "nodes": parents}, "refs": [], "sources": [],
        "created_at": 1.5, "unrendered_config": {"materialized": "table"},
    }  # fmt: skip
