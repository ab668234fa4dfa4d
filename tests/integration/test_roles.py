"""Least privilege, tried from hostile sessions and held against the catalogue of the database."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from monitors.commands.feeds import prepare_feeds
from monitors.commands.runner import Runner
from monitors.errors import UsageError
from monitors.store.migrate import migrate
from monitors.store.postgres import RunContext, Store
from monitors.store.roles import BUILT_SCHEMAS, ROLES, grant_roles
from monitors.store.roles import KINDS as KINDS_OF_SCHEMA
from monitors.warehouse.connection import Connection, connect
from monitors.warehouse.target import Target
from tests.conftest import ROOT, Server

DOCS = ROOT / "docs" / "roles.md"
SHORT = {role: role.removeprefix("rampart_") for role in ROLES}
KINDS = {"SELECT": "read", "INSERT": "append", "UPDATE": "change", "DELETE": "delete"}


@pytest.fixture(scope="module", params=["embedded_server", "debian_server"])
def granted(request: pytest.FixtureRequest) -> Target:
    """A warehouse with the project's feeds and all four roles, which may log in."""
    server: Server = request.getfixturevalue(request.param)
    target = server.new_database()
    with connect(target) as connection:
        migrate(connection)
        runner = Runner(ROOT / "rampart.yml")
        prepare_feeds(runner, Store(connection, RunContext("r", "dev")))
        grant_roles(connection, {role: f"{role}-secret" for role in ROLES})
        connection.execute(
            "create table facts.fact_known (a int);"
            " create view monitoring.built as select 1 as a;"
            " insert into monitoring.runs (run_id, command, environment) values ('r', 'x', 'dev')"
        )
        grant_roles(connection, {})
    return target


def as_role(target: Target, role: str) -> Connection:
    return connect(
        Target(target.host, target.port, role, target.dbname, "environment", f"{role}-secret")
    )


@pytest.fixture(params=list(ROLES))
def hostile(request: pytest.FixtureRequest, granted: Target) -> Iterator[Connection]:
    with as_role(granted, request.param) as connection:
        connection.autocommit = True
        yield connection


# -------------------------------------------------------------------- the table


def documented() -> dict[str, dict[str, str]]:
    """{object: {role: what it may do}} of the table in docs/roles.md."""
    found: dict[str, dict[str, str]] = {}
    for line in DOCS.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and re.fullmatch(r"`[a-z0-9_.*]+`", cells[0]):
            found[cells[0].strip("`")] = dict(zip(SHORT.values(), cells[1:], strict=True))
    return found


def in_catalogue(target: Target) -> dict[str, dict[str, str]]:
    """The same as the database has it; what holds for some columns only is marked with a star."""
    with connect(target) as connection:
        rows = connection.execute(
            "select spaces.nspname || '.' || tables.relname, roles.rolname, kinds.kind,"
            " has_table_privilege(roles.oid, tables.oid, kinds.kind),"
            " kinds.kind <> 'DELETE' and has_any_column_privilege("
            "     roles.oid, tables.oid, case kinds.kind when 'DELETE' then 'SELECT'"
            "     else kinds.kind end)"
            " from pg_class as tables join pg_namespace as spaces on spaces.oid = relnamespace"
            " cross join pg_roles as roles"
            " cross join (values ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) as kinds (kind)"
            " where tables.relkind in ('r', 'p') and roles.rolname = any(%s)"
            " and spaces.nspname in ('monitoring', 'quarantine')",
            (list(ROLES),),
        ).fetchall()
    found: dict[str, dict[str, set[str]]] = {}
    for table, role, kind, whole, some in rows:
        held = found.setdefault(table, {short: set() for short in SHORT.values()})[SHORT[role]]
        if whole or some:
            held.add(KINDS[kind] + ("" if whole else "*"))
    order = list(KINDS.values())
    return {
        table: {
            role: ", ".join(sorted(held, key=lambda kind: order.index(kind.strip("*")))) or "-"
            for role, held in roles.items()
        }
        for table, roles in found.items()
    }


def test_the_table_of_the_docs_is_what_the_database_grants(granted: Target) -> None:
    """Every table of the store and each role: not one privilege more or less than is written."""
    said = {name: held for name, held in documented().items() if not name.endswith("*")}

    assert in_catalogue(granted) == said


@pytest.mark.parametrize(
    "place", ["monitoring.built", "facts.fact_known", "salesforce_raw.sf_user"]
)
def test_what_is_not_the_stores_follows_its_schema(granted: Target, place: str) -> None:
    """Views, marts and raw tables have the line of their schema."""
    pattern = {"monitoring": "monitoring.*", "facts": "facts.*", "salesforce_raw": "raw.*"}
    said = documented()[pattern[place.split(".")[0]]]
    with connect(granted) as connection:
        found = {
            short: ", ".join(
                word
                for kind, word in KINDS.items()
                if connection.execute(
                    "select has_table_privilege(%s, %s, %s)", (role, place, kind)
                ).fetchone()
                == (True,)
            )
            or "-"
            for role, short in SHORT.items()
        }

    assert {role: held.removesuffix(", owns") for role, held in said.items()} == found


