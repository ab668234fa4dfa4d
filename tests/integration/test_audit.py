"""A build tests what no green build has tested; `rampart audit` tests everything."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from monitors import DataMonitor
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.conftest import copy_project

EVENTS = ("+fact_orders",)
BAD = "update facts.fact_events set event_name = 'teleport' where event_key = ({which})"
OLD = BAD.format(which="select min(event_key) from facts.fact_events where _delivery_id = 1")
NEW = BAD.format(which="select min(event_key) from facts.fact_events where _delivery_id = 2")
RED = "accepted_values"


@pytest.fixture
def project(tmp_path: Path, warehouse: Target, use: Callable[[Target], None]) -> Path:
    """One day of events, loaded, built and tested."""
    use(warehouse)
    project = copy_project(tmp_path / "project")
    arrives(project, "2023-11-14")
    assert 0 == DataMonitor(project).build(EVENTS).exit_code
    return project


def test_old_rows_are_for_the_audit_and_new_ones_for_the_build(
    project: Path, warehouse: Target
) -> None:
    """A fault in tested rows shows in the audit; one in others, until a build is green."""
    a_whole_build_was_green(warehouse)
    arrives(project, "2023-11-15")
    run(warehouse, OLD)
    assert () == red_tests(DataMonitor(project), EVENTS)

    audit = DataMonitor(project).audit(["fact_events"])
    assert 1 == audit.exit_code
    assert [RED in each.check_id for each in audit.results if each.is_red] == [True]
    assert [
        each.check_id for each in DataMonitor(project).scan(["dbt"]).results if each.is_red
    ] == []

    # a load that began long ago and has just ended is new all the same
    run(warehouse, "update monitoring.deliveries set loaded_at = loaded_at - interval '1 day'")
    run(warehouse, NEW)
    assert 1 == len(red_tests(DataMonitor(project), EVENTS))
    assert 1 == len(red_tests(DataMonitor(project), EVENTS)), "waiting does not make it green"


def test_without_a_green_build_everything_is_new(project: Path, warehouse: Target) -> None:
    """As with plain `dbt build`, of which Rampart knows nothing."""
    run(warehouse, OLD)

    assert 1 == len(red_tests(DataMonitor(project), EVENTS))


def arrives(project: Path, day: str) -> None:
    """A file of two events, loaded."""
    folder = project / "landing" / "clickstream"
    folder.mkdir(parents=True, exist_ok=True)
    moment = 1_700_000_000_000_000 + int(day[-2:]) * 1_000_000
    events = [
        {"event_name": name, "event_timestamp": moment, "client_id": "c1", "session_id": "s1",
         "page_location": "/"} for name in ("page_view", "view_item")
    ]  # fmt: skip
    (folder / f"events_{day}.jsonl").write_text("\n".join(map(json.dumps, events)))
    assert 0 == DataMonitor(project).load("clickstream").exit_code


def a_whole_build_was_green(target: Target) -> None:
    """What `rampart build` without a selection writes, without its half a minute."""
    run(target, "update monitoring.pipeline_logs set finished_at = finished_at - interval '1 hour'")
    run(
        target,
        "insert into monitoring.pipeline_logs"
        " (run_id, pipeline_name, stage, layer, status, source, started_at, finished_at)"
        " select run_id, 'dbt', 'build', 'gold', 'succeeded', 'dbt build into prod.rampart',"
        " now(), now()"
        " from monitoring.pipeline_logs where stage = 'build' limit 1",
    )


def red_tests(monitor: DataMonitor, select: tuple[str, ...]) -> tuple[str, ...]:
    return monitor.build(select).alerts


def run(target: Target, statement: str) -> None:
    with connect(target) as connection:
        connection.execute(statement.encode())
        connection.commit()
