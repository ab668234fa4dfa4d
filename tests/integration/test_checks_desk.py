"""The register at the command line: list checks, mute one, name a known-bad period."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner

from monitors import DataMonitor
from monitors.cli import cli
from monitors.errors import RampartError
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target

CHECKS = """
checks for public.visits:
  - row_count > 0:
      identity: visits.some
  - row_count > 100:
      identity: visits.many
"""


@pytest.fixture
def project(tmp_path: Path, warehouse: Target, use: Callable[[Target], None]) -> Path:
    """Two checks on a table with one row: one is red."""
    use(warehouse)
    (tmp_path / "rampart.yml").write_text(
        "scan: {checks: ['*.checks'], within: 1 hour}\nvolumes: {public.visits: {time: at}}\n"
    )
    (tmp_path / "a.checks").write_text(CHECKS)
    (tmp_path / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    with connect(warehouse) as connection:
        connection.execute("create table visits (at timestamptz)")
        connection.execute("insert into visits values (now() - interval '2 days')")
        connection.commit()
    return tmp_path


def rampart(project: Path, *arguments: str) -> str:
    """What it prints; errors of ours are raised."""
    done = CliRunner().invoke(
        cli, ["--config", str(project), *arguments], catch_exceptions=True, standalone_mode=False
    )
    if isinstance(done.exception, RampartError):
        raise done.exception
    assert done.exception is None, done.exception
    return done.output


def test_a_muted_check_runs_is_shown_and_turns_nothing_red(project: Path) -> None:
    """Until its date; then it is red again, without anybody's doing."""
    assert ["visits.many"] == [each.check_id for each in DataMonitor(project).scan().red]

    rampart(project, "checks", "mute", "visits.many", "--until", "2 days", "--why", "known")
    verdict = DataMonitor(project).scan()
    muted = next(each for each in verdict.results if each.check_id == "visits.many")

    assert (0, [], ()) == (verdict.exit_code, verdict.red, verdict.alerts)
    assert "known" in str(muted.muted)
    assert (0.0, 1) == (muted.success_rate, muted.failed_expectations), "the score stays honest"

    later = datetime.now(timezone.utc) + timedelta(days=3)

    assert "visits.many" in {
        each.check_id for each in DataMonitor(project, now=lambda: later).scan().red
    }


def test_unmuting_counts_at_once(project: Path) -> None:
    """And says when there was nothing to lift."""
    DataMonitor(project).scan()
    rampart(project, "checks", "mute", "visits.many", "--until", "2 days", "--why", "known")

    assert "counts again" in rampart(project, "checks", "unmute", "visits.many")
    assert "was not muted" in rampart(project, "checks", "unmute", "visits.many")
    assert 1 == DataMonitor(project).scan().exit_code


def test_the_register_lists_what_is_expected(project: Path) -> None:
    """Before the first scan, after it, and what is muted."""
    assert "not yet run" in rampart(project, "checks", "list")

    DataMonitor(project).scan()
    found = json.loads(rampart(project, "checks", "list", "--json"))

    assert {
        "rampart.scan_age": None,
        "visits.many": "a.checks:5",
        "visits.some": "a.checks:3",
    } == {each["check_id"]: each["where"] for each in found}
    assert "none" in rampart(project, "checks", "list", "--muted")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["checks", "mute", "visits.mny", "--until", "1 day", "--why", "x"], "did you mean"),
        (["checks", "mute", "visits.many", "--until", "soon", "--why", "x"], "found `soon`"),
        (["checks", "mute", "visits.many", "--until", "2020-01-01", "--why", "x"], "in the next"),
        (["checks", "mute", "visits.many", "--until", "1 day", "--why", " "], "needs a reason"),
        (["periods", "add", "--since", "2024-01-02", "--until", "2024-01-01", "--why", "x"],
         "later than --since"),
        (["periods", "add", "--since", "2024-01-01", "--until", "2024-01-02", "--why", "x",
          "--dataset", "public.visit"], "known: public.visits"),
        (["periods", "withdraw", "7"], "no known-bad period 7"),
        (["volumes", "recount", "public.visit"], "known: public.visits"),
    ],
)  # fmt: skip
def test_a_wrong_word_is_one_line(project: Path, arguments: list[str], said: str) -> None:
    """What was found, and what is allowed."""
    with pytest.raises(RampartError, match=said) as raised:
        rampart(project, *arguments)

    assert 2 == raised.value.exit_code
    assert 1 == len(str(raised.value).splitlines())


def test_a_period_is_named_listed_and_withdrawn(project: Path) -> None:
    """Append only: a withdrawn one is kept and counts no more."""
    rampart(project, "periods", "add", "--since", "2024-01-01", "--until", "2024-01-03",
            "--why", "tracker off", "--by", "ada")  # fmt: skip

    assert "every dataset: tracker off (ada)" in rampart(project, "periods", "list")

    rampart(project, "periods", "withdraw", "1")

    assert "none\n" == rampart(project, "periods", "list")


def test_a_pause_between_scans_is_said(project: Path) -> None:
    """Nobody looked for three days: a warning, and the age as a metric."""
    first = DataMonitor(project).scan()
    later = datetime.now(timezone.utc) + timedelta(days=3)
    second = DataMonitor(project, now=lambda: later).scan()
    ages = [
        next(each for each in verdict.results if each.check_id == "rampart.scan_age")
        for verdict in (first, second)
    ]

    assert ["blind", "warn"] == [each.status.value for each in ages]
    assert "ended 3 days ago (max 60 minutes)" in ages[1].message


def test_volumes_are_listed_in_words(project: Path) -> None:
    """A table with one row says nothing yet."""
    DataMonitor(project).scan()

    assert "blind        public.visits" in rampart(project, "volumes", "list")
