"""The macro scd2 against `dbt snapshot` (check strategy, hard deletes) on the same server.

Both take in the same extract of the same register; what is compared is the time that dbt itself
reports for the node, so that dbt's start-up is on neither side.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from bench.dbt import run, seconds_of_node
from bench.figure import Figure, Options
from bench.server import Server, embedded_server
from monitors.warehouse.packages import install_packages

ENTITIES = 1_000_000
PARTIAL = 10_000
PACKAGE = Path(__file__).parents[1] / "package"
DIMENSION = """
{{ config(
    materialized='incremental', incremental_strategy='scd2', unique_key='code',
    pre_hook=[
        "{{ rampart.take_turns('dim_things') }}",
        "{{ rampart.scd2_take_extracts('register', ref('judged')) }}",
    ],
    post_hook=[
        "{{ rampart.index_on(['code'], unique=true, where='is_current', name='current') }}",
        "{{ rampart.index_on(['code', 'valid_from'], unique=true) }}",
    ],
) }}
with
{{ rampart.scd2(
    entity='thing', rows=ref('judged'), natural_key='code', tracked=['colour', 'size']
) }}
select * from thing_versions
"""
STRATEGY = """
{% macro get_incremental_scd2_sql(arguments) %}
    {{ return(rampart.get_incremental_scd2_sql(arguments)) }}
{% endmacro %}
"""
# dbt compiles its own macros when the first node uses them: a start-up that neither side pays here
FIRST_MODEL = """
{{ config(materialized='incremental', incremental_strategy='scd2', unique_key='code') }}
select 'a' as code, true as is_current
"""
FIRST_SNAPSHOT = """
{% snapshot a_first_snapshot %}
{{ config(target_schema='bench', unique_key='code', strategy='check', check_cols=['size'],
          hard_deletes='new_record') }}
select 'a' as code, 'b' as size
{% endsnapshot %}
"""
SNAPSHOT = """
{% snapshot snapshot_things %}
{{ config(target_schema='bench', unique_key='code', strategy='check',
          check_cols=['colour', 'size'], hard_deletes='new_record') }}
