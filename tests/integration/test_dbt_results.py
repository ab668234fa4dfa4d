"""What dbt's artifacts say after real builds: red, killed, overwritten, by hand, of a selection.

One small foreign project. The tests tell a story: each begins where the one before left off.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from monitors import DataMonitor
from monitors.errors import UsageError
from monitors.results import CheckResult, Severity, Status
from monitors.verdict import Verdict
from monitors.warehouse.connection import connect
from monitors.warehouse.dbt import environment
from monitors.warehouse.target import Target
from tests.conftest import Server

FILES = {
    "dbt_project.yml": "name: tiny\nprofile: tiny\nmodels: {tiny: {+materialized: table}}\n",
    "rampart.yml": "environment: ci\nscan: {checks: [checks/*.yml]}\n",
    "checks/arrivals.yml": "checks for fresh:\n  - row_count > 0\n",
    "models/good.sql": "select 1 as id, 'x' as kind",
    "models/broken.sql": "select 1 / 0 as id",
    "models/child.sql": "select * from {{ ref('broken') }}",
    "models/slow.sql": "select cast(pg_sleep({{ env_var('TINY_SLEEP', '0') }}) as text) as id",
    "models/after_slow.sql": "select * from {{ ref('slow') }}",
    "models/tiny.yml": """
groups: [{name: finance, owner: {name: Finance}}]
models:
  - name: good
    config: {group: finance}
    columns:
      - name: id
        data_tests: [unique, {not_null: {config: {meta: {severity: critical}}}}]
      - name: kind
        data_tests:
          - accepted_values: {arguments: {values: [y]}, config: {store_failures: true}}
          - not_null: {config: {severity: warn}}
          - unique: {name: at_most_nine, config: {error_if: '>9'}}
  - name: child
    columns: [{name: id, data_tests: [not_null]}]
  - name: after_slow
    columns: [{name: id, data_tests: [not_null]}]
sources:
  - name: landing
    schema: public
    config:
      loaded_at_field: at
      freshness: {warn_after: {count: 1, period: hour}, error_after: {count: 2, period: hour}}
    tables: [{name: fresh}, {name: late}, {name: empty}, {name: gone}]
exposures:
  - name: board
    type: dashboard
    owner: {name: Ann}
    depends_on: [ref('child')]
""",
}
ASLEEP = (
    "from pg_stat_activity where query like '%pg_sleep(60)%' and pid <> pg_backend_pid()"
    " and datname = current_database()"
)
ACCEPTED = "dbt.good.kind.accepted_values"


@dataclass(frozen=True)
class Tiny:
    """The project, and the commands a person gives in it."""

    project: Path
    target: Target

    def dbt(self, *arguments: str) -> int:
        command = [sys.executable, "-m", "dbt.cli.main", *arguments]
        env = {**os.environ, **environment(self.target, self.project)}
        return subprocess.run(command, cwd=self.project, env=env, capture_output=True).returncode

    def build(self, *select: str) -> Verdict:
        return DataMonitor(self.project).build(select)

    def scan(self, *select: str, dbt_target: Path | None = None) -> dict[str, CheckResult]:
        found = DataMonitor(self.project).scan(select, dbt_target=dbt_target).results
        return {each.check_id: each for each in found}

    def run(self, *statements: str) -> None:
        with connect(self.target) as connection:
            for statement in statements:
                connection.execute(statement.encode())
            connection.commit()

    def wait_until_asleep(self) -> None:
        """Until a build has got to its slow model."""
        deadline = time.monotonic() + 60
        with connect(self.target) as connection:
            while not connection.execute(f"select {ASLEEP}".encode()).fetchall():
                assert time.monotonic() < deadline, "the build did not get to its slow model"
                time.sleep(0.1)
                connection.rollback()

    def wake_up(self) -> None:
        """What a killed build left at work in the database ends, too."""
        self.run(f"select pg_terminate_backend(pid) {ASLEEP}")
        time.sleep(0.2)

    def write(self, name: str, text: str) -> None:
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture(scope="module")
def red_build(embedded_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Before anything was built; the first test builds."""
    tiny = Tiny(tmp_path_factory.mktemp("tiny"), embedded_server.new_database())
    for name, text in FILES.items():
        tiny.write(name, text)
    tiny.run(
        "create table fresh as select now() as at",
        "create table late as select now() - interval '5 hours' as at",
        "create table empty (at timestamptz)",
    )
    return tiny


