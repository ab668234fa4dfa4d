"""A project of one's own, as README.md and docs/metrics.md have it: the feed and the queries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from monitors import DataMonitor
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.documented import blocks_of, queries_of

OF_EVERY_PROJECT = (
    "Duration per stage", "Rows", "Null shares", "Errors by component", "Success rate",
)  # fmt: skip
QUERIES = [query for section in OF_EVERY_PROJECT for query in queries_of("metrics.md", section)]


def feeds_in(text: list[str]) -> str:
    (found,) = (each for each in text if each.startswith("feeds:"))
    return found


@pytest.fixture
def project(tmp_path: Path, warehouse: Target, use: Callable[[Target], None]) -> Path:
    """The block of README.md, one good file and one that is refused."""
    use(warehouse)
    (tmp_path / "rampart.yml").write_text(feeds_in(blocks_of("README.md", "Your own data")))
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "orders1.csv").write_text("id,sum\n1,\n2,5\n")
    return tmp_path


def test_the_first_feed_loads(project: Path, warehouse: Target) -> None:
    """Five lines and a file: rows in the table that they name."""
    assert 0 == DataMonitor(project).load("orders").exit_code
    with connect(warehouse) as connection:
        rows = connection.execute("select id, sum from shop_raw.orders order by 1").fetchall()

    assert [("1", ""), ("2", "5")] == rows


def test_every_query_of_the_metrics_page_has_an_answer(project: Path, warehouse: Target) -> None:
    """As they stand there, on a store and a load, without any model of ours."""
    (project / "landing" / "orders2.csv").write_text("id,sum\n1\n2\n3\n")
    DataMonitor(project).load()
    with connect(warehouse) as connection:
        answers = {query: connection.execute(query.encode()).fetchall() for query in QUERIES}

    assert 6 == len(QUERIES)
    assert [] == [query for query, rows in answers.items() if not rows]
    (errors,) = (rows for query, rows in answers.items() if "error_counts" in query)
    assert [("orders", "load", "REFUSED", 1)] == [row[:4] for row in errors]
