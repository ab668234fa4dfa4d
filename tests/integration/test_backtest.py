"""`rampart backtest` over a history in a real store: text, JSON, picture, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitors import cli_backtest
from monitors.commands.backtest import Backtester
from monitors.config import load_config
from monitors.errors import UsageError
from monitors.results import CheckResult, Status
from monitors.scan.backtest import Settings
from monitors.scan.inject import parse_injection
from monitors.scan.volumes import due, judge
from monitors.store.history import History, MetricValue
from monitors.store.migrate import migrate
from monitors.store.postgres import RunContext, Store
from monitors.store.volumes import StoredSeries, Volumes
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.conftest import ROOT, Server

DAY = timedelta(days=1)
FIRST = datetime(2024, 1, 1, tzinfo=timezone.utc)
"""A Monday."""
DAYS = 120
OUTAGE, MIGRATION = 60, 90
WEEK = (1000, 1100, 1050, 1080, 1200, 400, 300)
RAMPART_YML = """\
scan: {checks: ['checks/*.yml']}
volumes:
  shop.visits:
    time: visited_at
    every: day
  shop.empty: {time: made_at}
"""
CHECKS = """\
checks for monitoring.volume_verdicts:
  - volume_alarms = 0:
      identity: shop.volume
      volume_alarms query: |
        select count(*) from monitoring.volume_verdicts where dataset = 'shop.visits'
checks for shop.orders:
  - rejected_share <= 0.03:
      identity: shop.rejected
      rejected_share query: select 0.01
  - row_count >= 500:
      identity: shop.enough
  - duplicate_count(id) = 0:
      identity: shop.unique
  - alarms = 0:
      identity: shop.by_evidence
      alarms query: select 0
      attributes:
        evidence: select 900, 850, 950, 0.1, 'as usual'
  - missing_count(id) = 0:
      identity: shop.never_ran
