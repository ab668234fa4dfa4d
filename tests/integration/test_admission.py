"""A refused delivery is told in every run until it is let through, or another one answers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from monitors import DataMonitor
from monitors.screen import summary
from monitors.store.history import History
from monitors.verdict import Verdict
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target

EVENTS = """
feeds:
  shop:
    table: shop_raw.orders
    format: csv
    path: landing/*.csv
    thresholds: {dead_letters: 0.2}
"""
REGISTER = """
feeds:
  shop:
    table: shop_raw.orders
    format: csv
    path: landing/*.csv
    moment: {format: "%Y-%m-%d"}
    extract: {kind: full, key: a, breaker: 0.2}
"""
GOOD = "a,b\n1,2\n3,4\n"
BAD = "a,b\n1,2\n3\n5\n"
CHECK = "arrival.shop.admission"


@dataclass
class Shop:
    root: Path
    target: Target

    def put(self, name: str, content: str) -> None:
        path = self.root / "landing" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)

    def monitor(self) -> DataMonitor:
        return DataMonitor(self.root)

    def load(self) -> Verdict:
        return self.monitor().load()

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with connect(self.target) as connection:
            return connection.execute(sql.encode()).fetchall()

    def verdicts(self) -> list[str]:
        found = self.ask(
            "select status, layer, category from monitoring.data_quality_metrics"
            f" where check_id = '{CHECK}' order by execution_timestamp"
        )
        assert {("bronze", "infrastructure")} >= {(row[1], row[2]) for row in found}
        return [row[0] for row in found]

    def incidents(self) -> list[tuple[Any, ...]]:
        """Kind, and whether it is over."""
        return self.ask("select kind, state = 'resolved' from monitoring.incidents order by 1, 2")


@pytest.fixture
def shop(tmp_path: Path, warehouse: Target, use: Callable[[Target], None]) -> Shop:
    use(warehouse)
    (tmp_path / "rampart.yml").write_text(EVENTS)
    return Shop(tmp_path, warehouse)


def test_a_refused_delivery_is_red_in_every_run(shop: Shop) -> None:
    """Nothing new came, nothing is mended: a verdict, an incident, exit 1, and what to do."""
    shop.put("a1.csv", GOOD)
    shop.put("a2.csv", BAD)
    first, second = shop.load(), shop.load()

    assert (1, 1) == (first.exit_code, second.exit_code)
    assert ["fail", "fail"] == shop.verdicts()
    assert [("landing_failure", False)] == shop.incidents()
    (line,) = second.alerts
    assert line.startswith("!! ALERT: DELIVERY REFUSED !! - shop: 1 delivery is refused since 20")
    assert "a2.csv, by guard: dead letters: 2 of 3 records unreadable: 0.6667 (max 0.2)" in line
    assert "rampart deliveries let-through shop a2.csv --why" in line
    assert "shop: 2 new files, 3 rows, 2 dead letters, 1 refused\n" in summary(first)
    assert "0 new files, 0 rows, 1 loaded before, 1 refused before\n" in summary(second)
    assert [CHECK] == [each.check_id for each in second.red]


def test_several_are_counted_and_the_newest_is_named(shop: Shop) -> None:
    """Since when is said of the oldest; each has its own alert line in the run that refuses it."""
    shop.put("a1.csv", BAD)
    shop.put("a2.csv", BAD + "9,9\n")
    first = shop.load()
    (since,) = shop.ask("select min(loaded_at) from monitoring.deliveries")[0]
    message = shop.load().red[0].message

    assert ["a1.csv", "a2.csv"] == [line.split(": ")[2] for line in first.alerts]
    assert message.startswith(
        f"2 deliveries are refused since {since:%Y-%m-%d %H:%M} UTC: the newest a2.csv, by guard:"
    )


def test_the_log_names_the_refusal(shop: Shop) -> None:
    """The stage has failed, with the reason; what was read and written stands in its counts."""
    shop.put("a2.csv", BAD)
    shop.load()
    shop.load()

    refused = ("failed", "REFUSED", "2 of 3 records unreadable: 0.6667 (max 0.2)", 3, 1, 2)
    assert [refused] == shop.ask(
        "select status, error_type, error_message, rows_read, rows_written, rows_dead_lettered"
        " from monitoring.pipeline_logs where stage = 'load' and status <> 'skipped'"
    )
    assert [("REFUSED", 1)] == shop.ask("select error_type, errors from monitoring.error_counts")


def test_the_same_name_whole_is_the_answer(shop: Shop) -> None:
    """Another file is none; the corrected one ends the incident, also with the bad one gone."""
    shop.put("a2.csv", BAD)
    shop.load()
    shop.put("a3.csv", GOOD)
    assert 1 == shop.load().exit_code
    shop.put("a2.csv", GOOD + "5,6\n")

    assert (0, ()) == ((verdict := shop.load()).exit_code, verdict.alerts)
    assert ["fail", "fail", "pass"] == shop.verdicts()
    assert [("landing_failure", True)] == shop.incidents()
    assert 0 == shop.load().exit_code
    assert ["fail", "fail", "pass"] == shop.verdicts(), "what holds as before leaves no verdict"


def test_what_was_admitted_before_is_no_answer(shop: Shop) -> None:
    """A file that is overwritten by a bad one: its name was good yesterday."""
    shop.put("a.csv", GOOD)
    shop.load()
    shop.put("a.csv", BAD)
    shop.load()

    assert 1 == shop.load().exit_code


def test_let_through_is_the_answer(shop: Shop) -> None:
    """Somebody takes the responsibility, and the next load is green."""
    shop.put("a2.csv", BAD)
    shop.load()
    shop.monitor().let_through("shop", "a2.csv", by="ann", why="known")

    assert 0 == shop.load().exit_code
    assert ["fail", "pass"] == shop.verdicts()


def test_a_later_whole_extract_is_the_answer(shop: Shop) -> None:
    """It states the whole picture; one of an earlier moment that comes late does not."""
    (shop.root / "rampart.yml").write_text(REGISTER)
    whole = "a,b\n" + "".join(f"{number},x\n" for number in range(10))
    shop.put("2024-01-02.csv", whole)
    assert 0 == shop.load().exit_code
    shop.put("2024-01-03.csv", "a,b\n1,x\n")
    assert 1 == shop.load().exit_code
    shop.put("2024-01-01.csv", whole + "10,x\n")
    assert 1 == shop.load().exit_code
    shop.put("2024-01-04.csv", whole + "11,x\n")

    assert 0 == shop.load().exit_code
    assert ["fail", "fail", "pass"] == shop.verdicts()


def test_a_feed_that_refused_nothing_leaves_no_verdict(shop: Shop) -> None:
    """As with the files that arrived: the verdict is there from the first trouble on."""
    shop.put("a1.csv", GOOD)

    assert 0 == shop.load().exit_code
    assert [] == shop.verdicts()


def test_a_muted_refusal_is_shown_and_stops_nothing(shop: Shop) -> None:
    """Exit 0 until the date; the verdict is written all the same."""
    shop.put("a1.csv", GOOD)
    shop.load()
    with connect(shop.target) as connection:
        until = datetime.now(timezone.utc) + timedelta(days=1)
        History(connection, "dev").mute(CHECK, until, "known garbage", "ann")
        connection.commit()
    shop.put("a2.csv", BAD)
    verdict = shop.load()

    assert (0, ()) == (verdict.exit_code, verdict.alerts)
    assert "muted until" in summary(verdict)
    assert ["fail"] == shop.verdicts()
    assert [] == shop.incidents()


def test_a_refusal_builds_what_takes_part(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The circuit breaker is for what is not here: the rest of the feed is built."""
    steps: list[str] = []

    def step(name: str) -> Callable[..., Verdict]:
        def take(runner: Any, *_: Any) -> Verdict:
            steps.append(name)
            return Verdict(runner.run_id)

        return take

    for name, what in (("build_models", "build"), ("scan_checks", "scan")):
        monkeypatch.setattr(f"monitors.monitor.{name}", step(what))
    shop.put("a2.csv", BAD)

    assert (1, ["build", "scan"]) == (shop.monitor().run().exit_code, steps)
