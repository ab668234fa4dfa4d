"""Landing checks on a real database: what is said, what is loaded, what stops a run."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from monitors import DataMonitor, screen
from monitors.arrival import records
from monitors.results import Category, Layer, Status
from monitors.store.history import History
from monitors.store.migrate import migrate
from monitors.store.roles import grant_roles
from monitors.verdict import Verdict
from monitors.warehouse.connection import Connection, connect
from monitors.warehouse.target import Target
from tests.conftest import ROOT, Server

NOON = datetime(2026, 11, 18, 12, tzinfo=timezone.utc)  # a Wednesday


@dataclass
class Site:
    """A project with one feed `web`, its clock, and the questions that tests ask."""

    root: Path
    target: Target
    now: datetime = NOON
    feed: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    def monitor(self) -> DataMonitor:
        web = {"table": "web_raw.rows", "format": "csv", "path": "landing/*.csv*"} | self.feed
        text = yaml.safe_dump({"feeds": {"web": web}} | self.more)
        (self.root / "rampart.yml").write_text(text)
        return DataMonitor(self.root, now=lambda: self.now)

    def load(self) -> Verdict:
        return self.monitor().load()

    def look(self) -> dict[str, Any]:
        """{what: result} without loading."""
        return by_name(self.monitor().landing())

    def put(self, name: str, content: str = "a,b\n1,2\n", ago: float = 3600) -> Path:
        path = self.root / "landing" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        moment = self.now.timestamp() - ago
        os.utime(path, (moment, moment))
        return path

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with connect(self.target) as connection:
            return connection.execute(sql.encode()).fetchall()

    def names(self) -> list[str]:
        """What was loaded."""
        return [row[0] for row in self.ask("select name from monitoring.deliveries order by 1")]


def by_name(verdict: Verdict) -> dict[str, Any]:
    return {each.check_id.removeprefix("landing.web."): each for each in verdict.results}


@pytest.fixture
def site(tmp_path: Path, warehouse: Target, use: Callable[[Target], None]) -> Site:
    use(warehouse)
    return Site(tmp_path, warehouse)


# -------------------------------------------------------------------- what is said


def test_a_feed_that_declares_nothing_is_quiet(site: Site) -> None:
    """Reachable, come, nothing empty, nothing unfinished: four checks that pass, and no alert."""
    site.put("a.csv")
    site.put("README.txt")
    verdict = site.load()

    assert (0, ()) == (verdict.exit_code, verdict.alerts)
    assert dict.fromkeys(["mount", "empty", "partial", "arrived"], Status.PASS) == {
        name: each.status for name, each in by_name(verdict).items()
    }


def test_every_verdict_is_stored_with_its_words(site: Site) -> None:
    """Layer, category, suite, bounds and advice stand in data_quality_metrics."""
    site.feed = {"landing": {"min_files": 1, "newest_within": "1 day"}}
    site.put("a.csv")
    site.load()
    rows = site.ask(
        "select check_id, status, layer, category, dataset, attributes from"
        " monitoring.data_quality_metrics order by check_id"
    )

    what = [
        "arrived",
        "duplicates",
        "empty",
        "file_count",
        "mount",
        "names",
        "newest_age",
        "partial",
    ]
    assert [f"landing.web.{name}" for name in what] == [row[0] for row in rows]
    assert {("pass", Layer.BRONZE.value, Category.INFRASTRUCTURE.value, "web_raw.rows")} == {
        row[1:5] for row in rows
    }
    assert all({"feed", "matters", "do"} == row[5].keys() for row in rows)


def test_a_place_that_is_gone_is_a_mount_failure(site: Site) -> None:
    """One line with where and why; the checks that cannot look do not count twice."""
    site.feed = {"landing": {"min_files": 1}}
    verdict = site.load()
    found = by_name(verdict)

    assert 1 == verdict.exit_code
    assert "!! ALERT: MOUNT FAILURE !! - landing: it does not exist" in verdict.alerts
    assert [found["mount"]] == [each for each in verdict.results if each.is_red]
    assert "landing.web.mount" == found["file_count"].blocked_by
    assert "landing.web.mount" == found["arrived"].blocked_by
    assert 1 == len(verdict.alerts), "that no file matches its path follows from it"


def test_an_unmounted_share_leaves_its_empty_folder_behind(site: Site) -> None:
    """`mount: true`: one line says so, and what lies under the mount point is not loaded."""
    site.feed = {"landing": {"mount": True}}
    beneath = site.put("beneath.csv")
    with tmpfs(site.root / "landing"):
        site.put("a.csv")
        there = site.load()
    look, load = site.monitor().landing(), site.load()
    line = "!! ALERT: MOUNT FAILURE !! - landing: nothing is mounted there"

    assert 0 == there.exit_code
    assert (1, (line,)) == red_lines(look) == red_lines(load)
    assert ["a.csv"] == site.names()
    assert beneath.is_file()


@contextmanager
def tmpfs(folder: Path) -> Iterator[None]:
    """A real file system over a folder, where that is allowed."""
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "none", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("mount is not allowed here; tests/unit has the same with a patched ismount")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_an_optional_feed_may_have_no_place_until_it_has_come_once(site: Site) -> None:
    """Never come: nothing is wrong. Come and gone: the mount is."""
    site.feed = {"required": False}
    before = site.load()
    site.put("a.csv")
    site.load()
    (site.root / "landing").rename(site.root / "elsewhere")
    after = site.load()

    assert (0, Status.PASS) == (before.exit_code, by_name(before)["mount"].status)
    assert (1, Status.FAIL) == (after.exit_code, by_name(after)["mount"].status)


def test_files_are_counted_over_the_window(site: Site) -> None:
    """What waits and what was loaded within it, also when the files were moved away since."""
    site.feed = {"landing": {"min_files": 2, "expect": 3}}
    site.put("a.csv")
    few = site.look()["file_count"]
    site.put("b.csv", "a,b\n3,4\n5,6\n")
    some = site.look()["file_count"]
    site.put("c.csv", "a,b\n")
    enough = site.look()["file_count"]

    assert [Status.FAIL, Status.WARN, Status.PASS] == [x.status for x in (few, some, enough)]
    assert "files=1 (min 2, expected 3) since 2026-11-17 16:00 UTC" == few.message
    site.now = datetime.now(timezone.utc)
    site.load()
    for path in (site.root / "landing").iterdir():
        path.unlink()
    site.now += timedelta(hours=19)
    assert Status.PASS == site.look()["file_count"].status
    site.now += timedelta(hours=2)
    late = site.look()["file_count"]
    assert (Status.FAIL, 0) == (late.status, late.metric_value)


def red_lines(verdict: Verdict) -> tuple[int, tuple[str, ...]]:
    return verdict.exit_code, verdict.alerts


def test_look_and_load_say_the_same_of_a_feed_that_has_not_come(site: Site) -> None:
    """Never a file: red in both, in one line with the same words."""
    (site.root / "landing").mkdir()
    look, load = site.monitor().landing(), site.load()
    line = (
        "!! ALERT: LANDING FAILURE !! - landing.web.arrived on web_raw.rows:"
        " no file matches its path, and the feed is required"
    )

    assert (1, (line,)) == red_lines(look) == red_lines(load)
    assert [("failed", "NO_DATA", line.rsplit(": ", 1)[-1])] == site.ask(
        "select status, error_type, error_message from monitoring.pipeline_logs"
    )
    assert "landing.web.arrived" in [each.check_id for each in load.red]


@pytest.mark.parametrize(
    ("landing", "is_enough"),
    [
        ({}, False),
        ({"expect": 2}, True),
        ({"expect": 3}, False),
        ({"min_files": 2, "expect": 3}, True),
    ],
)
def test_files_may_be_moved_away_where_enough_is_recorded(
    site: Site, landing: dict[str, Any], is_enough: bool
) -> None:
    """What a feed declares was loaded within its window: green in both; else red in both, and
    always when the window is over."""
    site.feed = {"landing": landing}
    site.now = datetime.now(timezone.utc)
    site.put("a.csv")
    site.put("b.csv", "a,b\n3,4\n")
    site.load()
    for path in (site.root / "landing").iterdir():
        path.unlink()
    site.now += timedelta(hours=1)
    look, load = site.monitor().landing(), site.load()
    site.now += timedelta(hours=20)
    late_look, late_load = site.monitor().landing(), site.load()

    assert (0 if is_enough else 1) == look.exit_code == load.exit_code
    assert look.alerts == load.alerts
    assert 1 == late_look.exit_code == late_load.exit_code
    assert late_look.alerts == late_load.alerts
    arrived = by_name(look)["arrived"]
    assert (Status.PASS if is_enough else Status.FAIL) == arrived.status
    assert by_name(look)["mount"].message.startswith(
        "landing: 0 files, though 2 deliveries have come before, the last at 20"
    )


def test_a_feed_whose_only_file_still_grows_has_not_come(site: Site) -> None:
    """Only the load can see that; it says so of the arrival, too."""
    path = site.put("a.csv")
    read_blocks = records.read_blocks

    def growing(source: Any, *rest: Any) -> Iterator[bytes]:
        yield from read_blocks(source, *rest)
        with path.open("a") as file:
            file.write("3,4\n")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("monitors.arrival.loader.read_blocks", growing)
        first = site.load()
        named = site.monitor().load("web", [path])
    second = site.load()

    assert (1, Status.FAIL) == (first.exit_code, by_name(first)["arrived"].status)
    assert 1 == len(first.alerts)
    assert "a.csv: changed while it was read; waits for the next run" in first.alerts[0]
    assert 1 == named.exit_code
    assert "a.csv: changed while it was read" in named.alerts[0]
    assert (0, Status.PASS) == (second.exit_code, by_name(second)["arrived"].status)


def test_ages_and_windows_go_by_the_calendar(site: Site) -> None:
    """Friday's file is not old on Sunday, and is on Monday evening."""
    closed = {"closed": ["saturday", "sunday"]}
    site.more = {"calendars": {"work": closed}}
    freshness = {"within": "1 day", "calendar": "work"}
    site.feed = {"freshness": freshness, "landing": {"newest_within": "1 day"}}
    friday = datetime(2026, 11, 20, 18, tzinfo=timezone.utc)
    site.put("a.csv", ago=(site.now - friday).total_seconds())
    site.now = friday + timedelta(days=2)
    sunday = site.look()["newest_age"]
    site.now = friday + timedelta(days=3, hours=1)
    monday = site.look()["newest_age"]

    assert (Status.PASS, 6) == (sunday.status, sunday.metric_value)
    assert (Status.FAIL, "hours=25 (max 24): a.csv is the newest") == (
        monday.status,
        monday.message,
    )