"""


def visits() -> list[int]:
    """A weekly pattern with noise; one day nothing came, and two were lost in a migration."""
    random = np.random.default_rng(3)
    counts = np.round(np.resize(WEEK, DAYS) * random.normal(1, 0.04, DAYS)).astype(int)
    counts[OUTAGE] = 0
    counts[MIGRATION : MIGRATION + 2] = 0
    return [int(each) for each in counts]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, embedded_server: Server) -> tuple[Path, Target]:
    """A project and a store that remembers 120 days of it."""
    root = tmp_path_factory.mktemp("shop")
    (root / "checks").mkdir()
    (root / "rampart.yml").write_text(RAMPART_YML)
    (root / "checks" / "shop.yml").write_text(CHECKS)
    target = embedded_server.new_database()
    with connect(target) as connection:
        migrate(connection)
        fill(connection)
        connection.commit()
    return root, target


def fill(connection: Any) -> None:
    random = np.random.default_rng(5)
    for day in range(DAYS):
        moment = FIRST + (day + 1) * DAY
        store = Store(connection, RunContext(f"run-{day:04}", "dev"))
        store.start_run("scan")
        rejected = 0.05 if day in (40, 41, 80, 100, 110, 119) else 0.01 + 0.01 * random.random()
        rows = 1200 if day in (50, 60) else 900 + day % 7
        values = {"shop.rejected": ("rejected_share", rejected, None, 0.05),
                  "shop.enough": ("row_count", 600 + day, 500, None),
                  "shop.by_evidence": ("rows", rows, 850 + day % 7, 950),
                  "shop.unique": ("duplicate_count", 0, None, 0),
                  "shop.volume": ("volume_alarms", 0, None, 0)}  # fmt: skip
        store.add_results(
            [
                CheckResult(name, name, "shop", "shop.orders", Status.PASS, metric_name=metric,
                            metric_value=value, expected_min=low, expected_max=high,
                            data_timestamp=moment)
                for name, (metric, value, low, high) in values.items()
            ],
            moment,
        )  # fmt: skip
    volumes = Volumes(connection, "dev", "run-0119")
    volumes.put_buckets("shop.visits", [("", FIRST + d * DAY, n) for d, n in enumerate(visits())])
    History(connection, "dev", "run-0119").add_bad_period(
        FIRST + MIGRATION * DAY, FIRST + (MIGRATION + 2) * DAY, "migration", "ann", "shop.visits"
    )


@pytest.fixture
def project(
    shop: tuple[Path, Target], use: Callable[[Target], None], monkeypatch: pytest.MonkeyPatch
) -> Path:
    use(shop[1])
    monkeypatch.chdir(shop[0])
    return shop[0]


@dataclass
class Done:
    """How the command ended and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def rampart(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """The command in this process; errors come through as they are raised."""

    def run(*arguments: str) -> Done:
        code = cli_backtest.backtest.main(list(arguments), standalone_mode=False)
        return Done(int(code), *capsys.readouterr())

    return run


@pytest.fixture
def report(project: Path, rampart: Callable[..., Done]) -> Callable[..., dict[str, Any]]:
    """What `--json` prints."""

    def read(*arguments: str) -> dict[str, Any]:
        done = rampart("--json", *arguments)
        assert (0, "") == (done.code, done.err)
        found: dict[str, Any] = json.loads(done.out)
        return found

    return read


Run = Callable[..., Done]
Report = Callable[..., dict[str, Any]]


def test_every_check_with_a_history_is_replayed(report: Report) -> None:
    """Volumes and thresholds; what reads a volume is named there and not counted twice."""
    found = report()
    checks = {each["check_id"]: each for each in found["checks"]}

    assert {"volume.shop.visits", "shop.rejected", "shop.enough", "shop.unique",
            "shop.by_evidence"} == set(checks)  # fmt: skip
    assert ["shop.volume"] == checks["volume.shop.visits"]["read_by"]
    assert {
        "volume.shop.empty": "no history yet",
        "shop.never_ran": "no history yet",
    } == found["not_replayed"]
    assert (5, 2) == (found["budget"]["known"], found["budget"]["unknown"])
    assert found["budget"]["per_month"] == pytest.approx(8.5 / 4, rel=0.1)


def test_the_outage_is_an_alarm_and_the_migration_is_known(report: Report) -> None:
    """The moment, what was expected, and that nobody counts a known-bad period."""
    [check] = report("shop.visits")["checks"]
    alarms = {each["moment"][:10]: each["is_known_bad"] for each in check["alarms"]}

    assert {"2024-03-01": False, "2024-03-31": True} == alarms
    assert check["alarms_per_month"] == pytest.approx(1 / (check["judged"] / 30.4375), rel=1e-6)
    assert len(check["series"][0]["values"]) == DAYS


def test_it_fires_where_a_scan_of_each_day_would_have(project: Path) -> None:
    """The same stored buckets through the judgement of the scan, one day at a time."""
    config = load_config(project)
    monitor = Backtester(config)
    [found] = monitor.backtest(["volume.shop.visits"]).backtests
    with connect(monitor.target) as connection:
        bad = History(connection, "dev").bad_periods("shop.visits")
        [stored] = Volumes(connection, "dev").series("shop.visits", FIRST, FIRST + 999 * DAY)
    live = []
    for day in range(DAYS):
        until = StoredSeries("", stored.starts[: day + 1], stored.counts[: day + 1])
        [judged] = judge(due(until, {}, "day"), "shop.visits", config.volumes["shop.visits"], bad)
        live.append(judged.state == "anomalous")

    with np.errstate(invalid="ignore"):
        assert live == (found.check.strictness > found.replayed[0].fires_above).tolist()
    assert 2 <= sum(live) <= 5


def test_bounds_of_each_run_are_replayed_as_they_were(report: Report) -> None:
    """Evidence and changes against the past: no number of the file is a bound of the value."""
    [check] = report("shop.by_evidence", "-i", "outage")["checks"]

    assert ["2024-02-21", "2024-03-02"] == [each["moment"][:10] for each in check["alarms"]]
    assert [950, 950] == [each["upper"] for each in check["alarms"]]
    assert "bounds of its own" in check["injections"][0]["why_not"]
    assert not check["recommendation"]["change"]


def test_the_bound_of_the_file_counts_and_not_that_of_the_day(project: Path, rampart: Run) -> None:
    """0.05 was allowed when it ran, today's file says 0.03; a recommendation as a diff."""
    done = rampart("shop.rejected", "--max-alarms", "1/month")

    assert 1 == done.code
    assert "alarms      5, 1.27 a month" in done.out
    assert "+  - rejected_share <= 0.05:" in done.out
    assert done.err.startswith("!! ALERT: ALARM BUDGET EXCEEDED !! - shop.rejected raises 1.27")
    assert CHECKS == (project / "checks" / "shop.yml").read_text()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("shop.rejected",), 0), (("shop.rejected", "--max-alarms", "2/month"), 0),
     (("--max-alarms", "1/month"), 1), (("shop.unique", "--max-alarms", "0/month"), 0),
     (("shop.rejected", "--threshold", "<= 0.05", "--max-alarms", "0/month"), 0)],
)  # fmt: skip
@pytest.mark.usefixtures("project")
def test_the_budget_is_the_exit_code(rampart: Run, arguments: tuple[str, ...], code: int) -> None:
    """Only where one is given, and for each check by itself."""
    assert code == rampart(*arguments).code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("shop.rejcted",), "no check of this id, suite or dataset; near are: shop.rejected"),
        (("shop.never_ran",), "no history of shop.never_ran in environment `dev` yet: run `ramp"),
        (("--inject", "dorp"), "--inject: found `dorp`, allowed is drop, outage"),
        (("--max-alarms", "2"), "--max-alarms: found `2`, allowed is a number per day"),
        (("--threshold", "<= 1"), "--threshold: of one check only, 5 are chosen; name it"),
        (("shop.visits", "--threshold", "0"), "allowed for a volume is its sensitivity"),
        (("shop.rejected", "--threshold", "1"), "allowed are bounds as SodaCL writes them"),
        (("shop.by_evidence", "--threshold", "= 1"), "shop.by_evidence has no threshold to try: e"),
        (("shop.unique", "--html", "/proc/no/page.html"), "--html: /proc/no/page.html cannot be"),
    ],
)
@pytest.mark.usefixtures("project")
def test_what_cannot_be_done_is_one_line(
    rampart: Run, arguments: tuple[str, ...], said: str
) -> None:
    """What was found, what is allowed; exit code 2."""
    with pytest.raises(UsageError) as error:
        rampart(*arguments)

    assert said in str(error.value)
    assert 1 == len(str(error.value).splitlines())
    assert 2 == error.value.exit_code


