"""Checks of change over several scans, with a clock passed in and no cloud."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from monitors import DataMonitor
from monitors.results import CheckResult, Status
from monitors.store.history import History
from monitors.store.migrate import migrate
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.conftest import ROOT

START = datetime(2026, 11, 2, 6, tzinfo=timezone.utc)


@dataclass
class Project:
    """A folder with checks, an empty warehouse, and a day that one can set."""

    root: Path
    target: Target

    def sql(self, *statements: str) -> list[tuple[object, ...]]:
        with connect(self.target, autocommit=True) as connection:
            cursors = [connection.execute(each.encode()) for each in statements]
            return cursors[-1].fetchall() if cursors[-1].description else []

    def checks(self, text: str) -> None:
        (self.root / "orders.yml").write_text(text)

    def scan(self, day: float = 0) -> dict[str, CheckResult]:
        """{check_id: verdict} of a scan so many days after the start."""
        monitor = DataMonitor(self.root, now=lambda: START + timedelta(days=day))
        return {each.check_id: each for each in monitor.scan().results}

    def fill(self, rows: int, day: float = 0) -> None:
        self.sql(
            "insert into orders select number, 'web', timestamptz"
            f" '{(START + timedelta(days=day, hours=-1)).isoformat()}'"
            f" from generate_series(1, {rows}) as number"
        )


@pytest.fixture
def project(warehouse: Target, use: Callable[[Target], None], tmp_path: Path) -> Project:
    use(warehouse)
    (tmp_path / "rampart.yml").write_text("scan: {checks: ['*.yml']}\n".replace("*.yml", "o*.yml"))
    made = Project(tmp_path, warehouse)
    made.sql("create table orders (order_id int, channel text, ordered_at timestamptz)")
    return made


CHANGE = """checks for orders:
  - change percent for row_count between -50 and 50:
      identity: change