@pytest.mark.parametrize("moment", [None, {"format": "%Y-%m-%d", "offset": "1 day"}])
def test_a_file_is_as_old_after_it_was_moved_away(
    site: Site, moment: dict[str, str] | None
) -> None:
    """By its name, or else by its file time, never by when it was loaded."""
    site.feed = {"landing": {"newest_within": "2 days"}} | ({"moment": moment} if moment else {})
    site.put("b_2026-08-20.csv", ago=90 * 86400)
    never = site.look()["newest_age"]
    site.load()
    (site.root / "landing/b_2026-08-20.csv").unlink()
    old = site.look()["newest_age"]
    site.put("a_2026-11-17.csv", "a,b\n3,4\n", ago=86400)
    lying = site.look()["newest_age"]
    site.load()
    (site.root / "landing/a_2026-11-17.csv").unlink()
    site.put("b_2026-08-20.csv", ago=90 * 86400)
    moved = site.look()["newest_age"]

    hours = 89 * 24 + 12 if moment else 90 * 24
    said = f"hours={hours:,} (max 48): b_2026-08-20.csv is the newest"
    assert said == never.message == old.message
    assert [Status.FAIL] * 2 == [never.status, old.status]
    hours = 12 if moment else 24
    assert f"hours={hours} (max 48): a_2026-11-17.csv is the newest" == lying.message
    assert (Status.PASS, lying.message) == (moved.status, moved.message)


