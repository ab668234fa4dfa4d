"""The whole path on the sample data: load, build, scan, twice, and what they leave behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest

from monitors import DataMonitor
from monitors.arrival.sample import write_sample
from monitors.results import Status
from monitors.store.roles import ROLES, grant_roles
from monitors.verdict import Verdict
from monitors.warehouse.connection import Connection, connect
from monitors.warehouse.target import Target
from tests.conftest import ROOT, Server, copy_project
from tests.documented import queries_of

YESTERDAY = datetime.now(timezone.utc).date() - timedelta(days=1)


ONE_SERVER = pytest.mark.parametrize("mornings", ["embedded_server"], indirect=True)
"""For what the command line does: the same on any server, and a process of its own each time."""


@dataclass(frozen=True)
class Warehouse:
    """A project on which history and then this morning were run."""

    project: Path
    target: Target
    first: Verdict
    second: Verdict

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        with connect(self.target) as connection:
            return connection.execute(sql.encode()).fetchall()


@pytest.fixture(scope="module", params=["embedded_server", "debian_server"])
def mornings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """History as a first run, the deliveries of this morning as a second one."""
    server: Server = request.getfixturevalue(request.param)
    patch = pytest.MonkeyPatch()
    target = server.new_database()
    project = copy_project(tmp_path_factory.mktemp(server.name) / "project")
    for name, value in target.environment().items():
        patch.setenv(name, value)
    patch.setenv("DBT_PROFILES_DIR", str(project / "no-profiles"))
    summary = write_sample(project / "landing", last_day=YESTERDAY)
    held = [path.rename(path.with_name(f".{path.name}")) for path in summary.today]
    first = DataMonitor(project).run()
    for path in held:
        path.rename(path.with_name(path.name[1:]))
    second = DataMonitor(project).run()
    patch.undo()
    return Warehouse(project, target, first, second)


@pytest.fixture
def at(mornings: Warehouse, use: Callable[[Target], None]) -> Warehouse:
    """The same, with the environment pointing at it."""
    use(mornings.target)
    return mornings


def rampart(at: Warehouse, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "monitors.cli", *arguments],
        cwd=at.project,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_history_is_green(mornings: Warehouse) -> None:
    """A week without the known case ends with exit code 0 and no alert line."""
    assert (0, (), []) == (mornings.first.exit_code, mornings.first.alerts, mornings.first.red)


def test_the_known_case_is_red_with_its_numbers(mornings: Warehouse) -> None:
    """2,908 of 49,966 events without a client: rate=0.0582, red, not critical."""
    found = next(r for r in mornings.second.results if r.check_id == "clickstream.quarantine_rate")

    assert (Status.FAIL, "high") == (found.status, found.severity.value)
    assert "rate=0.0582 (max 0.05)" == found.message
    assert (2908, 49966, 0.05) == (found.numerator, found.denominator, found.expected_max)
    assert 1 == mornings.second.exit_code
    assert any(
        line.startswith("!! ALERT: DATA QUALITY FAILURE !! - clickstream.quarantine_rate")
        for line in mornings.second.alerts
    )


def test_only_the_client_rule_is_broken_that_day(mornings: Warehouse) -> None:
    """The ledger holds 2,908 rows of that day, all for one rule."""
    rows = mornings.rows(
        "select rules, count(*) from quarantine.ledger join monitoring.deliveries"
        f" using (delivery_id) where name = 'events_{YESTERDAY}.jsonl.gz' group by rules"
    )

    assert [("client_id_present", 2908)] == rows


def test_the_queries_of_the_metrics_page_run(mornings: Warehouse) -> None:
    """Those over quality models; the others need no build (test_first_feed.py)."""
    queries = queries_of("metrics.md", "Duplicates")

    assert 2 == len(queries)
    assert [] == [query for query in queries if not mornings.rows(query)]


def test_everything_that_arrived_is_accounted_for(mornings: Warehouse) -> None:
    """arrived = taken + superseded + rejected + dead letters, for every delivery and grain."""
    rows = mornings.rows(
        "select sum(arrived), sum(superseded), sum(rejected), sum(dead_letters),"
        " sum(abs(unaccounted)) from monitoring.conservation where grain = 'row'"
    )
    arrived = mornings.rows("select sum(records) from monitoring.deliveries")[0][0]

    assert arrived == rows[0][0]
    assert 0 == rows[0][4]
    assert all(number > 0 for number in rows[0][1:4]), "the sample has all of them"


def test_lost_rows_turn_the_scan_red(at: Warehouse) -> None:
    """Delete one row of a mart: conservation is critical until it is put back."""
    with connect(at.target) as connection:
        row = connection.execute(
            "delete from facts.fact_events where event_key = (select min(event_key)"
            " from facts.fact_events) returning *"
        ).fetchone()
        connection.commit()
        try:
            verdict = DataMonitor(at.project).scan(["arrival"])
        finally:
            marks = ", ".join(["%s"] * len(row))
            connection.execute(f"insert into facts.fact_events values ({marks})".encode(), row)
            connection.commit()

    assert ["arrival.conservation"] == [r.check_id for r in verdict.red]
    assert verdict.red[0].is_critical


@ONE_SERVER
def test_loading_again_changes_nothing(at: Warehouse) -> None:
    """The same files again are skipped, and a build over them gives the same rows."""
    before = at.rows("select count(*), sum(revenue) from facts.fact_events")
    verdict = DataMonitor(at.project).load()
    DataMonitor(at.project).build()

    assert 0 == sum(each.rows for each in verdict.loads)
    assert before == at.rows("select count(*), sum(revenue) from facts.fact_events")


def test_full_refresh_gives_the_same_rows(at: Warehouse) -> None:
    """With unchanged rules the incremental path and a full refresh agree row by row."""
    marts = {
        "facts.fact_events": "event_key",
        "facts.fact_orders": "transaction_id",
        "facts.fact_air_quality_measurements": "measurement_key",
        "facts.fact_lease_documents": "document_id",
        "salesforce_curated.dim_sf_user_scd": "sf_user_key",
    }
    digest = "select md5(string_agg(t::text, '|' order by {key})) from {table} as t"
    before = {t: at.rows(digest.format(table=t, key=k)) for t, k in marts.items()}
    verdict = DataMonitor(at.project).build(full_refresh=True)

    assert 0 == verdict.exit_code
    assert before == {t: at.rows(digest.format(table=t, key=k)) for t, k in marts.items()}


def test_the_five_queries_run_as_they_stand(at: Warehouse) -> None:
    """For a role of ours the documented queries work unqualified and return the right rows."""
    with connect(at.target) as admin:
        grant_roles(admin, {"rampart_monitor": "m-secret"})
    role = Target(**{**_fields(at.target), "user": "rampart_monitor", "password": "m-secret"})
    with connect(role) as connection:
        layers = dict(
            _fetch(
                connection,
                """
            SELECT layer, AVG(success_rate) FROM data_quality_metrics
            WHERE execution_timestamp >= NOW() - INTERVAL '1 day' GROUP BY layer""",
            )
        )
        failed = _fetch(
            connection,
            """
            SELECT layer, suite_name, failed_expectations, execution_timestamp
            FROM data_quality_metrics WHERE failed_expectations > 0""",
        )
        newest = _fetch(
            connection,
            """
            SELECT MAX(measurement_timestamp) FROM facts.fact_air_quality_measurements""",
        )
        extract = _fetch(
            connection,
            """
            SELECT MAX(_extracted_at), COUNT(*) FROM salesforce_raw.sf_user
            WHERE _extracted_at >= current_timestamp - interval '1 day'""",
        )
        several = _fetch(
            connection,
            """
            SELECT user_id, COUNT(*) FROM salesforce_curated.dim_sf_user_scd
            WHERE is_current = true AND is_deleted = false GROUP BY user_id HAVING COUNT(*) > 1""",
        )

    assert {"bronze", "silver", "gold"} == set(layers)
    assert 100 == layers["bronze"]
    assert 90 < layers["silver"] < 100
    assert ("silver", "clickstream", 1) in {row[:3] for row in failed}
    assert datetime.combine(YESTERDAY, datetime.min.time()).replace(hour=23) == newest[0][0]
    midnight = datetime.combine(YESTERDAY + timedelta(days=1), datetime.min.time(), timezone.utc)
    assert (midnight, True) == (extract[0][0], extract[0][1] > 100)
    assert [] == several


@pytest.mark.parametrize(
    "statement",
    [
        "delete from monitoring.data_quality_metrics",
        "update monitoring.data_quality_metrics set status = 'pass'",
        "insert into facts.fact_events default values",
        "drop table facts.fact_events",
        "create table facts.mine (a int)",
        "delete from monitoring.deliveries",
        "insert into clickstream_raw.events values (1, 1, '{}')",
        "create schema mine",
    ],
)
def test_the_monitor_cannot_write_outside_its_tables(at: Warehouse, statement: str) -> None:
    """A hostile session of the monitor's role is refused by the database itself."""
    with connect(at.target) as admin:
        grant_roles(admin, {role: f"{role}-secret" for role in ROLES})
    for user in ("rampart_monitor", "rampart_reader"):
        role = Target(**{**_fields(at.target), "user": user, "password": f"{user}-secret"})
        with connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