"""


def test_a_change_needs_history_and_then_sees_a_drop(project: Project) -> None:
    """The first scan is blind, the second passes, and a loss of most rows fails."""
    project.checks(CHANGE)
    project.fill(100)
    first = project.scan()["change"]
    project.fill(20, 1)
    second = project.scan(1)["change"]
    project.sql("delete from orders where order_id > 20")
    third = project.scan(2)["change"]

    assert ["blind", "pass", "fail"] == [each.status.value for each in (first, second, third)]
    assert "nothing is known of the past" in first.message
    assert (120, 50, 150, 0.5) == (
        second.metric_value, second.expected_min, second.expected_max, second.detectable_change,
    )  # fmt: skip
    assert (
        "row_count=40, -66.7 % against 120 (2026-11-03 06:00 UTC; allowed -50 to 50 %)"
        == third.message
    )
    assert "row_count" == third.metric_name


def test_a_scan_again_replaces_its_value(project: Project) -> None:
    """The same moment is measured twice: one value, and none is compared with itself."""
    project.checks(CHANGE)
    project.fill(100)
    project.scan()
    project.fill(100)
    again = project.scan()["change"]

    assert Status.BLIND is again.status
    assert [(200.0, "measured")] == project.sql(
        "select value, origin from monitoring.metric_values where metric_id = 'orders:row_count'"
    )


def test_history_survives_another_threshold(project: Project) -> None:
    """What is measured has a name that no bound is part of."""
    project.checks(CHANGE)
    project.fill(100)
    project.scan()
    project.checks(CHANGE.replace("-50 and 50", "-10 and 10"))
    project.fill(30, 1)

    assert "fail" == project.scan(1)["change"].status.value


@pytest.mark.parametrize(
    ("check", "values", "status", "bounds"),
    [
        ("change for row_count between -30 and 30", [100, 120], "pass", (70, 130)),
        ("change for row_count between -10 and 10", [100, 120], "fail", (90, 110)),
        ("change avg last 4 percent for row_count between -50 and 50",
         [80, 100, 120, 100, 140], "pass", (50, 150)),
        ("change avg last 4 percent for row_count between -50 and 50",
         [80, 100, 120, 100, 160], "fail", (50, 150)),
        ("change min last 3 percent for row_count between -50 and 50",
         [80, 100, 120, 130], "fail", (40, 120)),
        ("change max last 3 percent for row_count between -50 and 50",
         [80, 100, 120, 130], "pass", (60, 180)),
        ("change avg last 7 percent for row_count between -50 and 50",
         [100, 100, 100, 110], "blind", (50, 150)),
        ("change avg last 7 percent for row_count between -50 and 50",
         [100, 100, 100, 900], "fail", (50, 150)),
        ("change percent for row_count between -50 and 50", [0, 100], "blind", (None, None)),
        ("change percent for row_count between -50 and 50", [0, 0], "blind", (None, None)),
        ("change same day last week percent for row_count between -10 and 10",
         [200, 100, 100, 100, 100, 100, 100, 210], "pass", (180, 220)),
        ("change same day last week percent for row_count between -10 and 10",
         [100, 200, 200, 200, 200, 200, 200, 200], "fail", (90, 110)),
        ("change same day last week for row_count between -10 and 10",
         [100, 100], "blind", (None, None)),
    ],
)  # fmt: skip
def test_forms_of_change(
    project: Project, check: str, values: list[int], status: str, bounds: tuple[float, float]
) -> None:
    """Absolute and in percent, against one value, an aggregate of several, or a week ago."""
    project.checks(f"checks for orders:\n  - {check}:\n      identity: change\n")
    for day, rows in enumerate(values):
        project.sql("truncate orders")
        project.fill(rows, day)
        found = project.scan(day)["change"]

    assert (status, bounds) == (found.status.value, (found.expected_min, found.expected_max)), found


def test_known_bad_periods_are_no_history(project: Project) -> None:
    """An outage that somebody named is not what the next day is held against."""
    project.checks(CHANGE)
    for day, rows in enumerate((100, 5)):
        project.sql("truncate orders")
        project.fill(rows, day)
        project.scan(day)
    with connect(project.target) as connection:
        History(connection, "dev").add_bad_period(
            START + timedelta(hours=20), START + timedelta(hours=30), "outage", "me", "orders"
        )
        connection.commit()
    project.sql("truncate orders")
    project.fill(110, 2)

    assert "pass" == project.scan(2)["change"].status.value


def test_past_days_are_computed_on_the_first_day(project: Project) -> None:
    """Where rows carry a time there is history at once, up to the day when they begin."""
    project.checks(
        "filter orders [web]:\n  where: channel = 'web'\n"
        "checks for orders [web]:\n"
        "  - change avg last 7 percent for row_count between -50 and 80:\n"
        "      identity: change\n      attributes: {time: ordered_at}\n"
        "  - change avg last 3 percent for duplicate_percent(order_id) between -50 and 50:\n"
        "      identity: duplicates\n      attributes: {time: ordered_at}\n"
    )
    for day in range(-5, 1):
        project.fill(10, day)
    found = project.scan()
    stored = project.sql(
        "select data_timestamp::date - date '2026-11-02', value, origin"
        " from monitoring.metric_values where metric_id like 'orders[web]:row_count%' order by 1"
    )

    assert [(day, 10.0 * (day + 6), "recomputed") for day in range(-5, 0)] == stored[:-1]
    assert (0, 60.0, "measured") == stored[-1]
    assert ("fail", 30.0) == (found["change"].status.value, found["change"].expected_max / 1.8)
    assert "average of 5 values" in found["change"].message
    assert "pass" == found["duplicates"].status.value


def test_what_was_computed_once_is_not_computed_again(project: Project) -> None:
    """The second scan reads the store: old rows may be gone by then."""
    project.checks(
        "checks for orders:\n  - change avg last 3 percent for row_count between -90 and 90:\n"
        "      identity: change\n      attributes: {time: ordered_at}\n"
    )
    for day in range(-5, 1):
        project.fill(10, day)
    project.scan()
    project.sql("delete from orders where ordered_at < '2026-11-01'")
    project.fill(40, 1)
    found = project.scan(1)["change"]

    assert ("pass", 60) == (found.status.value, found.metric_value)
    assert "against 50 (average of 3 values" in found.message


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("change percent for row_count between -50 and 50", "with the attribute `time: COLUMN`"),
        ("change percent for mine between -5 and 5:\n      mine query: select count(*) from orders",
         "a query of one's own cannot be computed"),
        ("change percent for row_count between -5 and 5:\n      filter: ordered_at > now()"
         "\n      attributes: {time: ordered_at}", "a filter that looks at the clock"),
        ("change percent for row_count between -5 and 5:\n      attributes: {time: nope}",
         'a past day cannot be computed: column "nope" does not exist'),
        ("schema:\n      fail: {when schema changes: any}", "what was there on past days cannot"),
    ],
)  # fmt: skip
def test_blind_says_why_there_is_no_history(project: Project, check: str, said: str) -> None:
    """A first day is blind, never a pass, and says what would help."""
    project.checks(f"checks for orders:\n  - {check}\n")
    project.fill(10)
    (found,) = project.scan().values()

    assert (Status.BLIND, True) == (found.status, said in found.message), found.message
    assert found.success_rate is None


def test_a_declared_smallest_change(project: Project) -> None:
    """A check that would not see it is blind; one that fails all the same fails."""
    project.checks(CHANGE + "      attributes: {smallest_change: 0.2}\n")
    project.fill(100)
    project.scan()
    second = project.scan(1)["change"]
    project.fill(100)
    third = project.scan(2)["change"]

    assert ("blind", "fail") == (second.status.value, third.status.value)
    assert "sees a change of 0.5 or more, 0.2 is asked for" in second.message


SCHEMA = """checks for orders:
  - schema:
      name: columns stay
      fail:
        when schema changes: [column delete, column type change]
      warn:
        when schema changes: [column add]