def test_the_size_is_held_against_the_usual_of_its_kind(site: Site) -> None:
    """Blind until five have come; then half a file is red, and the usual one passes."""
    site.feed = {"landing": {"size_within": 0.5}}
    for number in range(5):
        site.put(f"{number}.csv", "a,b\n" + f"{number},2\n" * 100)
    blind = site.look()["size"]
    site.load()
    latest = site.look()["size"]
    site.put("5.csv", "a,b\n" + "1,2\n" * 30)
    small = site.look()["size"]

    assert [Status.BLIND, Status.BLIND, Status.FAIL] == [
        each.status for each in (blind, latest, small)
    ]
    assert "ratio=0.31 (0.5 to 1.5): 5.csv has 124 bytes, usual are 404" == small.message
    site.put("5.csv", "a,b\n" + "1,2\n" * 110)
    site.load()
    assert Status.PASS == site.look()["size"].status, "without a new file the latest is judged"


def test_an_empty_file_is_a_warning_and_a_delivery_of_no_rows(site: Site) -> None:
    """Empty is not failed; said once, in the run in which it comes. A bare header is empty, too."""
    site.put("zero.csv", "")
    site.put("header.csv", "a,b\n")
    site.put("full.csv")
    first, second = site.load(), site.load()
    found = by_name(first)["empty"]

    assert (0, Status.WARN, 2) == (first.exit_code, found.status, found.metric_value)
    assert "zero.csv: 0 bytes, a delivery of 0 rows; header.csv: a delivery of 0 rows" == (
        found.message
    )
    assert Status.PASS == by_name(second)["empty"].status
    assert [("zero.csv", 0), ("header.csv", 0)] == site.ask(
        "select name, rows from monitoring.deliveries where rows = 0 order by name desc"
    )