@pytest.fixture
def tiny(red_build: Tiny, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tiny]:
    for name, value in red_build.target.environment().items():
        monkeypatch.setenv(name, value)
    return red_build


def statuses(results: dict[str, CheckResult]) -> dict[str, str]:
    return {
        check_id: each.status.value
        for check_id, each in sorted(results.items())
        if check_id.startswith("dbt.")
    }


RED = {
    "dbt.after_slow.id.not_null": "pass",
    "dbt.child.id.not_null": "missing",
    "dbt.good.id.not_null": "pass",
    "dbt.good.id.unique": "pass",
    ACCEPTED: "fail",
    "dbt.good.kind.not_null": "pass",
    "dbt.good.kind.unique": "pass",
    "dbt.model.after_slow": "pass",
    "dbt.model.broken": "error",
    "dbt.model.child": "missing",
    "dbt.model.good": "pass",
    "dbt.model.slow": "pass",
}


GREEN = {**dict.fromkeys(RED, "pass"), ACCEPTED: "fail"}
"""When the broken model is mended."""


def test_before_any_build_there_are_no_dbt_checks(tiny: Tiny) -> None:
    assert {} == statuses(tiny.scan())


def test_a_red_build_says_of_each_node_what_became_of_it(tiny: Tiny) -> None:
    """Failed and skipped ones once, where the fault is, with owner, severity and lineage."""
    verdict = tiny.build()
    found = tiny.scan()

    assert 1 == verdict.exit_code
    assert 2 == len(verdict.alerts), verdict.alerts
    assert RED == statuses(found)
    assert {"dbt.model.broken", ACCEPTED} == {k for k, each in found.items() if each.is_red}
    blocked = {each.blocked_by for each in found.values() if each.status is Status.MISSING}
    assert {"model.tiny.broken"} == blocked
    failing = found[ACCEPTED]
    assert (1, 0, "failures=1 (max 0)") == (
        failing.metric_value, failing.expected_max, failing.message,
    )  # fmt: skip
    assert "Finance" == failing.attributes["owner"]
    relation = failing.attributes["failures_relation"]
    with connect(tiny.target) as connection:
        rows = connection.execute(f"select * from {relation}".encode()).fetchall()
    assert [("x", 1)] == rows
    assert [{"name": "board", "owner": "Ann", "kind": "dashboard"}] == (
        found["dbt.model.broken"].attributes["exposures"]
    )
    assert "Ann" == found["dbt.child.id.not_null"].attributes["owner"]
    assert Severity.CRITICAL is found["dbt.good.id.not_null"].severity
    assert Severity.LOW is found["dbt.good.kind.not_null"].severity
    assert 9 == found["dbt.good.kind.unique"].expected_max


def test_docs_and_other_commands_do_not_hide_the_build(tiny: Tiny) -> None:
    """`dbt docs generate` writes run_results.json anew, with success for everything."""
    assert 0 == tiny.dbt("docs", "generate")

    assert RED == statuses(tiny.scan("dbt"))


def test_source_freshness_is_heard_with_late_empty_and_absent_tables(tiny: Tiny) -> None:
    """dbt leaves out the table that it could not query: it is missing, not forgotten."""
    assert 1 == tiny.dbt("source", "freshness")
    found = tiny.scan("dbt")

    fresh = {k: each.status.value for k, each in found.items() if k.endswith(".freshness")}
    assert fresh == {
        "dbt.source.landing.empty.freshness": "missing",
        "dbt.source.landing.fresh.freshness": "pass",
        "dbt.source.landing.gone.freshness": "missing",
        "dbt.source.landing.late.freshness": "fail",
    }
    late = found["dbt.source.landing.late.freshness"]
    assert "age 5.0 h (warns after 1.0 h, late after 2.0 h)" == late.message
    (tiny.project / "target" / "sources.json").unlink()


