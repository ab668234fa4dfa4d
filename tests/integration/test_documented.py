"""Tests as documentation: contracts, unit tests, descriptions and source freshness, by real dbt.

One small warehouse is built for the module. What a new model lacks is said model by model.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from monitors import DataMonitor
from monitors.arrival.sample import write_sample
from monitors.config import load_config
from monitors.results import Status
from monitors.warehouse.connection import connect
from monitors.warehouse.dbt import environment
from monitors.warehouse.packages import install_packages
from monitors.warehouse.target import Target
from tests.acceptance.test_online_retail import copy_example
from tests.conftest import ROOT, Server, copy_project
from tests.integration.test_pipeline import YESTERDAY

MARTS = sorted(path.stem for path in (ROOT / "models" / "marts").rglob("*.sql"))
DBT = "from dbt.cli.main import cli; cli()"


@dataclass
class Built:
    """A project, the warehouse that it built, and the documentation that dbt made of both."""

    project: Path
    target: Target
    name: str = "rampart"
    build: dict[str, Any] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    catalog: dict[str, Any] = field(default_factory=dict)

    def dbt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", DBT, "--no-use-colors", *arguments],
            cwd=self.project,
            env={**os.environ, **environment(self.target, self.project)},
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip

    def read(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.project / "target" / name).read_text())
        return found

    def nodes(self, resource_type: str) -> list[dict[str, Any]]:
        every = [*self.manifest["nodes"].values(), *self.manifest["sources"].values()]
        return [
            node
            for node in every
            if node["resource_type"] == resource_type and node["package_name"] == self.name
        ]

    def columns_of(self, node: dict[str, Any]) -> list[str]:
        """As the database has them, in order."""
        kind = "sources" if node["resource_type"] == "source" else "nodes"
        columns = self.catalog[kind][node["unique_id"]]["columns"]
        return sorted(columns, key=lambda name: columns[name]["index"])


@pytest.fixture(scope="module")
def built(embedded_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Two small days, loaded, built and documented."""
    project = copy_project(tmp_path_factory.mktemp("documented") / "project")
    write_sample(project / "landing", last_day=YESTERDAY, days=2, scale=0.02)
    return documented_by(Built(project, embedded_server.new_database()))