select code, colour, size from bench.register
{% endsnapshot %}
"""
TABLES = (
    "create schema bench",
    "create table bench.register (code text primary key, colour text, size text)",
    "create table bench.arrived (_delivery_id bigint, _source_row bigint, code text, colour text,"
    " size text, rejected_by text)",
    "create unique index on bench.arrived (_delivery_id, _source_row)",
    "insert into bench.register select 'entity-' || n, 'colour-' || n % 100, 'size-' || n % 7"
    " from generate_series(1, {entities}) as n",
    "insert into monitoring.runs (run_id, command, environment) values ('bench', 'bench', 'ci')",
)
CHANGES = (  # of day {n}, with {new} new entities
    "update bench.register set colour = colour || '*'"
    " where mod(hashtext(code), 100) = mod({n}, 100)",
    "delete from bench.register where mod(hashtext(code), 1000) = {n}",
    "insert into bench.register select 'new-{n}-' || m, 'red', 's'"
    " from generate_series(1, {new}) as m",
)


def full_extract(options: Options) -> Iterator[Figure]:
    """1 M entities, a full extract of which 1 % changed."""
    with embedded_server(options.folder) as server:
        project = make_project(options.folder / "project", server)
        _both(project, server, 0, "full", "select * from bench.register")
        ratios = []
        for number in range(1, options.pairs + 1):
            server.execute(*(change.format(n=number, new=1000) for change in CHANGES))
            ours, reference = _both(project, server, number, "full", "select * from bench.register")
            ratios.append(reference / ours)
        note = f"{ENTITIES:,} entities, last pair {ours:.2f} s against {reference:.2f} s"
        yield Figure("scd2_full", "dbt snapshot", ratios, ">=", 4, "x", note)


def partial_extract(options: Options) -> Iterator[Figure]:
    """A partial extract of 10,000 of 1 M entities."""
    with embedded_server(options.folder) as server:
        project = make_project(options.folder / "project", server)
        _both(project, server, 0, "full", "select * from bench.register")
        ratios = []
        for number in range(1, options.pairs + 1):
            chosen = f"mod(abs(hashtext(code)), {ENTITIES // PARTIAL}) = {number}"
            server.execute(f"update bench.register set colour = colour || '*' where {chosen}")
            ours, reference = _both(
                project, server, number, "partial", f"select * from bench.register where {chosen}"
            )
            ratios.append(reference / ours)
        note = f"{PARTIAL:,} of {ENTITIES:,}, last pair {ours:.2f} s against {reference:.2f} s"
        yield Figure("scd2_partial", "dbt snapshot", ratios, ">=", 30, "x", note)


def _both(project: Path, server: Server, number: int, kind: str, rows: str) -> tuple[float, float]:
    """Deliver an extract to both; (seconds of the macro, seconds of the snapshot)."""
    deliver(server, number, kind, rows)
    settle(server)
    ours = build(project)
    server.execute("checkpoint")
    run(project, "snapshot")
    return ours, seconds_of_node(project, "snapshot.bench.snapshot_things")


def build(project: Path) -> float:
    """Seconds of the dimension in a build."""
    run(project, "run")
    return seconds_of_node(project, "model.bench.dim_things")


def deliver(server: Server, number: int, kind: str, rows: str) -> None:
    """An extract of the rows that the query `rows` gives, of day `number`."""
    server.execute(
        "insert into monitoring.deliveries (delivery_id, feed, name, sha256, sequence,"
        " extracted_at, extracted_at_from, kind, records, rows, dead_letters, bytes, run_id,"
        f" admission, admitted_by) overriding system value select {number + 1}, 'register',"
        f" 'e{number}', 'x', {number + 1}, timestamptz '2024-01-01' + interval '{number} day',"
        f" 'name', '{kind}', count(*), count(*), 0, 0, 'bench', 'admitted', 'rampart'"
        f" from ({rows}) as found",
        f"insert into bench.arrived select {number + 1}, row_number() over (), found.*, null"
        f" from ({rows}) as found",
    )


def settle(server: Server) -> None:
    """What a server does by itself within minutes of a load, before the clock starts."""
    server.execute("analyze bench.arrived", "analyze bench.register", "checkpoint")


def make_project(folder: Path, server: Server, entities: int = ENTITIES) -> Path:
    """A dbt project with the dimension and the snapshot, its tables, and a register to extract."""
    server.execute(*(statement.format(entities=entities) for statement in TABLES))
    (folder / "models").mkdir(parents=True)
    (folder / "snapshots").mkdir()
    (folder / "macros").mkdir()
    target = server.target
    output = {"type": "postgres", "host": target.host, "port": 5432, "user": target.user,
              "password": "", "dbname": target.dbname, "schema": "bench", "threads": 1}  # fmt: skip
    files = {
        "dbt_project.yml": {"name": "bench", "profile": "bench", "version": "1.0.0"},
        "packages.yml": {"packages": [{"local": str(PACKAGE)}]},
        "profiles.yml": {"bench": {"target": "ci", "outputs": {"ci": output}}},
    }
    for name, content in files.items():
        (folder / name).write_text(yaml.safe_dump(content))
    (folder / "macros" / "strategy.sql").write_text(STRATEGY)
    (folder / "models" / "a_first.sql").write_text(FIRST_MODEL)
    (folder / "snapshots" / "a_first.sql").write_text(FIRST_SNAPSHOT)
    (folder / "models" / "judged.sql").write_text("select * from bench.arrived")
    (folder / "models" / "dim_things.sql").write_text(DIMENSION)
    (folder / "snapshots" / "things.sql").write_text(SNAPSHOT)
    install_packages(folder, offline=True)
    return folder
