"""Volumes over many scans: what is read, stored and said, by a clock of ours."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from monitors import DataMonitor
from monitors.commands.incidents import IncidentDesk
from monitors.config import load_config
from monitors.scan.buckets import Grid, count_rows
from monitors.store.history import History
from monitors.store.migrate import migrate
from monitors.store.postgres import Delivery, RunContext, Store
from monitors.store.volumes import Volumes
from monitors.warehouse.connection import Connection, connect
from monitors.warehouse.target import Target

DAY = timedelta(days=1)
TODAY = datetime(2024, 5, 15, 6, tzinfo=timezone.utc)
"""A Wednesday; the latest complete day is Tuesday the 14th."""
CHECKS = """
checks for monitoring.volume_verdicts:
  - volume_alarms = 0:
      identity: visits.volume
      volume_alarms query: |
        select count(*) from monitoring.volume_verdicts
        where dataset = 'public.visits' and state in ('anomalous', 'not modelled')
"""


@dataclass
class Shop:
    """A table of visits, a project that models its volume, and a clock."""

    root: Path
    target: Target
    connection: Connection
    now: datetime = TODAY

    def configure(self, *, feed: str | None = "visits", **volume: str) -> None:
        settings = {"time": "visited_at", **({"feed": feed} if feed else {}), **volume}
        text = "".join(f"    {key}: {value}\n" for key, value in settings.items())
        (self.root / "rampart.yml").write_text(
            "scan: {checks: ['*.checks']}\n"
            "feeds:\n  visits: {table: shop_raw.visits, format: csv, path: 'landing/*.csv',"
            " freshness: {within: 1 day, clock: data}}\n"
            f"volumes:\n  public.visits:\n{text}"
        )

    def deliver(self) -> None:
        """The clock of the feed stands at `now`."""
        with connect(self.target) as connection:
            migrate(connection)
            store = Store(connection, RunContext(f"load-{uuid4()}", "dev"))
            store.start_run("load")
            number, sequence = store.next_delivery("visits")
            sha256 = str(sequence)
            store.add_delivery(
                Delivery(number, "visits", sha256, sha256, sequence, self.now, "name", "events",
                         0, 0, 0, 0)
            )  # fmt: skip
            connection.commit()

    def visits(self, since: datetime, days: int, rows: Callable[[datetime], int]) -> None:
        """So many rows a day, spread over the day."""
        for number in range(days):
            day = since + number * DAY
            self.connection.execute(
                "insert into visits select %s + random() * interval '1 day', 'a'"
                " from generate_series(1, %s)",
                (day, rows(day)),
            )
        self.connection.commit()

    def scan(self) -> str:
        """Scan, and the state of the volume."""
        self.deliver()
        self.verdict = DataMonitor(self.root, now=lambda: self.now).scan()
        return self.state()

    def state(self, segment: str = "") -> str:
        return self.verdicts()[segment].state

    def verdicts(self) -> dict[str, Any]:
        self.connection.rollback()
        found = Volumes(self.connection, "dev").verdicts("public.visits")
        return {each.segment: each for each in found}

    def buckets(self) -> dict[datetime, float]:
        self.connection.rollback()
        rows = self.connection.execute(
            "select data_timestamp, value from monitoring.metric_values"
            " where origin = 'bucket' and segment = '' order by 1"
        ).fetchall()
        return dict(rows)


@pytest.fixture
def shop(tmp_path: Path, warehouse: Target, use: Callable[[Target], None]) -> Any:
    use(warehouse)
    (tmp_path / "volume.checks").write_text(CHECKS)
    (tmp_path / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    with connect(warehouse) as connection:
        connection.execute("select setseed(0.5)")
        connection.execute("create table visits (visited_at timestamptz, kind text)")
        connection.execute("create index on visits (visited_at)")
        connection.commit()
        found = Shop(tmp_path, warehouse, connection)
        found.configure()
        yield found


def usual(day: datetime) -> int:
    """Weekends are quieter; a little noise that repeats."""
    return (300 if day.weekday() < 5 else 120) + day.day * 7 % 23


MIDNIGHT = TODAY.replace(hour=0)


def test_a_usual_day_passes_and_a_thin_one_is_red_until_it_is_loaded_again(shop: Shop) -> None:
    """The verdict names the weekday; what was loaded late is counted by the next scan."""
    shop.visits(MIDNIGHT - 60 * DAY, 60, usual)

    assert "usual" == shop.scan()
    assert [] == shop.verdict.red

    shop.now += DAY
    shop.visits(MIDNIGHT, 1, lambda day: 60)

    assert "anomalous" == shop.scan()
    assert ["visits.volume"] == [each.check_id for each in shop.verdict.red]
    assert "a Wednesday usually has" in shop.verdicts()[""].cause

    shop.visits(MIDNIGHT, 1, lambda day: 250)
    shop.now += timedelta(hours=1)

    assert "usual" == shop.scan()


def test_a_day_without_a_row_is_a_zero_and_red(shop: Shop) -> None:
    """Total outage: nothing came, and still there is a bucket."""
    shop.visits(MIDNIGHT - 60 * DAY, 60, usual)
    shop.scan()
    shop.now += 2 * DAY

    assert "anomalous" == shop.scan()
    assert 0 == shop.buckets()[MIDNIGHT]
    assert 0 == shop.buckets()[MIDNIGHT + DAY]


def test_only_complete_buckets_count_and_lateness_waits(shop: Shop) -> None:
    """Today is not judged; with 12 hours of lateness yesterday is not either at six."""
    shop.configure(lateness="12 hours")
    shop.visits(MIDNIGHT - 60 * DAY, 60, usual)
    shop.connection.execute("insert into visits values (%s, 'a')", (MIDNIGHT + timedelta(hours=1),))
    shop.connection.commit()
    shop.scan()

    assert MIDNIGHT - 2 * DAY == max(shop.buckets())


def test_the_second_scan_reads_the_new_buckets_only(shop: Shop) -> None:
    """Rows of last month that come now (a backfill) do not change what the store has."""
    shop.visits(MIDNIGHT - 60 * DAY, 60, usual)
    shop.scan()
    before = shop.buckets()
    shop.visits(MIDNIGHT - 40 * DAY, 3, lambda day: 500)
    shop.now += DAY
    shop.visits(MIDNIGHT, 1, usual)

    assert "usual" == shop.scan()
    after = shop.buckets()
    assert before == {start: after[start] for start in before}
    assert set(after) - set(before) == {MIDNIGHT}


def test_recounting_takes_a_backfill_in(shop: Shop) -> None:
    """After `recount` the store has what the table has."""
    shop.visits(MIDNIGHT - 60 * DAY, 60, usual)
    shop.scan()
    shop.visits(MIDNIGHT - 40 * DAY, 1, lambda day: 500)
    DataMonitor(shop.root, now=lambda: shop.now).recount("public.visits")

    assert usual(MIDNIGHT - 40 * DAY) + 500 == shop.buckets()[MIDNIGHT - 40 * DAY]


def test_the_plan_of_the_second_scan_is_an_index_range(shop: Shop) -> None:
    """Of a table with a long history only the last days are read."""
    shop.visits(MIDNIGHT - 300 * DAY, 300, usual)
    shop.connection.execute("analyze visits")
    shop.connection.commit()
    shop.scan()
    shop.now += DAY
    logged: list[str] = []
    config = load_config(shop.root).volumes["public.visits"]
    since = MIDNIGHT - 2 * DAY
    with connect(shop.target) as reading:
        original = reading.execute

        def explain(query: Any, *arguments: Any, **more: Any) -> Any:
            text = query.as_string(reading) if hasattr(query, "as_string") else query
            if "group by" in str(text):
                plan = original(f"explain {text}".encode(), *arguments)
                logged.extend(row[0] for row in plan)
            return original(query, *arguments, **more)

        reading.execute = explain  # type: ignore[method-assign]
        count_rows(reading, "public.visits", config, since, MIDNIGHT + DAY)

    assert any("Index" in line for line in logged), logged
    assert not any("Seq Scan" in line for line in logged)


def test_with_little_history_the_verdict_is_blind(shop: Shop) -> None:
    """Ten days say nothing about Tuesdays; blind is no pass and no alarm."""
    shop.visits(MIDNIGHT - 10 * DAY, 10, usual)

    assert "blind" == shop.scan()
    assert [] == shop.verdict.red


def test_a_first_day_and_an_empty_table_are_not_green(shop: Shop) -> None:
    """Nothing to count yet: nobody has judged anything."""
    assert "not modelled" == shop.scan()
    assert ["visits.volume"] == [each.check_id for each in shop.verdict.red]

    shop.visits(MIDNIGHT - DAY, 1, usual)

    assert "blind" == shop.scan()


def test_known_bad_periods_say_nothing_about_what_is_usual(shop: Shop) -> None:
    """Three bad Tuesdays, named: a usual one is none the less usual and a bad one is red."""

    def bad(day: datetime) -> int:
        return 20 if MIDNIGHT - 30 * DAY <= day < MIDNIGHT - 2 * DAY else usual(day)

    shop.visits(MIDNIGHT - 90 * DAY, 90, bad)
    shop.scan()
    without = shop.verdicts()[""].expected
    with connect(shop.target) as connection:
        History(connection, "dev").add_bad_period(
            MIDNIGHT - 30 * DAY, MIDNIGHT - 2 * DAY, "the tracker was off", "ada"
        )
        connection.execute("delete from monitoring.volume_judgements")
        connection.commit()
    shop.scan()

    assert shop.verdicts()[""].expected == pytest.approx(usual(MIDNIGHT - DAY), rel=0.1)
    assert without is None or without < shop.verdicts()[""].expected


def test_an_incident_can_name_its_days_as_bad(shop: Shop) -> None:
    """What was anomalous while it was open says nothing about what is usual, from now on."""
    checks = (shop.root / "volume.checks").read_text()
    (shop.root / "volume.checks").write_text(
        checks + '      attributes: {evidence: "select row_count, lower, upper, detectable_change,'
        " cause, state from monitoring.volume_verdicts where dataset = 'public.visits'\"}\n"
    )
    shop.visits(MIDNIGHT - 60 * DAY, 60, usual)
    shop.scan()
    shop.now += DAY
    shop.visits(MIDNIGHT, 1, lambda day: 40)
    shop.scan()
    desk = IncidentDesk(shop.root)
    (incident,) = desk.list()
    desk.resolve(incident.incident_id, by="ada", why="the tracker was off", known_bad=True)
    shop.connection.rollback()
    (period,) = History(shop.connection, "dev").bad_periods("public.visits")

    assert (MIDNIGHT, MIDNIGHT + DAY) == (period.starts_at, period.ends_at)
    assert f"incident {incident.incident_id}: the tracker was off" == period.why

    shop.now += DAY
    shop.visits(MIDNIGHT + DAY, 1, usual)

    assert "usual" == shop.scan()


def test_each_segment_has_a_verdict_of_its_own(shop: Shop) -> None:
    """One kind stops, the other goes on: the whole hides it, the segment does not."""
    shop.configure(segment="kind")
    shop.visits(MIDNIGHT - 60 * DAY, 60, usual)
    shop.connection.execute(
        "insert into visits select visited_at, 'b' from visits where random() < 0.08"
        " and visited_at < %s",
        (MIDNIGHT - DAY,),
    )
    shop.connection.commit()
    shop.scan()

    assert {"": "usual", "a": "usual", "b": "anomalous"} == {
        name: each.state for name, each in shop.verdicts().items()
    }


@pytest.mark.parametrize(
    ("volume", "said"),
    [
        ({"time": "when_it_was"}, "time: found `when_it_was`, allowed is one of kind, visited_at"),
        ({"time": "kind"}, "`kind` is text, allowed is date, timestamp or timestamptz"),
        ({"segment": "colour"}, "segment: found `colour`, allowed is one of kind, visited_at"),
    ],
)
def test_what_cannot_be_counted_is_not_modelled_and_says_why(
    shop: Shop, volume: dict[str, str], said: str
) -> None:
    """The verdict is red with the reason; the scan goes on."""
    shop.configure(**volume)
    shop.scan()

    assert "not modelled" == shop.state()
    assert said in shop.verdicts()[""].cause
    assert ["visits.volume"] == [each.check_id for each in shop.verdict.red]


def test_a_table_that_is_gone_is_not_modelled(shop: Shop) -> None:
    """Dropped between two scans: red, and no traceback."""
    shop.visits(MIDNIGHT - 60 * DAY, 60, usual)
    shop.scan()
    shop.connection.execute("drop table visits")
    shop.connection.commit()
    shop.now += DAY

    assert "not modelled" == shop.scan()
    assert "does not exist" in shop.verdicts()[""].cause


def test_a_scan_that_did_not_come_leaves_the_verdict_not_modelled(shop: Shop) -> None:
    """Another day arrives and nobody scans: plain `soda scan`, which reads the view, is red."""
    shop.visits(MIDNIGHT - 60 * DAY, 60, usual)
    shop.scan()
    shop.now += DAY
    shop.deliver()

    assert "not modelled" == shop.state()
    assert "run `rampart scan`" in shop.verdicts()[""].cause


def test_another_project_forgets_none_of_our_volumes(shop: Shop, tmp_path: Path) -> None:
    """Two projects in one database; what ours names no more is gone from the verdicts."""
    shop.visits(MIDNIGHT - 60 * DAY, 60, usual)
    shop.scan()
    other = tmp_path / "other"
    other.mkdir()
    (other / "rampart.yml").write_text("scan: {checks: ['*.checks']}\n")
    DataMonitor(other, now=lambda: shop.now).scan()

    assert "usual" == shop.state()

    (shop.root / "rampart.yml").write_text("scan: {checks: ['*.checks']}\n")
    DataMonitor(shop.root, now=lambda: shop.now).scan()

    assert {} == shop.verdicts()


def test_without_a_feed_the_time_of_day_is_the_clock(shop: Shop) -> None:
    """Yesterday is complete now, and a scan of long ago has not judged it."""
    shop.configure(feed=None)
    now = datetime.now(timezone.utc)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    shop.visits(today - 60 * DAY, 60, usual)
    shop.now = now - 3 * DAY

    assert "not modelled" == shop.scan()

    shop.now = now

    assert "usual" == shop.scan()


def test_rows_of_the_future_are_no_bucket(shop: Shop) -> None:
    """A clock that is wrong somewhere else."""
    shop.visits(MIDNIGHT - 60 * DAY, 60, usual)
    shop.visits(MIDNIGHT + 400 * DAY, 1, lambda day: 5000)
    shop.scan()

    assert MIDNIGHT - DAY == max(shop.buckets())


@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz"])
def test_each_type_of_time_gives_the_same_days(shop: Shop, kind: str) -> None:
    """In Berlin, over the end of summer time: the day of 25 hours is one bucket."""
    shop.configure(timezone="Europe/Berlin")
    shop.now = datetime(2024, 10, 30, 6, tzinfo=timezone.utc)
    shop.connection.execute(
        "insert into visits select moment, 'a' from generate_series("
        " timestamptz '2024-09-01 00:30 Europe/Berlin', '2024-10-29 23:30 Europe/Berlin',"
        " interval '1 hour') as moments (moment)"
    )
    local = "visited_at at time zone 'Europe/Berlin'"
    cast = "visited_at" if kind == "timestamptz" else f"({local})::{kind}"
    shop.connection.execute(
        f"alter table visits alter visited_at type {kind} using {cast}".encode()
    )
    shop.connection.commit()
    shop.scan()
    grid = Grid("day", "Europe/Berlin")
    sunday = grid.of_day(datetime(2024, 10, 27).date())

    assert timedelta(hours=25) == grid.after(sunday) - sunday
    assert 25 == shop.buckets()[sunday]
    assert {24, 25} == set(shop.buckets().values())


def test_hours_are_judged_together_since_the_last_scan(shop: Shop) -> None:
    """An outage at night that is over in the morning still shows in the morning's scan."""
    shop.configure(every="hour")
    shop.connection.execute(
        "insert into visits select moment + random() * interval '1 hour', 'a'"
        " from generate_series(timestamptz '2024-03-01', '2024-05-16 05:00', interval '1 hour')"
        " as moments (moment), generate_series(1, 40 + (extract(hour from moment) * 5)::int)"
    )
    shop.connection.execute(
        "delete from visits"
        " where visited_at >= '2024-05-15 21:00' and visited_at < '2024-05-15 23:00'"
    )
    shop.connection.commit()
    shop.scan()
    shop.now += DAY
    shop.scan()

    assert "anomalous" == shop.state()
    assert datetime(2024, 5, 15, 21, tzinfo=timezone.utc) <= shop.verdicts()[""].bucket_start
    assert shop.verdicts()[""].bucket_start < datetime(2024, 5, 15, 23, tzinfo=timezone.utc)


