"""The macro scd2 against `dbt snapshot` (check strategy, hard deletes) on the same server.

Both take in the same extract of the same register; what is compared is the time that dbt itself
reports for the node, so that dbt's start-up is on neither side.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from bench.figure import Figure, Options
from bench.server import Server, embedded_server
from monitors.warehouse.dbt import NO_TELEMETRY
from monitors.warehouse.packages import install_packages

ENTITIES = 1_000_000
PARTIAL = 10_000
PACKAGE = Path(__file__).parents[1] / "package"
DIMENSION = """
{{ config(
    materialized='incremental', incremental_strategy='delete+insert', unique_key='code',
    pre_hook="{{ rampart.scd2_take_extracts('register', ref('judged')) }}",
    post_hook="{{ rampart.index_on(['code'], unique=true, where='is_current', name='current') }}",
) }}
with
{{ rampart.scd2(
    entity='thing', rows=ref('judged'), natural_key='code', tracked=['colour', 'size']
) }}
select * from thing_versions
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
    "create index on bench.arrived using brin (_delivery_id)",
    "insert into bench.register select 'entity-' || n, 'colour-' || n % 100, 'size-' || n % 7"
    f" from generate_series(1, {ENTITIES}) as n",
    "insert into monitoring.runs (run_id, command, environment) values ('bench', 'bench', 'ci')",
)
CHANGES = (
    "update bench.register set colour = colour || '*' where mod(hashtext(code), 100) = {n}",
    "delete from bench.register where mod(hashtext(code), 1000) = {n}",
    "insert into bench.register select 'new-{n}-' || m, 'red', 's' from generate_series(1, 1000) m",
)


def full_extract(options: Options) -> Iterator[Figure]:
    """1 M entities, a full extract of which 1 % changed."""
    with embedded_server(options.folder) as server:
        project = _project(options.folder / "project", server)
        _both(project, server, 0, "full", "select * from bench.register")
        ratios = []
        for number in range(1, options.pairs + 1):
            server.execute(*(change.format(n=number) for change in CHANGES))
            ours, reference = _both(project, server, number, "full", "select * from bench.register")
            ratios.append(reference / ours)
        note = f"{ENTITIES:,} entities, last pair {ours:.2f} s against {reference:.2f} s"
        yield Figure("scd2_full", "dbt snapshot", ratios, ">=", 4, "x", note)


def partial_extract(options: Options) -> Iterator[Figure]:
    """A partial extract of 10,000 of 1 M entities."""
    with embedded_server(options.folder) as server:
        project = _project(options.folder / "project", server)
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
    server.execute(
        "insert into monitoring.deliveries (delivery_id, feed, name, sha256, sequence,"
        " extracted_at, extracted_at_from, kind, records, rows, dead_letters, bytes, run_id,"
        f" admission, admitted_by) overriding system value values ({number + 1}, 'register',"
        f" 'e{number}', 'x', {number + 1}, timestamptz '2024-01-01' + interval '{number} day',"
        f" 'name', '{kind}', 1, 1, 0, 0, 'bench', 'admitted', 'rampart')",
        f"insert into bench.arrived select {number + 1}, row_number() over (), found.*, null"
        f" from ({rows}) as found",
        "analyze bench.arrived",
        "analyze bench.register",
        "checkpoint",
    )
    _dbt(project, "run", "--select", "+dim_things")
    ours = _seconds(project, "model.bench.dim_things")
    server.execute("checkpoint")
    _dbt(project, "snapshot")
    return ours, _seconds(project, "snapshot.bench.snapshot_things")


def _project(folder: Path, server: Server) -> Path:
    server.execute(*TABLES)
    (folder / "models").mkdir(parents=True)
    (folder / "snapshots").mkdir()
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
    (folder / "models" / "judged.sql").write_text("select * from bench.arrived")
    (folder / "models" / "dim_things.sql").write_text(DIMENSION)
    (folder / "snapshots" / "things.sql").write_text(SNAPSHOT)
    install_packages(folder, offline=True)
    return folder


def _dbt(project: Path, *arguments: str) -> None:
    command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "--quiet", *arguments]
    done = subprocess.run(
        [*command, "--profiles-dir", str(project)], cwd=project, text=True, capture_output=True,
        check=False, env={"PATH": "/usr/bin:/bin", "HOME": str(project), **NO_TELEMETRY},
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"dbt {arguments[0]} failed: {done.stdout[-2000:]}{done.stderr[-500:]}")


def _seconds(project: Path, node: str) -> float:
    results = json.loads((project / "target" / "run_results.json").read_text())["results"]
    return float(next(each["execution_time"] for each in results if each["unique_id"] == node))
