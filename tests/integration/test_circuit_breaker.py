"""A build that the circuit breaker skipped: dbt is blamed for nothing, one cause is one alert."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from monitors import DataMonitor
from monitors.screen import counts
from monitors.verdict import Verdict
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target

FILES = {
    "dbt_project.yml": "name: tiny\nprofile: tiny\nmodels: {tiny: {+materialized: table}}\n",
    "checks/web.yml": "checks for web_raw.rows:\n  - row_count >= 0:\n      identity: web.rows\n",
    "models/good.sql": "select 1 as id",
    "models/tiny.yml": "models: [{name: good, columns: [{name: id, data_tests: [not_null]}]}]\n",
}
DBT = ["dbt.good.id.not_null", "dbt.model.good"]


@pytest.fixture
def project(tmp_path: Path, warehouse: Target, use: Callable[[Target], None]) -> Path:
    use(warehouse)
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (tmp_path / "landing").mkdir()
    configure(tmp_path, min_files=1)
    return tmp_path


def configure(project: Path, min_files: int) -> None:
    (project / "rampart.yml").write_text(
        "scan: {checks: [checks/*.yml]}\n"
        "feeds: {web: {table: web_raw.rows, format: csv, path: landing/*.csv,"
        f" landing: {{min_files: {min_files}}}}}}}\n"
    )


def of_dbt(verdict: Verdict) -> list[tuple[str, str, str | None]]:
    return sorted(
        (each.check_id, each.status.value, each.blocked_by)
        for each in verdict.results
        if each.suite_name == "dbt"
    )


def test_what_was_not_built_is_blocked_by_the_landing_check(
    project: Path, warehouse: Target
) -> None:
    """On the first run and later: counted at the parent, no alert of its own, one incident."""
    first = DataMonitor(project).run()
    assert [] == of_dbt(first), "nothing is known of a project that was never built"
    assert ["LANDING FAILURE", "RUN STOPPED"] == said(first)

    (project / "landing" / "a.csv").write_text("a,b\n1,2\n")
    assert 0 == DataMonitor(project).run().exit_code
    configure(project, min_files=2)
    stopped = DataMonitor(project).run()

    blocked = [(each, "missing", "landing.web.file_count") for each in DBT]
    assert blocked == of_dbt(stopped)
    assert ["LANDING FAILURE", "RUN STOPPED"] == said(stopped)
    assert "2 blocked" in counts(stopped.results)
    assert blocked == of_dbt(DataMonitor(project).scan()), "a scan by itself knows it, too"
    with connect(warehouse) as connection:
        open_ones = connection.execute(
            "select kind from monitoring.incidents where state <> 'resolved'"
        ).fetchall()
    assert [("landing_failure",)] == open_ones

    DataMonitor(project).build()
    assert [(each, "pass", None) for each in DBT] == of_dbt(DataMonitor(project).scan())


def said(verdict: Verdict) -> list[str]:
    return sorted({line.split("!!")[1].removeprefix(" ALERT: ").strip() for line in verdict.alerts})