def test_a_killed_build_leaves_nothing_that_passes(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 in the middle: yesterday's results are there, and none of them is repeated."""
    manifest = tiny.project / "target" / "manifest.json"
    before = manifest.stat().st_mtime_ns
    monkeypatch.setenv("TINY_SLEEP", "60")
    building = subprocess.Popen(
        [sys.executable, "-m", "monitors.cli", "build"],
        cwd=tiny.project, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    tiny.wait_until_asleep()
    assert before != manifest.stat().st_mtime_ns
    while_it_runs = statuses(tiny.scan("dbt"))
    os.killpg(building.pid, signal.SIGKILL)
    building.wait()
    tiny.wake_up()
    found = tiny.scan("dbt")

    assert RED == while_it_runs, "a build that runs is not one that was killed"
    assert dict.fromkeys(RED, "missing") == statuses(found)
    assert all(each.is_red for each in found.values())
    message = found[ACCEPTED].message
    assert "left no results" in message
    assert "the results before it are of 20" in message
    assert "passed" not in message


def test_a_build_by_hand_counts_when_it_is_newer(tiny: Tiny) -> None:
    """Rampart did not start it and need not have."""
    tiny.write("models/broken.sql", "select 1 as id")
    assert 1 == tiny.dbt("build")

    assert GREEN == statuses(tiny.scan("dbt"))


def test_a_build_by_hand_that_is_killed_repeats_nothing_either(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rampart did not start it; while it runs, what was before it stands."""
    graph = tiny.project / "target" / "graph_summary.json"
    began = graph.stat().st_mtime_ns
    monkeypatch.setenv("TINY_SLEEP", "60")
    building = subprocess.Popen(
        [sys.executable, "-m", "dbt.cli.main", "build"], cwd=tiny.project,
        env={**os.environ, **environment(tiny.target, tiny.project)},
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    tiny.wait_until_asleep()
    while_it_runs = statuses(tiny.scan("dbt"))
    building.kill()
    building.wait()
    tiny.wake_up()
    after = tiny.scan("dbt")

    assert began != graph.stat().st_mtime_ns
    assert GREEN == while_it_runs
    assert dict.fromkeys(RED, "missing") == statuses(after)
    assert "a `dbt build` that began 20" in after[ACCEPTED].message
    monkeypatch.delenv("TINY_SLEEP")
    assert 1 == tiny.dbt("build")


def test_an_interrupted_build_answers_for_what_it_did_not_reach(tiny: Tiny) -> None:
    """As dbt leaves it after Ctrl-C: whole files, and some of the nodes in them."""
    path = tiny.project / "target" / "run_results.json"
    whole = path.read_text()
    results = json.loads(whole)
    reached = [each for each in results["results"] if "slow" not in each["unique_id"]]
    path.write_text(json.dumps({**results, "results": reached}))
    found = tiny.scan("dbt")
    path.write_text(whole)

    slow = {"dbt.after_slow.id.not_null", "dbt.model.after_slow", "dbt.model.slow"}
    assert {*slow, ACCEPTED} == {check_id for check_id, each in found.items() if each.is_red}
    assert {"missing"} == {found[check_id].status.value for check_id in slow}


def test_a_part_of_the_project_answers_for_itself_only(tiny: Tiny) -> None:
    """What an earlier build said of other nodes is not repeated."""
    tiny.build("slow+")

    assert statuses(tiny.scan("dbt")) == {
        "dbt.after_slow.id.not_null": "pass",
        "dbt.model.after_slow": "pass",
        "dbt.model.slow": "pass",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ('{"metadata": {', "is no whole JSON document"),
        ("[]", "found no artifact of dbt, allowed is run-results/v6"),
    ],
)
def test_a_torn_file_is_one_error_and_the_other_checks_report(
    tiny: Tiny, text: str, said: str
) -> None:
    path = tiny.project / "target" / "run_results.json"
    whole = path.read_text()
    path.write_text(text)
    found = tiny.scan()
    path.write_text(whole)

    assert {"dbt.artifacts": "error"} == statuses(found)
    assert str(path) in found["dbt.artifacts"].message
    assert said in found["dbt.artifacts"].message
    assert Status.PASS is found["fresh.row_count"].status


def test_another_folder_can_be_named(tiny: Tiny, tmp_path: Path) -> None:
    """Artifacts that were brought here; those of another project are refused, as is none at all."""
    with pytest.raises(UsageError, match=r"none of run_results\.json, manifest\.json"):
        tiny.scan("dbt", dbt_target=tmp_path)
    for name in ("run_results.json", "manifest.json"):
        shutil.copy(tiny.project / "target" / name, tmp_path / name)
    assert 3 == len(tiny.scan("dbt", dbt_target=tmp_path))

    text = (tmp_path / "manifest.json").read_text()
    (tmp_path / "manifest.json").write_text(text.replace('"tiny"', '"other"'))
    refused = tiny.scan("dbt", dbt_target=tmp_path)["dbt.artifacts"].message
    assert "found the dbt project `other`, allowed is `tiny`" in refused