@pytest.fixture(scope="module")
def example(embedded_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The example on foreign data, without the data: empty tables have columns too."""
    project = copy_example(tmp_path_factory.mktemp("example"))
    install_packages(project, offline=True)
    return documented_by(Built(project, embedded_server.new_database(), "online_retail"))


@pytest.fixture(params=["built", "example"])
def documented(request: pytest.FixtureRequest) -> Built:
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


def documented_by(found: Built) -> Built:
    """Load, build, `dbt docs generate`."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in found.target.environment().items():
            patch.setenv(name, value)
        patch.setenv("DBT_PROFILES_DIR", str(found.project / "no-profiles"))
        DataMonitor(found.project).load()
        assert 0 == DataMonitor(found.project).build().exit_code
        found.build = found.read("run_results.json")
        done = found.dbt("docs", "generate", "--static")
    assert 0 == done.returncode, done.stdout
    found.manifest, found.catalog = found.read("manifest.json"), found.read("catalog.json")
    return found


# ------------------------------------------------------------------------ documentation


def test_docs_are_made_without_a_network(documented: Built) -> None:
    """One file with everything in it, no error, every model in the catalog."""
    page = documented.project / "target" / "static_index.html"

    assert page.stat().st_size > 1_000_000
    assert not documented.catalog["errors"]
    assert not {node["unique_id"] for node in documented.nodes("model")} - set(
        documented.catalog["nodes"]
    )


def test_each_model_says_its_grain_and_each_column(documented: Built) -> None:
    """What lacks is named model by model: grain, columns, columns that do not exist."""
    assert [] == [
        f"{node['name']}: {said}"
        for node in documented.nodes("model")
        for said in lacks(documented, node)
    ]


def test_each_source_says_its_grain_and_each_column(documented: Built) -> None:
    """Of raw, the columns that rampart.yml names and ours; others may come by themselves."""
    feeds = load_config(documented.project).feeds.values()
    named = {feed.table: set(feed.columns) for feed in feeds}
    found = []
    for node in documented.nodes("source"):
        table = f"{node['schema']}.{node['name']}"
        drifted = {
            column
            for column in documented.columns_of(node)
            if table in named and column not in named[table] and column[0] != "_"
        }
        found += [f"{table}: {said}" for said in lacks(documented, node, drifted - {"payload"})]

    assert [] == found


def lacks(documented: Built, node: dict[str, Any], optional: Collection[str] = ()) -> list[str]:
    """What a person who reads the documentation of a model or source would miss."""
    said = {name for name, column in node["columns"].items() if column["description"].strip()}
    have = documented.columns_of(node)
    found = []
    if not node["description"].startswith("One row per "):
        found.append("the description does not begin with the grain, `One row per ...`")
    if unsaid := [name for name in have if name not in said and name not in optional]:
        found.append(f"columns without a description: {', '.join(unsaid)}")
    if ghosts := [name for name in node["columns"] if name not in have]:
        found.append(f"described columns that do not exist: {', '.join(ghosts)}")
    return found


def test_each_macro_and_its_arguments_are_described(documented: Built) -> None:
    """Also generic tests; the arguments are those of the code, in its order."""
    found = []
    for macro in documented.manifest["macros"].values():
        name, code = macro["name"], macro["macro_sql"]
        if macro["package_name"] != documented.name or "__" in name:
            continue
        if name.startswith("materialization_"):  # dbt gives it a name that nobody writes
            continue
        listed = re.match(r"\s*{%-?\s*(?:macro|test)\s+\w+\((.*?)\)\s*-?%}", code, re.DOTALL)
        written = re.findall(r"(?:^|,)\s*(\w+)\s*(?=[=,]|$)", listed[1].strip() if listed else "")
        described = [each["name"] for each in macro["arguments"] if each["description"]]
        if not macro["description"]:
            found.append(f"{name}: no description")
        if written != described:
            found.append(f"{name}: has the arguments {written}, described are {described}")

    assert [] == found


def test_exposures_say_who_reads_what(built: Built) -> None:
    """Each has an owner, words and a maturity; no mart is read by nobody."""
    exposures = list(built.manifest["exposures"].values())
    for each in exposures:
        assert each["description"], each["name"]
        assert each["maturity"], each["name"]
        assert each["owner"]["name"], each["name"]
        assert each["depends_on"]["nodes"], each["name"]
    read = {node.split(".")[-1] for each in exposures for node in each["depends_on"]["nodes"]}

    assert set() == set(MARTS) - read, "marts that no exposure names, in models/_exposures.yml"


def test_the_scan_depends_on_what_its_checks_read(built: Built) -> None:
    """The exposure `scan` names exactly the models in the queries of monitors/checks/."""
    relations = {f"{n['schema']}.{n['alias']}": n["name"] for n in built.nodes("model")}
    read: set[str] = set()
    for path in (ROOT / "monitors" / "checks").rglob("*.yml"):
        for header, checks in yaml.safe_load(path.read_text()).items():
            read.add(re.sub(r"^(checks for|filter) | \[.*\]$", "", header))
            for check in checks if isinstance(checks, list) else ():
                for body in check.values() if isinstance(check, dict) else ():
                    queries = [text for key, text in body.items() if key.endswith("query")]
                    carried = body.get("attributes", {})
                    queries += [str(carried.get(name, "")) for name in ("counts", "evidence")]
                    read |= set(re.findall(r"(?:from|join)\s+(\w+\.\w+)", " ".join(queries)))
    exposure = built.manifest["exposures"]["exposure.rampart.scan"]

    assert sorted({relations[name] for name in read if name in relations}) == sorted(
        node.split(".")[-1] for node in exposure["depends_on"]["nodes"]
    )


# ------------------------------------------------------------------------ contracts


def test_each_mart_has_an_enforced_contract(built: Built) -> None:
    """Every column with its type; the key and what rules demand cannot be null."""
    found = []
    for node in built.nodes("model"):
        if "marts" not in node["fqn"]:
            continue
        types = [name for name, column in node["columns"].items() if not column.get("data_type")]
        required = [c["name"] for c in node["columns"].values() if c.get("constraints")]
        if not node["contract"]["enforced"]:
            found.append(f"{node['name']}: no enforced contract")
        if types:
            found.append(f"{node['name']}: columns without data_type: {', '.join(types)}")
        if not required:
            found.append(f"{node['name']}: not one column that cannot be null")
        if list(node["columns"]) != built.columns_of(node):
            found.append(f"{node['name']}: the contract lists its columns in another order")

    assert [] == found


def test_the_database_holds_the_contract(built: Built) -> None:
    """A null in a required column is refused by Postgres itself, whoever writes it."""
    with connect(built.target) as connection, pytest.raises(psycopg.errors.NotNullViolation):
        connection.execute("update facts.fact_events set client_id = null")


def test_a_changed_model_is_held_against_its_contract(built: Built) -> None:
    """Another type than promised stops the model, and dbt names column and types. A column that is
    new in both asks for a full refresh, since old rows would lack it."""
    marts = built.project / "models" / "marts"
    one = "      - {name: session_id, data_type: text, description: The visit that bought.}\n"
    edits = {
        marts / "air_quality/_air_quality__marts.yml": ("numeric(18,4)", "integer"),
        marts / "clickstream/_clickstream__marts.yml": (
            one,
            one + one.replace("session_id", "visit"),
        ),
        marts / "clickstream/fact_orders.sql": (
            "purchases.session_id,",
            "purchases.session_id,\n        purchases.session_id as visit,",
        ),
    }
    before = {path: path.read_text() for path in edits}
    try:
        for path, (old, new) in edits.items():
            assert old in before[path]
            path.write_text(before[path].replace(old, new))
        done = built.dbt("run", "--select", "fact_air_quality_measurements", "fact_orders")
    finally:
        for path, text in before.items():
            path.write_text(text)

    mismatch = r"measured_value\s*\|\s*DECIMAL\s*\|\s*INTEGER\s*\|\s*data type mismatch"
    assert 1 == done.returncode
    assert re.search(mismatch, done.stdout), done.stdout
    assert re.search(r"columns not in target: \[\w*Column\(column='visit'", done.stdout), (
        done.stdout
    )
    assert "full_refresh" in done.stdout


# ------------------------------------------------------------------------ unit tests


def test_all_unit_tests_hold(documented: Built) -> None:
    """`rampart build` leaves them out, so they run here."""
    kinds = {each["unique_id"].split(".")[0] for each in documented.build["results"]}
    done = documented.dbt("test", "--select", "test_type:unit")
    results = documented.read("run_results.json")["results"]

    assert "unit_test" not in kinds
    assert ([], 0) == ([r["unique_id"] for r in results if r["status"] != "pass"], done.returncode)
    assert len(results) > (25 if documented.name == "rampart" else 1)


# ------------------------------------------------------------------------ freshness


def test_source_freshness_counts_open_hours(built: Built) -> None:
    """Ten days old is stale by the wall, fresh when all of them were closed; empty is neither."""
    closed = "array(select (current_date - day) from generate_series(-1, 12) as day)"
    with connect(built.target) as connection:
        for statement in (
            "update monitoring.feeds set calendar = null, closed_weekdays = '{}', holidays = '{}'",
            f"update monitoring.feeds set holidays = {closed} where feed = 'clickstream'",
            "update monitoring.deliveries set loaded_at = loaded_at - interval '10 days',"
            " extracted_at = extracted_at - interval '10 days'",
            "update monitoring.deliveries set feed = 'other' where feed = 'air_quality'",
        ):
            connection.execute(statement.encode())
        connection.commit()
    done = built.dbt("source", "freshness")
    found = {
        each["unique_id"].split(".")[-1]: (
            each["status"],
            each["max_loaded_at_time_ago_in_s"] // 86400,
        )
        for each in built.read("sources.json")["results"]
    }

    assert 0 == done.returncode, done.stdout
    assert ("pass", 0) == found["events"], "every day since was closed"
    assert ("warn", 10) == found["sf_user"], "every hour counts"
    assert ("pass", 0) == found["station_hours"], "nothing has ever arrived"


def test_an_empty_table_is_empty_and_its_check_missing(
    built: Built, use: Callable[[Target], None]
) -> None:
    """Neither late nor an error: the state is `empty`, the verdict `missing`."""
    use(built.target)
    with connect(built.target) as connection:
        connection.execute("delete from facts.fact_orders")
        connection.execute("delete from facts.fact_events")
        state = connection.execute(
            "select state, hours_behind from monitoring.freshness where feed = 'clickstream'"
        ).fetchall()
        connection.commit()
    verdict = DataMonitor(built.project).scan(["clickstream.freshness"])

    assert [("empty", None)] == state
    assert [(Status.MISSING, "hours has no value: nothing to measure yet")] == [
        (each.status, each.message) for each in verdict.results
    ]