def test_unfinished_files_wait(site: Site) -> None:
    """Temporary names, placeholders and files that were just changed are not loaded, and said."""
    site.feed = {"landing": {"settle": "1 minute", "stuck_after": "1 day"}}
    site.put("a.csv")
    site.put("b.csv.part")
    site.put(".c.csv.icloud")
    site.put("d.csv", ago=5)
    verdict = site.load()
    found = by_name(verdict)["partial"]

    assert ["a.csv"] == site.names()
    assert (0, Status.WARN, 3) == (verdict.exit_code, found.status, found.metric_value)
    assert "b.csv.part: a temporary name" in found.message
    assert "d.csv: changed 5 s ago" in found.message
    assert (
        "1 new file, 1 rows, 3 not whole yet (1 a placeholder of a sync client: .c.csv.icloud;"
        " 1 a temporary name: b.csv.part; 1 changed just now: d.csv)"
    ) in screen.summary(verdict)
    site.now += timedelta(days=2)
    later = by_name(site.load())["partial"]
    assert ["a.csv", "d.csv"] == site.names()
    assert (Status.FAIL, ".c.csv.icloud: unfinished, and unchanged for 49.0 hours") == (
        later.status,
        later.message,
    )


def test_each_kind_of_what_is_not_whole_is_told_with_its_count(site: Site) -> None:
    """Not the reason of the first for all; also where nothing else has come."""
    site.feed = {"required": False, "landing": {"settle": "1 minute"}}
    for name in ("a.csv.part", "b.csv.part", "c.csv.tmp"):
        site.put(name)
    site.put("d.csv", ago=5)
    site.put("e.csv", ago=7)

    assert (
        "loaded   web: no file, 5 not whole yet (3 a temporary name: a.csv.part and 2 more;"
        " 2 changed just now: d.csv and 1 more)"
    ) == screen.summary(site.load()).splitlines()[0]


def test_a_file_that_grows_while_it_is_read_waits(site: Site) -> None:
    """Nothing of it is loaded; the next run takes it whole, once."""
    path = site.put("a.csv")
    site.put("b.csv", "a,b\n5,6\n")
    read_blocks = records.read_blocks

    def growing(source: Any, *rest: Any) -> Iterator[bytes]:
        yield from read_blocks(source, *rest)
        if source == path:
            with path.open("a") as file:
                file.write("3,4\n")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("monitors.arrival.loader.read_blocks", growing)
        first = site.load()
    second = site.load()

    assert (("a.csv", "changed while it was read"),) == first.loads[0].skipped
    found = by_name(first)["partial"]
    assert (0, Status.WARN) == (first.exit_code, found.status)
    assert [("skipped", "StillGrowing")] == site.ask(
        "select status, error_type from monitoring.pipeline_logs where status = 'skipped'"
        " and error_type is not null"
    )
    assert 2 == second.loads[0].rows
    assert ["a.csv", "b.csv"] == site.names()


def test_names_that_fit_no_feed_are_told(site: Site) -> None:
    """A file of another feed in the same folder, and a dot file, are none of them."""
    site.feed = {"landing": {}}
    other = {"table": "other_raw.rows", "format": "json", "path": "landing/*.json"}
    site.put("a.csv")
    site.put("b.json", "{}")
    site.put(".hidden")
    site.put("a.xlsx")
    web = {"table": "web_raw.rows", "format": "csv", "path": "landing/*.csv*", "landing": {}}
    site.more = {"feeds": {"web": web, "other": other}}
    verdict = site.monitor().landing("web")
    found = by_name(verdict)["names"]

    assert (Status.WARN, "a.xlsx: fits no feed's path") == (found.status, found.message)
    assert 0 == verdict.exit_code