def test_each_role_can_do_its_work(at: Warehouse, use: Callable[[Target], None]) -> None:
    """The monitor's role alone is enough for a scan."""
    with connect(at.target) as admin:
        grant_roles(admin, {role: f"{role}-secret" for role in ROLES})
    use(Target(**{**_fields(at.target), "user": "rampart_monitor",
                  "password": "rampart_monitor-secret"}))  # fmt: skip
    verdict = DataMonitor(at.project).scan(["clickstream"])

    assert ["clickstream.quarantine_rate"] == [r.check_id for r in verdict.red]


@ONE_SERVER
def test_scan_exits_1_with_the_alert_line(at: Warehouse) -> None:
    """Red: exit 1, the alert line on stderr, five lines of help on stdout."""
    done = rampart(at, "scan", "--select", "clickstream")

    assert 1 == done.returncode
    assert 1 == sum(line.startswith("!! ALERT: ") for line in done.stderr.splitlines())
    assert "rate=0.0582 (max 0.05)" in done.stdout
    for word in ("since", "rows   2,908 of 49,966", "why", "do "):
        assert word in done.stdout


@ONE_SERVER
def test_scan_of_what_is_green_exits_0(at: Warehouse) -> None:
    """Nothing is said on stderr when nothing is wrong."""
    done = rampart(at, "--log-level", "warning", "scan", "--select", "salesforce")

    assert (0, "") == (done.returncode, done.stderr)