def test_nobody_may_run_with_the_rights_of_another(granted: Target) -> None:
    """No function of ours is `security definer`, and no role of ours has a power of the cluster."""
    with connect(granted) as connection:
        definers = connection.execute(
            "select proname from pg_proc where prosecdef and pronamespace in"
            " ('monitoring'::regnamespace, 'quarantine'::regnamespace, 'public'::regnamespace)"
        ).fetchall()
        powers = connection.execute(
            "select rolname from pg_roles where rolname = any(%s) and (rolsuper or rolcreaterole or"
            " rolcreatedb or rolreplication or rolbypassrls or exists (select from pg_auth_members"
            " where member = pg_roles.oid))",
            (list(ROLES),),
        ).fetchall()

    assert ([], []) == (definers, powers)


# -------------------------------------------------------------------- a project of one's own

MANIFEST = {
    "nodes": {
        "model.p.daily": {"resource_type": "model", "schema": "analytics"},
        "model.p.gone": {"resource_type": "model", "schema": "not_there"},
        "model.p.other": {"resource_type": "model", "schema": "elsewhere", "database": "other"},
        "test.p.daily": {"resource_type": "test", "schema": "dbt_test__audit"},
    },
    "sources": {"source.p.legacy.orders": {"schema": "legacy"}},
}