def test_equal_content_under_two_names_is_told(site: Site) -> None:
    """Against files that wait and against deliveries; all of them are loaded all the same."""
    site.feed = {"landing": {}}
    site.put("a.csv")
    site.load()
    site.put("b.csv")
    site.put("c.csv", "a,b\n8,9\n")
    site.put("d.csv", "a,b\n8,9\n")
    found = by_name(site.load())["duplicates"]

    assert (Status.WARN, "b.csv = a.csv, d.csv = c.csv: the same content") == (
        found.status,
        found.message,
    )
    assert ["a.csv", "b.csv", "c.csv", "d.csv"] == site.names()


def test_a_day_that_is_left_out_is_red(site: Site) -> None:
    """By the names, of what lies there and what was loaded; a closed day is no gap."""
    site.more = {"calendars": {"work": {"closed": ["saturday", "sunday"]}}}
    site.feed = {
        "moment": {"format": "%Y-%m-%d", "offset": "1 day"},
        "freshness": {"within": "1 day", "calendar": "work"},
        "landing": {"sequence": "day", "sequence_over": "10 days"},
    }
    site.put("e_2026-11-12.csv", "a\n12\n")
    blind = site.look()["sequence"]
    site.load()
    (site.root / "landing/e_2026-11-12.csv").unlink()
    site.put("e_2026-11-17.csv", "a\n17\n")
    gap = site.look()["sequence"]
    site.put("e_2026-11-13.csv", "a\n13\n")
    site.put("e_2026-11-16.csv", "a\n16\n")
    whole = site.look()["sequence"]

    assert Status.BLIND == blind.status
    assert (Status.FAIL, "gaps=2: 2026-11-13, 2026-11-16") == (gap.status, gap.message)
    assert (Status.PASS, "gaps=0 from 2026-11-12 to 2026-11-17") == (whole.status, whole.message)


@pytest.mark.parametrize("future", ["e_2036-01-01.csv", "e_2026-12-03 (1).csv"])
def test_a_name_of_the_future_blinds_nothing(site: Site, future: str) -> None:
    """It is told while it lies there, and takes no part in gaps and ages, then or later."""
    site.feed = {
        "moment": {"format": "%Y-%m-%d", "offset": "1 day"},
        "landing": {"sequence": "day", "newest_within": "1 day"},
    }
    site.put("e_2026-11-15.csv", "a\n15\n")
    site.put("e_2026-11-17.csv", "a\n17\n")
    site.put(future, "a\n18\n")
    lying = site.look()
    load = site.load()
    for path in (site.root / "landing").iterdir():
        path.unlink()
    site.put("e_2026-11-16.csv", "a\n16\n")
    gone = site.look()

    names = lying["names"]
    assert (Status.FAIL, f"states a moment of the future: {future}") == (
        names.status,
        names.message,
    )
    assert 1 == load.exit_code
    assert "gaps=1: 2026-11-16" == lying["sequence"].message
    assert "gaps=0 from 2026-11-15 to 2026-11-17" == gone["sequence"].message
    age = "hours=12 (max 24): e_2026-11-17.csv is the newest"
    assert age == lying["newest_age"].message == gone["newest_age"].message
    assert Status.PASS == gone["names"].status


def test_a_name_may_be_ahead_of_utc_by_a_zone(site: Site) -> None:
    """Tomorrow's date is none of the future; the day after is. Strays need not be told with it."""
    site.feed = {
        "moment": {"format": "%Y-%m-%d", "offset": "1 day"},
        "landing": {"sequence": "day", "strays": False},
    }
    site.put("e_2026-11-18.csv", "a\n18\n")
    site.put("e_2026-11-19.csv", "a\n19\n")
    site.put("a.xlsx")
    zone = site.look()
    site.put("e_2026-11-20.csv", "a\n20\n")
    future = site.look()

    assert [Status.PASS, Status.FAIL] == [each["names"].status for each in (zone, future)]
    said = "gaps=0 from 2026-11-18 to 2026-11-19"
    assert [said, said] == [each["sequence"].message for each in (zone, future)]