"""


def test_schema_changes(project: Project) -> None:
    """A new column warns, a lost or changed one fails, each by name."""
    project.checks(SCHEMA)
    found = [project.scan()["orders.columns stay"]]
    found.append(project.scan(1)["orders.columns stay"])
    project.sql("alter table orders add coupon text")
    found.append(project.scan(2)["orders.columns stay"])
    project.sql("alter table orders drop channel, alter order_id type text")
    found.append(project.scan(3)["orders.columns stay"])

    assert ["blind", "pass", "warn", "fail"] == [each.status.value for each in found]
    assert "column coupon is new" == found[2].message
    assert "column channel is gone; column order_id was integer, is text" == found[3].message


GROUPS = """checks for orders:
  - group evolution:
      name: channels stay
      query: select distinct channel from orders
      fail:
        when groups change: [group add, group delete]
  - group evolution:
      name: web is there
      query: select distinct 'web' from orders
      fail:
        when required group missing: [web]
"""


def test_group_evolution(project: Project) -> None:
    """A new and a lost group are seen, which Soda itself takes for a pass."""
    project.checks(GROUPS)
    project.fill(3)
    found = [project.scan()]
    found.append(project.scan(1))
    project.sql("update orders set channel = 'shop'")
    found.append(project.scan(2))

    assert ["blind", "pass", "fail"] == [
        each["orders.channels stay"].status.value for each in found
    ]
    assert "group shop is new; group web is gone" == found[2]["orders.channels stay"].message
    assert ["pass"] * 3 == [each["orders.web is there"].status.value for each in found]


def test_values_and_verdicts_are_one_commit(project: Project) -> None:
    """Every number that was measured stands beside its verdict, under one run."""
    project.checks(CHANGE + "  - avg(order_id) > 0\n  - max(ordered_at) > 0\n")
    project.fill(10)
    project.scan()

    assert [("orders:avg(order_id)", 5.5), ("orders:row_count", 10.0)] == project.sql(
        "select metric_id, value from monitoring.metric_values"
        " inner join monitoring.runs using (run_id) order by 1"
    )


def test_a_constant_series_and_a_gap(project: Project) -> None:
    """The same value every day passes; days without a scan are no values."""
    project.checks(CHANGE.replace("change percent", "change avg last 3 percent"))
    project.fill(100)
    for day in (0, 1, 2, 9):
        found = project.scan(day)["change"]

    assert ("pass", "average of 3 values" in found.message) == (found.status.value, True)


def test_a_backfill_of_last_month(project: Project) -> None:
    """It is a change like any other; what was measured before stays as it was."""
    project.checks(CHANGE + "      attributes: {time: ordered_at}\n")
    project.fill(100)
    project.scan()
    project.fill(300, -30)
    found = project.scan(1)["change"]

    assert ("fail", 400.0) == (found.status.value, found.metric_value)
    assert "+300 % against 100" in found.message


def test_a_feed_says_the_moment(project: Project) -> None:
    """Its newest delivery is the moment of a check that names it; a feed must exist."""
    (project.root / "rampart.yml").write_text(
        "scan: {checks: ['o*.yml']}\n"
        "feeds: {shop: {table: shop_raw.orders, format: csv, path: in/*.csv,"
        " moment: {format: 'orders_%Y%m%d'}, required: false}}\n"
    )
    (project.root / "in").mkdir()
    (project.root / "in" / "orders_20261030.csv").write_text("id\n1\n")
    monitor = DataMonitor(project.root, now=lambda: START)
    monitor.load()
    project.checks(
        "filter orders [day]:\n  where: ordered_at > timestamptz '${MOMENT}' - interval '1 day'\n"
        "checks for orders [day]:\n"
        "  - change percent for row_count between -50 and 50:\n"
        "      identity: change\n      attributes: {feed: shop, time: ordered_at}\n"
        "checks for orders:\n"
        "  - row_count > 0: {attributes: {feed: store}}\n"
    )
    project.sql(
        "insert into orders select n, 'web', timestamptz '2026-10-29 12:00:00+00'"
        " from generate_series(1, 10) as n",
        "insert into orders select n, 'web', timestamptz '2026-10-28 12:00:00+00'"
        " from generate_series(1, 9) as n",
    )
    found = project.scan()

    assert "pass" == found["change"].status.value, found["change"]
    assert datetime(2026, 10, 30, tzinfo=timezone.utc) == found["change"].data_timestamp
    assert [(9.0, "recomputed"), (10.0, "measured")] == project.sql(
        "select value, origin from monitoring.metric_values where metric_id like 'orders[day]%'"
        " order by data_timestamp"
    )
    assert "found `store`, allowed is a feed: shop" in found["orders.row_count"].message


def test_an_interrupted_scan_ends_at_once(project: Project) -> None:
    """Exit code 130, what runs is cancelled, what waits is not begun, nothing stays open."""
    slow = "".join(
        f"  - s{n} < 1: {{s{n} query: select count(*) from pg_sleep(60 + {n})}}\n" for n in range(3)
    )
    project.checks("checks for orders:\n" + slow)
    running = subprocess.Popen(
        [sys.executable, "-m", "monitors.cli", "scan"],
        cwd=project.root, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    sleeping = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"  # noqa: E501
    for _ in range(600):
        if project.sql(sleeping) == [(1,)]:
            break
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)

    assert 130 == running.wait(timeout=30)
    assert [(0,)] == project.sql(sleeping)


def test_migrations_hold_what_is_stored(project: Project) -> None:
    """A value may be a number or a payload, never neither."""
    with connect(project.target) as connection:
        migrate(connection)
        connection.commit()
    project.checks(SCHEMA)
    project.scan()

    assert [(None, 3)] == project.sql(
        "select value, jsonb_array_length(payload) from monitoring.metric_values"
    )