@ONE_SERVER
def test_json_is_for_machines(at: Warehouse) -> None:
    """--json gives one object with the verdicts and the exit code."""
    found = json.loads(rampart(at, "scan", "--json", "--select", "clickstream").stdout)

    assert 1 == found["exit_code"]
    assert {"clickstream.quarantine_rate"} == {
        each["check_id"] for each in found["results"] if each["status"] == "fail"
    }


@ONE_SERVER
def test_a_selection_without_a_match_exits_2(at: Warehouse) -> None:
    """A typo in --select must not look like a green scan."""
    done = rampart(at, "scan", "--select", "clickstraem")

    assert 2 == done.returncode
    assert 1 == len([line for line in done.stderr.splitlines() if line.startswith("rampart:")])


@ONE_SERVER
def test_a_scan_without_checks_is_red(at: Warehouse, tmp_path: Path) -> None:
    """Silence is a failure."""
    (tmp_path / "rampart.yml").write_text("scan: {checks: [none/*.yml]}\n")
    done = rampart(at, "--config", str(tmp_path), "scan")

    assert 1 == done.returncode
    assert "!! ALERT: MONITORING FAILURE !! - no check at all in none/*.yml" in done.stderr


@ONE_SERVER
def test_an_unreadable_checks_file_exits_2_with_file_and_line(
    at: Warehouse, tmp_path: Path
) -> None:
    """Broken YAML is named by file and line, and no check counts as green."""
    (tmp_path / "rampart.yml").write_text("scan: {checks: ['*.checks']}\n")
    (tmp_path / "a.checks").write_text("checks for facts.fact_events:\n\t- row_count > 0\n")
    done = rampart(at, "--config", str(tmp_path), "scan")

    assert 2 == done.returncode
    assert "a.checks:2: not valid YAML" in done.stderr


