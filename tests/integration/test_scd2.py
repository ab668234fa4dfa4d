"""The macro scd2 against a slow, obvious reference: any order, any batching, the same versions."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from monitors.store.migrate import migrate
from monitors.warehouse.connection import Connection, connect
from monitors.warehouse.packages import install_packages
from monitors.warehouse.target import Target
from tests.conftest import ROOT, Server

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
KEYS = [f"k{number}" for number in range(12)]
MODEL = """
{{ config(
    materialized='incremental', incremental_strategy='{strategy}', unique_key='code',
    pre_hook=[
        "{{ rampart.take_turns('dim_things') }}",
        "{{ rampart.scd2_take_extracts('things', ref('judged')) }}",
    ],
    post_hook="{{ rampart.index_on(['code'], unique=true, where='is_current', name='current') }}",
) }}
with
{{ rampart.scd2(entity='thing', rows=ref('judged'), natural_key='code', tracked=['colour'],
                untracked=['note'], deleted_flag='flag') }}
select * from thing_versions
"""
STRATEGY = """
{% macro get_incremental_scd2_sql(arguments) %}
    {{ return(rampart.get_incremental_scd2_sql(arguments)) }}
{% endmacro %}
"""


@dataclass(frozen=True)
class Row:
    """What one line of an extract says."""

    key: str
    colour: str | None
    note: str | None
    deleted: bool
    accepted: bool


@dataclass(frozen=True)
class Extract:
    moment: int
    kind: str
    rows: tuple[Row, ...] = field(default=())


rows = st.builds(
    Row,
    key=st.sampled_from(KEYS),
    colour=st.sampled_from(["red", "blue", None]),
    note=st.sampled_from(["a", "b"]),
    deleted=st.sampled_from([False, False, False, True]),
    accepted=st.sampled_from([True, True, True, False]),
)
extracts = st.builds(
    Extract,
    moment=st.integers(0, 6),
    kind=st.sampled_from(["full", "full", "partial"]),
    rows=st.lists(rows, max_size=18).map(tuple),
)
worlds = st.lists(extracts, min_size=1, max_size=9)


def reference(delivered: list[Extract]) -> set[tuple[Any, ...]]:
    """Version by version, key by key, as a person would do it on paper."""
    # sorted() is stable: of equal moments the one that was delivered first comes first
    ordered = sorted(delivered, key=lambda extract: extract.moment)
    found = set()
    for key in KEYS:
        timeline: list[tuple[int, tuple[str | None, str | None, bool]]] = []
        for extract in ordered:
            mine = [row for row in extract.rows if row.key == key]
            said = [row for row in mine if row.accepted]
            if said:
                timeline.append(
                    (extract.moment, (said[-1].colour, said[-1].note, said[-1].deleted))
                )
            elif not mine and extract.kind == "full" and timeline:
                colour, note, _deleted = timeline[-1][1]
                timeline.append((extract.moment, (colour, note, True)))
        last_of_moment = [
            list(group)[-1] for _, group in groupby(timeline, key=lambda each: each[0])
        ]
        versions: list[list[Any]] = []
        for moment, (colour, note, deleted) in last_of_moment:
            if versions and (versions[-1][1], versions[-1][3]) == (colour, deleted):
                versions[-1][2] = note
            else:
                versions.append([moment, colour, note, deleted])
        ends = [*(version[0] for version in versions[1:]), None]
        for (moment, colour, note, deleted), end in zip(versions, ends, strict=False):
            found.add((key, colour, note, moment, end, end is None, deleted))
    return found


class World:
    """A small dbt project on Rampart as a package, with its raw rows written by hand."""

    def __init__(self, folder: Path, target: Target, strategy: str = "scd2") -> None:
        from dbt.cli.main import dbtRunner

        self.target = target
        self.folder = folder
        (folder / "models").mkdir(parents=True)
        (folder / "macros").mkdir()
        (folder / "macros" / "strategy.sql").write_text(STRATEGY)
        (folder / "dbt_project.yml").write_text(
            yaml.safe_dump(
                {
                    "name": "things",
                    "profile": "things",
                    "version": "1.0.0",
                    "flags": {"send_anonymous_usage_stats": False},
                }
            )
        )
        (folder / "packages.yml").write_text(
            yaml.safe_dump({"packages": [{"local": str(ROOT / "package")}]})
        )
        profile = {"type": "postgres", "host": target.host, "port": target.port, "threads": 1,
                   "user": target.user, "password": target.password, "dbname": target.dbname,
                   "schema": "things"}  # fmt: skip
        (folder / "profiles.yml").write_text(
            yaml.safe_dump({"things": {"target": "ci", "outputs": {"ci": profile}}})
        )
        (folder / "models" / "judged.sql").write_text("select * from things.arrived")
        (folder / "models" / "dim_things.sql").write_text(MODEL.replace("{strategy}", strategy))
        (folder / "models" / "faults.sql").write_text(
            "select code, fault, repair from ({{ rampart.scd2_faults_of(ref('dim_things'), 'code',"
            " tracked=['colour']) }}) as found"
        )
        install_packages(folder, offline=True)
        self.options = ["--project-dir", str(folder), "--profiles-dir", str(folder), "--quiet"]
        parsed = dbtRunner().invoke(["parse", *self.options])
        self.runner = dbtRunner(manifest=parsed.result)
        with connect(target) as connection:
            migrate(connection)
            connection.execute("create schema if not exists things")
            connection.execute(
                "create table things.arrived (_delivery_id bigint, _source_row bigint, code text,"
                " colour text, note text, flag boolean, rejected_by text)"
            )
            connection.execute(
                "insert into monitoring.runs (run_id, command, environment) values ('r', 't', 'ci')"
            )

    def empty(self) -> None:
        with connect(self.target) as connection:
            connection.execute(
                "truncate things.arrived, monitoring.scd2_extracts, monitoring.deliveries cascade"
            )
            connection.execute("drop table if exists things.dim_things cascade")

    def deliver(self, batch: list[tuple[int, Extract]]) -> None:
        """Write extracts as if loaded, in the order given; the number is their place in it."""
        with connect(self.target) as connection:
            for number, extract in batch:
                delivery_id = _add_delivery(connection, number, extract)
                for source_row, row in enumerate(extract.rows, start=1):
                    connection.execute(
                        "insert into things.arrived values (%s, %s, %s, %s, %s, %s, %s)",
                        (delivery_id, source_row, row.key, row.colour, row.note, row.deleted,
                         None if row.accepted else "some_rule"),
                    )  # fmt: skip

    def build(self, *options: str) -> None:
        done = self.runner.invoke(["run", *self.options, *(options or ["--select", "+dim_things"])])
        assert done.success, [result.message for result in done.result]

    def start_build(self, name: str) -> subprocess.Popen[str]:
        """A build of the dimension in a process of its own, with a target folder of its own.

        Only of the dimension: two builds of one view at once are more than dbt itself can do.
        """
        folder = str(self.folder / name)
        command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "run",
                   "--target-path", folder, "--log-path", folder, *self.options]  # fmt: skip
        return subprocess.Popen(
            [*command, "--select", "dim_things"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip

    def versions(self) -> set[tuple[Any, ...]]:
        with connect(self.target) as connection:
            found = connection.execute(
                "select code, colour, note, valid_from, valid_to, is_current, is_deleted"
                " from things.dim_things"
            ).fetchall()
        return {(*row[:3], _day(row[3]), _day(row[4]), *row[5:]) for row in found}


def _add_delivery(connection: Connection, number: int, extract: Extract) -> int:
    # counted high, full extracts make partial ones seem small, and small ones are looked up
    rows = len(extract.rows) * (1000 if extract.kind == "full" else 1)
    row = connection.execute(
        "insert into monitoring.deliveries (feed, name, sha256, sequence, extracted_at,"
        " extracted_at_from, kind, records, rows, dead_letters, bytes, run_id, admission,"
        " admitted_by) values ('things', %s, 'x', %s, %s, 'name', %s, %s, %s, 0, 0, 'r',"
        " 'admitted', 'rampart') returning delivery_id",
        (f"e{number}", number, START + timedelta(days=extract.moment), extract.kind,
         rows, rows),
    ).fetchone()  # fmt: skip
    return int(row[0]) if row else 0


def _day(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - START).days


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, embedded_server: Server) -> World:
    os.environ["DBT_SEND_ANONYMOUS_USAGE_STATS"] = "False"
    return World(tmp_path_factory.mktemp("things") / "project", embedded_server.new_database())


@pytest.fixture(scope="module")
def plain_world(tmp_path_factory: pytest.TempPathFactory, debian_server: Server) -> World:
    """The same on Postgres 15, with a strategy that dbt brings: for who does without ours."""
    folder = tmp_path_factory.mktemp("things") / "project"
    return World(folder, debian_server.new_database(), strategy="delete+insert")


def property_of(examples: int) -> Any:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def check(world: World, delivered: list[Extract], shuffle: random.Random) -> None:
    """Batch by batch and all at once, both equal the reference."""
    expected = reference(delivered)
    numbered = list(enumerate(delivered, start=1))
    world.empty()
    rest = numbered
    while rest:
        size = shuffle.randint(1, max(1, len(rest)))
        world.deliver(rest[:size])
        world.build()
        rest = rest[size:]

    assert expected == world.versions()
    world.build()
    assert expected == world.versions(), "nothing new changes nothing"
    world.build("--full-refresh", "--select", "+dim_things")
    assert expected == world.versions(), "a full refresh gives the same rows"


@property_of(12)
@given(delivered=worlds, seed=st.integers(0, 1000))
def test_versions_equal_the_reference(world: World, delivered: list[Extract], seed: int) -> None:
    """Whatever arrives in whatever batches, the versions are those of the reference."""
    check(world, delivered, random.Random(seed))


@property_of(3)
@given(delivered=worlds, seed=st.integers(0, 1000))
def test_dbts_own_strategy_on_postgres_15_gives_the_same_versions(
    plain_world: World, delivered: list[Extract], seed: int
) -> None:
    """delete+insert rewrites more, Postgres 15 joins in another way; the rows are the same."""
    check(plain_world, delivered, random.Random(seed))


def build_twice_at_once(world: World, rounds: int) -> None:
    """Each round brings an extract that changes every key, and two builds that race for it."""
    world.empty()
    delivered: list[Extract] = []
    for number in range(rounds + 1):
        said = tuple(Row(key, f"colour {number}", "a", False, True) for key in KEYS)
        delivered.append(Extract(number, "full", said))
        world.deliver([(number + 1, delivered[-1])])
        if number == 0:
            world.build()
            continue
        builds = [world.start_build(f"build{each}") for each in (1, 2)]
        ends = [(build.communicate()[0], build.returncode) for build in builds]

        assert [0, 0] == [code for _output, code in ends], ends
        assert reference(delivered) == world.versions()


@pytest.mark.timeout(300)
def test_two_builds_at_once_leave_one_current_version(world: World) -> None:
    """The second waits for the first, then finds nothing new."""
    build_twice_at_once(world, rounds=2)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_builds_at_once_ten_times(world: World) -> None:
    """The same ten times: a race shows itself seldom."""
    build_twice_at_once(world, rounds=10)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@property_of(150)
@given(delivered=worlds, seed=st.integers(0, 1000))
def test_versions_equal_the_reference_at_length(
    world: World, delivered: list[Extract], seed: int
) -> None:
    """The same with many more examples."""
    check(world, delivered, random.Random(seed))


def test_cases_that_registers_really_have(world: World) -> None:
    """Late and empty extracts, two of one moment, a rejected row that is present."""

    def row(key: str, colour: str = "red", accepted: bool = True, note: str = "a") -> Row:
        return Row(key, colour, note, False, accepted)

    cases = {
        "a late extract moves a version": [
            Extract(0, "full", (row("k0"), row("k1"))),
            Extract(4, "full", (row("k0", "blue"), row("k1"))),
            Extract(2, "full", (row("k0", "blue"),)),
        ],
        "an empty full extract deletes all, the next one brings them back": [
            Extract(0, "full", (row("k0"), row("k1"))),
            Extract(1, "full", ()),
            Extract(2, "full", (row("k0"), row("k1"))),
        ],
        "of two extracts with one moment the last delivered one counts": [
            Extract(0, "full", (row("k0"),)),
            Extract(1, "full", (row("k0", "blue"),)),
            Extract(1, "full", (row("k0"),)),
        ],
        "a rejected row is not a deletion": [
            Extract(0, "full", (row("k0"),)),
            Extract(1, "full", (row("k0", "blue", accepted=False),)),
        ],
        "of two rows of one key the last one counts": [
            Extract(0, "full", (row("k0"), row("k0", "blue"))),
            Extract(1, "full", (row("k0", "blue"), row("k0"))),
        ],
        "an untracked change opens no version": [
            Extract(0, "full", (row("k0", note="a"),)),
            Extract(1, "full", (row("k0", note="b"),)),
        ],
    }
    for name, delivered in cases.items():
        try:
            check(world, delivered, random.Random(1))
        except AssertionError as error:
            raise AssertionError(name) from error


FAULTS = {
    "several current versions": "update {t} set is_current = true, valid_to = null"
    " where code = 'k0' and valid_to is not null",
    "no current version": "update {t} set is_current = false, valid_to = '2024-06-01'"
    " where code = 'k0' and is_current",
    "overlaps the next version": "update {t} set valid_to = valid_to + interval '1 day'"
    " where code = 'k0' and valid_to is not null",
    "leaves a gap before the next version": "update {t} set valid_to = valid_to - interval '1 day'"
    " where code = 'k0' and valid_to is not null",
    "ends before it begins": "insert into {t} select 'x', code, colour, note, valid_from"
    " - interval '9 days', valid_from - interval '9 days', false, is_deleted"
    " from {t} where code = 'k0' and is_current",
    "is_current contradicts valid_to": "update {t} set is_current = true"
    " where code = 'k0' and valid_to is not null",
    "changes nothing": "update {t} set colour = 'red' where code = 'k0'",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_and_its_repair_puts_it_right(world: World, fault: str) -> None:
    """Break one chain by hand: the fault is named, and the printed statements mend everything."""
    world.empty()
    untouched = Row("k1", "red", "a", False, True)
    first = Extract(0, "full", (Row("k0", "red", "a", False, True), untouched))
    second = Extract(5, "full", (Row("k0", "blue", "a", False, True), untouched))
    world.deliver([(1, first), (2, second)])
    world.build("--select", "+faults")
    with connect(world.target) as connection:

        def faults() -> list[tuple[Any, ...]]:
            return connection.execute("select code, fault, repair from things.faults").fetchall()

        assert [] == faults()
        # the index would not let the worst of them in
        connection.execute("drop index things.dim_things_current")
        connection.execute(FAULTS[fault].format(t="things.dim_things").encode())
        assert ("k0", fault) in {row[:2] for row in faults()}
        assert {"k0"} == {row[0] for row in faults()}
        for _round in range(3):
            for _key, _fault, repair in faults():
                connection.execute(str(repair).encode())

        assert [] == faults()
