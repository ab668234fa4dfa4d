"""Every rule is shown at work: some dbt unit test breaks it, and keeps it, by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

EXAMPLE = ROOT / "examples" / "online_retail"
PROJECTS = {
    path: ROOT if path.is_relative_to(ROOT / "macros") else EXAMPLE
    for path in [
        *sorted((ROOT / "macros" / "rules").glob("*.sql")),
        EXAMPLE / "macros" / "online_retail_rules.sql",
    ]
}
RULES = [
    (path, rule)
    for path in PROJECTS
    for rule in re.findall(r"^- rule: (\w+)", path.read_text(), re.MULTILINE)
]


def expected_rows(project: Path, rules_macro: str) -> list[dict[str, Any]]:
    """What the unit tests of the models that judge by these rules expect, one row per row."""
    judging = {
        path.stem
        for path in (project / "models" / "intermediate").rglob("*.sql")
        if re.search(rf"\b{rules_macro}\(\)", path.read_text())
    }
    return [
        row
        for path in (project / "models").rglob("*.yml")
        for test in (yaml.safe_load(path.read_text()) or {}).get("unit_tests") or []
        if test["model"] in judging
        for row in test["expect"]["rows"]
    ]


def broken_by(row: dict[str, Any]) -> list[str]:
    names = [row.get("rejected_by"), row.get("flagged_by")]
    return ",".join(name for name in names if name).split(",")


@pytest.mark.parametrize(("path", "rule"), RULES, ids=[rule for _, rule in RULES])
def test_each_rule_is_broken_and_kept_in_a_unit_test(path: Path, rule: str) -> None:
    """A rule that nobody has seen break may be one that cannot; one that nothing keeps, too."""
    rows = expected_rows(PROJECTS[path], path.stem)
    broken = [row for row in rows if rule in broken_by(row)]

    assert broken, f"no dbt unit test expects a row that breaks {rule} of {path.name}"
    assert len(broken) < len(rows), f"no dbt unit test expects a row that keeps {rule}"