@pytest.mark.shows_password("`rampart env` is there to print it")
def test_plain_soda_scan_and_its_results(at: Warehouse) -> None:
    """`soda scan` runs the same files by itself, and its results can be taken in."""
    variables = dict(
        line.removeprefix("export ").split("=", 1)
        for line in rampart(at, "env").stdout.splitlines()
    )
    environment = {**os.environ, **{k: v.strip("'") for k, v in variables.items()}}
    checks = sorted(str(path) for path in (at.project / "monitors" / "checks").glob("*.yml"))
    results = at.project / "soda.json"
    done = subprocess.run(
        [str(Path(sys.executable).with_name("soda")), "scan", "-d", "rampart", "-c",
         str(ROOT / "ops" / "soda" / "configuration.yml"), "-srf", str(results), *checks],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    verdict = DataMonitor(at.project).scan(soda_results=results)

    assert 2 == done.returncode, done.stdout
    assert ["clickstream.quarantine_rate"] == [r.check_id for r in verdict.red]
    assert (2908, 49966) == (verdict.red[0].numerator, verdict.red[0].denominator)


@pytest.mark.shows_password("`rampart env` is there to print it")
def test_plain_dbt_build_works(at: Warehouse) -> None:
    """`dbt build` with the variables of `rampart env` needs nothing else."""
    variables = dict(
        line.removeprefix("export ").split("=", 1)
        for line in rampart(at, "env").stdout.splitlines()
    )
    done = subprocess.run(
        [str(Path(sys.executable).with_name("dbt")), "build", "--select", "fact_orders"],
        cwd=at.project,
        env={**os.environ, **{k: v.strip("'") for k, v in variables.items()}},
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stdout[-2000:]


@ONE_SERVER
def test_a_critical_check_stops_what_follows(at: Warehouse, tmp_path: Path) -> None:
    """Above 6 % the command of `run: then:` does not run; a red check below it stops nothing."""
    marker = tmp_path / "ran"
    config = (at.project / "rampart.yml").read_text()
    config = config.replace("then: []", f"then: ['touch {marker}']")
    (at.project / "then.yml").write_text(config)
    DataMonitor(at.project / "then.yml").run()
    assert marker.exists(), "5.8 % is red, not critical"

    marker.unlink()
    checks = at.project / "monitors" / "checks" / "clickstream.yml"
    text = checks.read_text()
    checks.write_text(text.replace("critical: 0.06", "critical: 0.055"))
    try:
        verdict = DataMonitor(at.project / "then.yml").run()
    finally:
        checks.write_text(text)

    assert not marker.exists()
    assert any("RUN STOPPED" in line for line in verdict.alerts)
    assert 1 == verdict.exit_code


def test_versions_of_the_dimension(mornings: Warehouse) -> None:
    """Absence deletes, a return re-inserts, a flag deletes, a partial extract deletes nobody."""
    versions = {
        user: mornings.rows(
            "select is_deleted, valid_from::date, valid_to::date from"
            f" salesforce_curated.dim_sf_user_scd where user_id = '{user}' order by valid_from"
        )
        for user in ("005A0000012440", "005A0000012580", "005A0000012860")
    }
    day = YESTERDAY + timedelta(days=1)

    def ago(number: int) -> date:
        return day - timedelta(days=number)

    assert (True, ago(6), None) == versions["005A0000012440"][-1], "gone for good"
    assert [(True, ago(5), ago(3)), (False, ago(3), None)] == versions["005A0000012580"][-2:]
    assert True is versions["005A0000012860"][-1][0], "flagged as deleted"


def test_the_runs_table_tells_what_ran(mornings: Warehouse) -> None:
    """Every run has an end, an exit code and the versions it ran with."""
    rows = mornings.rows(
        "select command, exit_code, versions ? 'dbt-core' from monitoring.runs"
        " where command = 'run' order by started_at limit 2"
    )

    assert [("run", 0, True), ("run", 1, True)] == rows


def _fields(target: Target) -> dict[str, object]:
    return {name: getattr(target, name) for name in Target.__slots__}


def _fetch(connection: Connection, sql: str) -> list[tuple[object, ...]]:
    return connection.execute(sql.encode()).fetchall()