# -------------------------------------------------------------------- the circuit breaker


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps of a run that would follow its load, as they are taken."""
    steps: list[str] = []

    def step(name: str) -> Callable[..., Verdict]:
        def take(runner: Any, *_: Any) -> Verdict:
            steps.append(name)
            return Verdict(runner.run_id)

        return take

    monkeypatch.setattr("monitors.monitor.build_models", step("build"))
    monkeypatch.setattr("monitors.monitor.scan_checks", step("scan"))
    return steps


def test_a_required_feed_below_its_minimum_stops_the_build(site: Site, built: list[str]) -> None:
    """Red, exit 1; what came is loaded, nothing is built, the scan still speaks."""
    site.feed = {"landing": {"min_files": 2}}
    site.put("a.csv")
    verdict = site.monitor().run()

    assert (1, ["scan"]) == (verdict.exit_code, built)
    assert ["a.csv"] == site.names()
    assert verdict.alerts[-1].startswith(
        "!! ALERT: RUN STOPPED !! - landing.web.file_count: files=1 (min 2)"
    )
    assert [("dbt", "skipped", "SKIPPED_RED_LANDING", True)] == site.ask(
        "select pipeline_name, status, error_type, error_message like 'landing.web.file_count%'"
        " from monitoring.pipeline_logs where stage = 'build'"
    )


def test_a_required_feed_without_a_file_stops_the_build(site: Site, built: list[str]) -> None:
    """Being required is a minimum of one, declared or not."""
    (site.root / "landing").mkdir()
    verdict = site.monitor().run()

    assert (1, ["scan"]) == (verdict.exit_code, built)
    assert [("load", "failed", "NO_DATA"), ("build", "skipped", "SKIPPED_RED_LANDING")] == site.ask(
        "select stage, status, error_type from monitoring.pipeline_logs order by log_id"
    )


def test_the_build_goes_on_where_that_is_wanted(site: Site, built: list[str]) -> None:
    """`run: on_red_landing: continue`; the run is red all the same."""
    site.more = {"run": {"on_red_landing": "continue"}}
    verdict = site.monitor().run()

    assert (1, ["build", "scan"]) == (verdict.exit_code, built)


def test_a_muted_check_stops_nothing(site: Site, built: list[str], connection: Connection) -> None:
    """It is shown as failed and muted; the build goes on and the run is green."""
    site.feed = {"landing": {"min_files": 2}}
    site.put("a.csv")
    migrate(connection)
    until = NOON + timedelta(days=1)
    History(connection, "dev").mute("landing.web.file_count", until, "moving house", "ann")
    connection.commit()
    verdict = site.monitor().run()
    found = by_name(verdict)["file_count"]

    assert (0, (), ["build", "scan"]) == (verdict.exit_code, verdict.alerts, built)
    assert (Status.FAIL, True) == (found.status, "moving house" in (found.muted or ""))


def test_an_optional_feed_is_skipped(site: Site, built: list[str]) -> None:
    """No data: exit 0, the state and its reason in the log, and the build goes on."""
    site.feed = {"required": False, "landing": {"min_files": 1, "newest_within": "1 day"}}
    (site.root / "landing").mkdir()
    verdict = site.monitor().run()

    assert (0, ["build", "scan"], ()) == (verdict.exit_code, built, verdict.alerts)
    assert [("skipped", "SKIPPED_NO_DATA", "no file matches its path", 0)] == site.ask(
        "select status, error_type, error_message, rows_read from monitoring.pipeline_logs"
    )
    assert Status.WARN == by_name(verdict)["file_count"].status, "what was declared is said"


# -------------------------------------------------------------------- the command


STREAM = {
    "folder": {"path": "in/*.jsonl"}, "table": "s_raw.rows", "dlq_path": "monitoring.dead_letters",
    "watermark": "1 hour", "checkpoint": "s", "event_time": "at",
}  # fmt: skip


@pytest.mark.parametrize("command", ["load", "landing"])
@pytest.mark.parametrize(
    ("settings", "said"),
    [({}, "see README.md, Your own data\n"), ({"streams": {"s": STREAM}}, "rampart consume\n")],
    ids=["nothing", "streams"],
)
def test_no_feed_at_all_is_said(
    site: Site, command: str, settings: dict[str, Any], said: str
) -> None:
    """Exit 2: there is nothing that could be done; a silent 0 would pass for a load."""
    (site.root / "rampart.yml").write_text(yaml.safe_dump(settings))
    done = rampart(site, command)

    assert (2, "") == (done.returncode, done.stdout)
    assert f"rampart: no feed in {site.root}/rampart.yml: a block under `feeds:`" in done.stderr
    assert done.stderr.endswith(said)


def test_the_command_looks_and_leaves_no_trace(site: Site) -> None:
    """One line per check, the worst first; exit 1 when one is red, 2 for a feed that is none."""
    site.feed = {"landing": {"min_files": 3}}
    site.put("a.csv")
    site.monitor()
    done = rampart(site, "landing")
    first, *_, last = done.stdout.splitlines()

    assert 1 == done.returncode
    assert first.startswith("fail     landing.web.file_count: files=1 (min 3) since ")
    assert "7 checks: 1 fail, 6 pass" == last
    assert done.stderr.startswith(
        "!! ALERT: LANDING FAILURE !! - landing.web.file_count on web_raw"
    )
    assert 7 == len(json.loads(rampart(site, "landing", "web", "--json").stdout)["results"])
    assert 2 == rampart(site, "landing", "wbe").returncode
    assert [] == site.ask("select * from monitoring.runs")


def as_nobody() -> list[str]:
    """Before a command: without the right to read every file, also when root runs the tests."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may read everything, and setpriv is not installed")
    return ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]