def test_the_plain_rule_is_a_method(shop: Shop) -> None:
    """Beyond three deviations of the seven days before; nine days are enough."""
    shop.configure(method="zscore")
    shop.visits(MIDNIGHT - 9 * DAY, 8, lambda day: 300 + day.day % 3)
    shop.visits(MIDNIGHT - DAY, 1, lambda day: 200)

    assert "anomalous" == shop.scan()


def test_two_scans_at_once_store_each_bucket_once(shop: Shop) -> None:
    """They take turns at a dataset, and agree."""
    shop.visits(MIDNIGHT - 60 * DAY, 60, usual)
    shop.deliver()
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: recount_like_a_scan(shop), range(2)))

    assert [60, 60] == done


def recount_like_a_scan(shop: Shop) -> int:
    monitor = DataMonitor(shop.root, now=lambda: shop.now)
    monitor.recount("public.visits")
    with connect(shop.target) as connection:
        row = connection.execute(
            "select count(*) from monitoring.metric_values where origin = 'bucket'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_statements_that_take_too_long_do_not_stop_the_scan(shop: Shop) -> None:
    """The time limit of the configuration holds for counting, too."""
    shop.visits(MIDNIGHT - 10 * DAY, 10, usual)
    text = (shop.root / "rampart.yml").read_text()
    (shop.root / "rampart.yml").write_text(
        text.replace("scan: {", "scan: {statement_timeout: 0.1 seconds, ")
    )
    shop.connection.execute(
        "alter table visits rename to visits_really;"
        "create view visits as select visited_at, kind from visits_really, pg_sleep(0.5)"
    )
    shop.connection.commit()
    shop.scan()

    assert "not modelled" == shop.state()
    assert "statement timeout" in shop.verdicts()[""].cause