def test_no_history_at_all_says_what_to_do(
    tmp_path: Path, warehouse: Target, use: Callable[[Target], None]
) -> None:
    """An empty store: one line, exit code 2."""
    use(warehouse)
    (tmp_path / "rampart.yml").write_text(RAMPART_YML)
    done = subprocess.run(
        [sys.executable, "-m", "monitors.cli", "--log-level", "error", "backtest"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )

    assert (2, 1) == (done.returncode, len(done.stderr.splitlines()))
    assert "no history in environment `dev` yet: run `rampart scan` after each" in done.stderr


def test_another_environment_has_another_history(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trials say nothing of prod."""
    monkeypatch.setenv("RAMPART_ENVIRONMENT", "prod")

    with pytest.raises(UsageError, match="no history in environment `prod` yet"):
        Backtester(load_config(project)).backtest()


def test_injected_faults_are_found_as_the_report_says(report: Report, tmp_path: Path) -> None:
    """All of an outage and nearly all of a lost half; and the picture is one file."""
    page = tmp_path / "pictures" / "backtest.html"
    found = report("shop.volume", "-i", "outage", "-i", "drop=50%", "--html", str(page))
    outage, drop = found["checks"][0]["injections"]

    assert 1.0 == outage["detected"]
    assert 0 == outage["median_delay"]
    assert drop["detected"] > 0.9
    assert drop["interval"][0] < drop["detected"]
    assert "volume.shop.visits" in page.read_text()


def test_a_recommended_sensitivity_is_a_diff_of_rampart_yml(project: Path) -> None:
    """A much too strict one is tried; the milder one keeps the budget."""
    settings = Settings(most_per_month=0.4)
    found = Backtester(load_config(project)).backtest(["shop.volume"], settings, threshold="6")
    diff = found.diffs["volume.shop.visits"]

    assert found.backtests[0].is_exceeded
    assert "--- a/rampart.yml\n+++ b/rampart.yml" in diff
    assert "+    sensitivity: " in diff
    assert RAMPART_YML == (project / "rampart.yml").read_text()


def test_recomputed_values_are_history_too(
    warehouse: Target, use: Callable[[Target], None], tmp_path: Path
) -> None:
    """A check that ran once, with a hundred values computed for the days before."""
    use(warehouse)
    (tmp_path / "rampart.yml").write_text("scan: {checks: []}\n")
    with connect(warehouse) as connection:
        migrate(connection)
        store = Store(connection, RunContext("run-1", "dev"))
        store.start_run("scan")
        moment = FIRST + 100 * DAY
        store.add_results(
            [CheckResult("a.rows", "a", "a", "a", Status.PASS, metric_name="row_count",
                         metric_value=100, expected_min=50, data_timestamp=moment)],
            moment,
        )  # fmt: skip
        History(connection, "dev", "run-1").put(
            MetricValue("a.rows", "a", "row_count", FIRST + day * DAY, value, origin="recomputed")
            for day, value in enumerate([90.0] * 50 + [10.0] + [90.0] * 50)
        )
        connection.commit()
    [found] = Backtester(load_config(tmp_path)).backtest().backtests

    assert 101 == found.judged
    assert 100.0 == found.check.histories[0].values[-1]
    assert [np.datetime64("2024-02-20")] == [a.moment.astype("M8[D]") for a in found.alarms]


@pytest.mark.usefixtures("project")
def test_a_seed_of_the_command_line_gives_the_same_bytes(rampart: Run) -> None:
    """A report can be compared with that of yesterday."""
    arguments = ("--json", "shop.volume", "-i", "drop=10%", "--samples", "20", "--seed", "3")

    assert rampart(*arguments).out == rampart(*arguments).out


def test_settings_are_the_same_from_python(project: Path) -> None:
    """`Backtester` is what the command calls."""
    settings = Settings(injections=(parse_injection("outage"),), samples=5)
    [found] = Backtester(project).backtest(["shop.visits"], settings).backtests

    assert (5, 5) == (found.detections[0].share.tries, found.detections[0].share.hits)