def rampart(
    site: Site, *arguments: str, before: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*before, sys.executable, "-m", "monitors.cli", "--log-level", "error", *arguments],
        cwd=site.root, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_a_file_that_cannot_be_read_is_red_and_the_others_load(
    site: Site, debian_server: Server, use: Callable[[Target], None]
) -> None:
    """One line, the same in both; no traceback, a failed stage, and no second incident."""
    site.target = debian_server.new_database()  # by TCP: the socket of the other one is a file, too
    use(site.target)
    site.put("a.csv")
    site.put("b.csv").chmod(0)
    site.put("c.csv", "a,b\n5,6\n")
    (site.root / "landing/d.csv").symlink_to("gone.csv")
    site.monitor()
    look, load = (rampart(site, each, before=as_nobody()) for each in ("landing", "load"))
    line = "!! ALERT: MOUNT FAILURE !! - landing: b.csv: Permission denied (and 1 more)"

    assert [1, 1] == [look.returncode, load.returncode]
    for done in (look, load):
        assert [line] == [each for each in done.stderr.splitlines() if each.startswith("!!")]
        assert "Traceback" not in done.stderr
    assert ["a.csv", "c.csv"] == site.names()
    assert "2 failed" in load.stdout
    assert [("b.csv", "PermissionError"), ("d.csv", "FileNotFoundError")] == site.ask(
        "select source, error_type from monitoring.pipeline_logs where status = 'failed' order by 1"
    )
    assert [("landing.web.mount",)] == site.ask(
        "select check_id from monitoring.data_quality_metrics where failed_expectations > 0"
    )


def test_a_muted_landing_place_does_not_hide_what_cannot_be_loaded(
    site: Site, connection: Connection
) -> None:
    """Then the load says it itself."""
    (site.root / "landing").mkdir()
    (site.root / "landing/a.csv").symlink_to("gone.csv")
    migrate(connection)
    until = NOON + timedelta(days=1)
    History(connection, "dev").mute("landing.web.mount", until, "moving house", "ann")
    connection.commit()
    verdict = site.load()

    assert 1 == verdict.exit_code
    assert ["!! ALERT: LOAD FAILURE !!"] == [line.split(" - ")[0] for line in verdict.alerts]


@pytest.mark.parametrize(
    ("named", "why"), [("nofile.csv", "there is no such file"), ("landing", "it is a folder")]
)
def test_a_mistyped_file_is_a_usage_error(site: Site, named: str, why: str) -> None:
    """One line, exit 2, nothing loaded of what was named with it, and nobody's alert."""
    good = site.put("a.csv")
    site.monitor()
    done = rampart(site, "load", "web", str(good), named)
    *log, last = done.stderr.splitlines()

    assert (2, f"rampart: {named}: {why}; nothing was loaded") == (done.returncode, last)
    assert "Traceback" not in done.stderr
    failed = [json.loads(line) for line in log if '"level": "error"' in line]
    assert [("stage failed", "UsageError", named)] == [
        (each["message"], each["error_type"], each["source"]) for each in failed
    ]
    assert [] == site.names()
    assert [] == site.ask("select check_id from monitoring.data_quality_metrics")