def test_the_schemas_of_a_foreign_project_are_granted(
    tmp_path: Path, warehouse: Target, use: Callable[[Target], None]
) -> None:
    """Those of the manifest that are there, and those that are named; each is printed."""
    use(warehouse)
    (tmp_path / "rampart.yml").write_text("environment: dev\n")
    (tmp_path / "roles").write_text("".join(f"{role}: {role}-secret\n" for role in ROLES))
    manifest = {
        section: {name: {"database": warehouse.dbname, **node} for name, node in nodes.items()}
        for section, nodes in MANIFEST.items()
    }
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "manifest.json").write_text(json.dumps(manifest))
    with connect(warehouse) as connection:
        connection.execute(
            "create schema analytics; create table analytics.daily as select 1 as a;"
            " create schema legacy; create table legacy.orders as select 1 as a;"
            " create schema elsewhere; create schema dbt_test__audit"
        )
        connection.commit()
    done = subprocess.run(
        [sys.executable, "-m", "monitors.cli", "--log-level", "error", "db", "grant",
         "--password-file", "roles", "--schema", "reports"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip

    granted = re.findall(r"^schema (\w+): (.*)$", done.stdout, re.M)
    ours = {"monitoring", "quarantine", *BUILT_SCHEMAS}
    assert ("", 0) == (done.stderr, done.returncode)
    assert {
        "analytics": KINDS_OF_SCHEMA["built"],
        "legacy": KINDS_OF_SCHEMA["source"],
        "reports": KINDS_OF_SCHEMA["built"],
    } == {name: what for name, what in granted if name not in ours}
    with as_role(warehouse, "rampart_builder") as builder:
        builder.execute("create table reports.a as select * from legacy.orders")
        builder.execute("create table analytics.b as select 2 as a")
        builder.commit()
    everywhere = ["analytics.daily", "analytics.b", "reports.a", "legacy.orders"]
    assert everywhere == readable(warehouse, "rampart_monitor", everywhere)
    assert everywhere[:3] == readable(warehouse, "rampart_reader", everywhere)
    assert [] == readable(warehouse, "rampart_loader", everywhere)


def readable(target: Target, role: str, tables: list[str]) -> list[str]:
    found = []
    with as_role(target, role) as connection:
        connection.autocommit = True
        for table in tables:
            with suppress(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"select * from {table}".encode())
                found.append(table)
    return found


@pytest.mark.parametrize("name", ["monitoring", "clickstream_raw", "pg_catalog"])
def test_a_schema_with_grants_of_its_own_cannot_be_named(granted: Target, name: str) -> None:
    """Else the reader would see the content of dead letters, or raw rows."""
    with connect(granted) as connection, pytest.raises(UsageError, match=f"--schema {name}: found"):
        grant_roles(connection, {}, [name])


# -------------------------------------------------------------------- hostile sessions

NOBODY = [
    "copy (select 1) to program 'id'",
    "copy monitoring.runs from program 'id'",
    "copy monitoring.runs to '/tmp/rampart-stolen'",
    "select lo_import('/etc/passwd')",
    "select pg_read_file('/etc/passwd')",
    "select pg_ls_dir('.')",
    "select * from pg_authid",
    "alter system set log_statement = 'all'",
    "set session_replication_role = replica",
    "create role mine superuser",
    "create database mine",
    "create table public.mine (a int)",
    "create function public.mine() returns int language sql as 'select 1'",
    "truncate monitoring.data_quality_metrics",
    "delete from monitoring.data_quality_metrics",
    "update monitoring.data_quality_metrics set status = 'pass'",
    "update monitoring.deliveries set admission = 'admitted'",
    "delete from monitoring.dead_letters",
    "update monitoring.migrations set number = 0",
    "drop table monitoring.runs",
    "alter table monitoring.runs add column mine int",
    "create trigger mine before insert on monitoring.runs for each row"
    " execute function suppress_redundant_updates_trigger()",
    "update salesforce_raw.sf_user set email = 'x'",
    "delete from salesforce_raw.sf_user",
    "delete from quarantine.decisions",
    "select pg_terminate_backend(pid) from pg_stat_activity where usename not like 'rampart%%'"
    " and usename is not null",
]


@pytest.mark.parametrize("statement", NOBODY)
def test_what_no_role_may_do_is_refused(hostile: Connection, statement: str) -> None:
    """By the database itself, whoever of the four tries."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        hostile.execute(statement.replace("%%", "%").encode())


def test_no_role_becomes_another_one(hostile: Connection, granted: Target) -> None:
    """Neither one of ours nor the owner of the warehouse."""
    own = hostile.info.user
    for other in {*ROLES, granted.user} - {own}:
        for statement in (f'set role "{other}"', f'set session authorization "{other}"'):
            with (
                pytest.raises(psycopg.errors.InsufficientPrivilege),
                hostile.transaction(),
            ):
                hostile.execute(statement.encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        hostile.execute(f"alter role {own} superuser".encode())


@pytest.mark.parametrize("role", ["rampart_monitor", "rampart_reader"])
@pytest.mark.parametrize(
    "statement",
    [
        "create schema mine",
        "create table monitoring.mine (a int)",
        "create table facts.mine (a int)",
        "drop table facts.fact_known",
        "insert into facts.fact_known values (1)",
        "insert into salesforce_raw.sf_user default values",
        "insert into monitoring.deliveries default values",
        "insert into quarantine.decisions default values",
    ],
)
def test_who_only_looks_changes_nothing(granted: Target, role: str, statement: str) -> None:
    """The monitor and the reader own nothing and write no data."""
    with (
        as_role(granted, role) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement.encode())


def test_the_reader_writes_nothing_at_all(granted: Target) -> None:
    """The role of the page: not one row of one table, and not a sequence."""
    with connect(granted) as connection:
        found = connection.execute(
            "select oid::regclass::text from pg_class where relkind in ('r', 'p', 'v') and"
            " relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema') and"
            " has_any_column_privilege('rampart_reader', oid, 'INSERT, UPDATE, REFERENCES')"
            " union all select oid::regclass::text from pg_class where relkind = 'S' and"
            " case relkind when 'S' then"
            " has_sequence_privilege('rampart_reader', oid, 'USAGE, UPDATE') end"
        ).fetchall()

    assert [] == found


@pytest.mark.parametrize(
    "statement",
    ["select content from monitoring.dead_letters", "select * from salesforce_raw.sf_user"],
)
def test_the_reader_sees_no_raw_bytes(granted: Target, statement: str) -> None:
    """What arrived may hold anything; a dead letter can be counted and found, and no more."""
    with as_role(granted, "rampart_reader") as connection:
        counted = connection.execute("select count(*), max(line) from monitoring.dead_letters")
        assert (0, None) == counted.fetchone()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


def test_what_is_made_later_can_be_read_at_once(granted: Target) -> None:
    """A raw table of the loader and a quality model of the builder, without another `db grant`."""
    with as_role(granted, "rampart_loader") as connection:
        connection.execute("create table salesforce_raw.later (a int)")
    with as_role(granted, "rampart_builder") as connection:
        connection.execute("create view monitoring.later as select * from salesforce_raw.later")
        connection.execute("create view quarantine.later as select * from salesforce_raw.later")
    with as_role(granted, "rampart_monitor") as connection:
        connection.execute("select * from monitoring.later, salesforce_raw.later")
    with as_role(granted, "rampart_reader") as connection:
        connection.execute("select * from monitoring.later, quarantine.later")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from salesforce_raw.later")


def test_each_role_is_described() -> None:
    """docs/roles.md says what every role is for."""
    text = Path(DOCS).read_text()

    assert [] == [role for role in ROLES if f"`{role}`" not in text]
