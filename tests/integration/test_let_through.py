"""A delivery that was refused and let through later takes the place it would have had in time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from monitors import DataMonitor
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.conftest import copy_project

MODELS = ("+fact_orders",)


def event(name: str, second: int, source: str, **more: object) -> str:
    """One event of the visitor c1; the traffic source tells two arrivals of it apart."""
    fields = {"event_name": name, "event_timestamp": 1_700_000_000_000_000 + second * 1_000_000,
              "client_id": "c1", "session_id": "s1", "page_location": "/"}  # fmt: skip
    return json.dumps({**fields, "traffic_source": {"source": source}, **more})


FIRST = [
    event("page_view", 1, "first"),
    event("purchase", 2, "first", transaction_id="T1", revenue=10),
    *["no event at all"] * 3,
]
SECOND = [
    event("page_view", 1, "second"),
    event("purchase", 2, "second", transaction_id="T1", revenue=10),
    event("view_item", 3, "second"),
]


@pytest.fixture
def project(tmp_path: Path, warehouse: Target, use: Callable[[Target], None]) -> Path:
    """Two files of events: the first, refused for its garbage, holds what the second repeats."""
    use(warehouse)
    project = copy_project(tmp_path / "project")
    folder = project / "landing" / "clickstream"
    folder.mkdir(parents=True)
    (folder / "events_2023-11-14.jsonl").write_text("\n".join(FIRST))
    (folder / "events_2023-11-15.jsonl").write_text("\n".join(SECOND))
    return project


def test_an_earlier_delivery_let_through_takes_its_place(project: Path, warehouse: Target) -> None:
    """Events and orders come from the first arrival, as a full refresh would have it."""
    monitor = DataMonitor(project)
    assert 1 == monitor.load("clickstream").exit_code
    assert not DataMonitor(project).build(MODELS).alerts
    assert {"second"} == set(sources(warehouse))

    DataMonitor(project).let_through(
        "clickstream", "events_2023-11-14.jsonl", by="ann", why="the garbage is known"
    )
    assert not DataMonitor(project).build(MODELS).alerts
    incremental = sources(warehouse)
    assert not DataMonitor(project).build(MODELS, full_refresh=True).alerts

    assert ["first", "first", "second", "first"] == incremental
    assert incremental == sources(warehouse)


def sources(target: Target) -> list[str]:
    """The traffic source of each event in time, then of each order."""
    with connect(target) as connection:
        rows = connection.execute(
            "(select traffic_source from facts.fact_events order by event_timestamp)"
            " union all (select traffic_source from facts.fact_orders order by transaction_id)"
        ).fetchall()
    return [row[0] for row in rows]