# -------------------------------------------------------------------- S3


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """An S3 server on loopback."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of the server; the environment points at it, as a user's would."""
    import s3fs

    for name, value in {
        "AWS_ENDPOINT_URL": s3, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    client = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
    client.mkdir("lake")
    yield client
    client.rm("lake", recursive=True)


def test_files_on_s3_are_loaded_as_those_of_a_folder(site: Site, bucket: Any) -> None:
    """Streamed, gzip or not, more than one part of a download; hash, name and rows are the same."""
    rows = "a,b\n" + "".join(f"{number},{'x' * 200}\n" for number in range(60_000))
    for name, content in {
        "a.csv": rows.encode(),
        "b.csv.gz": gzip.compress(b"a,b\n1,2\n"),
        "c.csv": b"",
        "d.csv.part": b"a,b\n9",
        "deep/e.csv": b"a,b\n7,8\n",
    }.items():
        bucket.pipe_file(f"lake/web/{name}", content)
    site.feed = {"path": "s3://lake/web/*.csv*", "landing": {"min_files": 3}}
    site.now = datetime.now(timezone.utc)
    verdict = site.load()
    found = by_name(verdict)

    assert (0, 60_001) == (verdict.exit_code, verdict.loads[0].rows)
    assert ["a.csv", "b.csv.gz", "c.csv"] == site.names()
    assert [Status.PASS, Status.WARN, Status.WARN] == [
        found[name].status for name in ("file_count", "empty", "partial")
    ]
    local = site.root / "a.csv"
    local.write_text(rows)
    assert [(records.sha256_of(local),)] == site.ask(
        "select sha256 from monitoring.deliveries where name = 'a.csv'"
    )


def test_what_was_loaded_from_s3_is_not_fetched_again(site: Site, bucket: Any) -> None:
    """The store says when it was written; a new content under the old name is a new delivery."""
    site.feed = {"path": "s3://lake/web/*.csv"}
    bucket.pipe_file("lake/web/a.csv", b"a,b\n1,2\n")
    site.ask("select pg_sleep(1.1)")  # S3 knows whole seconds
    first = site.load()
    reads: list[str] = []
    open_file = type(bucket).open

    def counted(self: Any, path: str, *rest: Any, **options: Any) -> Any:
        reads.append(path)
        return open_file(self, path, *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(bucket), "open", counted)
        second = site.load()
    site.ask("select pg_sleep(1.1)")
    bucket.pipe_file("lake/web/a.csv", b"a,b\n1,3\n")
    third = site.load()

    assert ([], 0) == (reads, second.loads[0].rows)
    assert [1, 1] == [first.loads[0].rows, third.loads[0].rows]
    assert 2 == len(site.names())


@pytest.mark.parametrize(
    ("path", "reason"),
    [("s3://nosuch/web/*.csv", "it does not exist"), ("s3://lake/empty/*.csv", None)],
)
def test_a_bucket_that_is_not_there_is_a_mount_failure(
    site: Site, bucket: Any, path: str, reason: str | None
) -> None:
    """A prefix without a file is empty, and no failure: folders are there only by their files."""
    site.feed = {"path": path}
    mount = site.look()["mount"]

    assert (Status.FAIL if reason else Status.PASS) == mount.status
    assert (reason or "0 files") in mount.message


def test_an_s3_that_does_not_answer_is_a_mount_failure(
    site: Site, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, no traceback, and other feeds go on."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    other = {"table": "other_raw.rows", "format": "csv", "path": "landing/*.csv"}
    web = {"table": "web_raw.rows", "format": "csv", "path": "s3://lake/web/*.csv"}
    site.more = {"feeds": {"web": web, "other": other}}
    site.put("a.csv")
    verdict = site.load()

    assert 1 == verdict.exit_code
    assert any("MOUNT FAILURE !! - s3://lake/web: " in line for line in verdict.alerts)
    assert ["a.csv"] == site.names()


def test_two_looks_at_once_do_not_disturb_each_other(site: Site) -> None:
    """Looking writes nothing."""
    site.put("a.csv")
    monitors = [site.monitor(), site.monitor()]
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda each=each: codes.append(each.landing().exit_code))
        for each in monitors
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [0, 0] == codes


def test_the_loader_may_write_its_verdicts_and_no_more(
    site: Site, connection: Connection, use: Callable[[Target], None]
) -> None:
    """Least privilege holds with landing checks: append only."""
    site.put("a.csv")
    site.monitor().load()
    grant_roles(connection, {})
    as_loader = replace(site.target, user="rampart_loader")
    use(as_loader)
    site.put("b.csv", "a,b\n7,8\n")

    assert (0, 1) == ((verdict := site.load()).exit_code, verdict.loads[0].rows)
    with connect(as_loader) as opened, pytest.raises(psycopg.errors.InsufficientPrivilege):
        opened.execute("delete from monitoring.data_quality_metrics")
