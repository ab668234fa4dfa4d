"""The models are portable: the marts of the sample data are the same on DuckDB, row for row.

Rampart itself runs on Postgres only. What it loaded is copied over, then dbt-duckdb builds every
model under models/marts and what they are made of.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitors import DataMonitor
from monitors.arrival.sample import write_sample
from monitors.warehouse.connection import connect
from monitors.warehouse.dbt import NO_TELEMETRY
from monitors.warehouse.target import Target
from tests.conftest import Server, copy_project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("dbt.adapters.duckdb") is None,
        reason="needs dbt-duckdb: it is in requirements-dev.lock",
    ),
]
YESTERDAY = datetime.now(timezone.utc).date() - timedelta(days=1)
TEXTS = """
 |5| 5 |+5|-.5|5.|1e1|1E-3|1e20|NaN|Infinity|0x10|1_000|1,5|n/a?|1700000000000000|-1|2024-02-29
2023-02-29|2024-02-29T23:59:59.999999Z|2024-01-01 10:00|2024-01-01T10:00:00+05:30
2024-01-01T10:00:00-08|2024-01-01T10:00:00+0530|2024-01-01T24:00:00|2024-01-01T10:00:60|0999-01-01|2024-1-1|12|012|2|31|30|00|x
2024-01-01T10:00:00.5+01|2024-06-30 00:00:00|9999-12-31|2024-01-01Z
"""
"""What may stand in a file; each goes through every macro that reads texts."""
BUILT = ["+path:models/marts", "+path:models/quality"]
SAME_TYPE = ("bigint", "integer", "boolean", "numeric", "date", "interval")


@dataclass(frozen=True)
class Pair:
    """The same project, built on both engines."""

    project: Path
    postgres: Target
    duckdb: Path

    def manifest(self) -> dict[str, Any]:
        path = self.project / "target" / "manifest.json"
        return json.loads(path.read_text())  # type: ignore[no-any-return]

    def models(self, folder: str) -> list[str]:
        """Every model under models/<folder>, as schema.name."""
        nodes = self.manifest()["nodes"].values()
        return sorted(
            f"{node['schema']}.{node['alias']}"
            for node in nodes
            if node["resource_type"] == "model" and node["path"].startswith(f"{folder}/")
        )

    def load_and_build(self) -> None:
        DataMonitor(self.project).load()
        assert 0 == DataMonitor(self.project).build(BUILT).exit_code
        self.copy()
        self.build()

    def copy(self) -> None:
        """All that dbt reads, from one engine to the other, through CSV files."""
        import duckdb

        sources = self.manifest()["sources"].values()
        with connect(self.postgres) as reading, duckdb.connect(self.duckdb) as writing:
            writing.execute("set timezone = 'UTC'")
            for source in sources:
                name = f"{source['schema']}.{source['identifier']}"
                columns = reading.execute(
                    b"select column_name,"
                    b" case when data_type = 'ARRAY' then udt_name else data_type end"
                    b" from information_schema.columns"
                    b" where table_schema = %s and table_name = %s order by ordinal_position",
                    (source["schema"], source["identifier"]),
                ).fetchall()
                file = self.duckdb.with_name(f"{name}.csv")
                with file.open("wb") as csv:
                    sql = f"copy (select * from {name}) to stdout with (format csv)"
                    with reading.cursor().copy(sql.encode()) as out:
                        csv.writelines(out)
                types = {column: in_duckdb(kind) for column, kind in columns}
                declared = ", ".join(f'"{column}" {kind}' for column, kind in types.items())
                writing.execute(f"create schema if not exists {source['schema']}")
                if source["identifier"] == "scd2_extracts":
                    # the models of each engine keep their own
                    writing.execute(f"create table if not exists {name} ({declared})")
                    continue
                writing.execute(f"create or replace table {name} ({declared})")
                if file.stat().st_size:
                    # {1,2} is a list in Postgres, [1,2] in DuckDB
                    values = ", ".join(
                        f"translate(\"{column}\", '{{}}', '[]')" if kind.endswith("[]")
                        else f'"{column}"'
                        for column, kind in types.items()
                    )  # fmt: skip
                    writing.execute(
                        f"insert into {name} select {values} from read_csv(?, header = false,"
                        " delim = ',', quote = '\"', escape = '\"', all_varchar = true,"
                        f" allow_quoted_nulls = false, auto_detect = false, columns = {{"
                        + ", ".join(f"'{column}': 'varchar'" for column in types)
                        + "})",
                        [str(file)],
                    )

    def build(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "dbt.cli.main", "run", "--select", *BUILT,
             "--target-path", "target-duckdb", *arguments],
            cwd=self.project, capture_output=True, text=True, check=False,
            env={**os.environ, **NO_TELEMETRY, "DBT_PROFILES_DIR": str(self.duckdb.parent)},
        )  # fmt: skip

        assert 0 == done.returncode, done.stdout[-6000:]

    def rows(self, engine: str, name: str) -> Counter[tuple[tuple[str, Any], ...]]:
        """Rows as sorted (column, value), so that neither order matters."""
        sql = f"select * from {name}"
        if engine == "postgres":
            with connect(self.postgres) as connection:
                found = connection.execute(sql.encode())
                names = [column.name for column in found.description or ()]
                return counted(names, found.fetchall())
        import duckdb

        with duckdb.connect(self.duckdb, read_only=True) as connection:
            connection.execute("set timezone = 'UTC'")
            found = connection.execute(sql)
            return counted([column[0] for column in found.description], found.fetchall())


def in_duckdb(kind: str) -> str:
    if kind.startswith("timestamp"):
        return "timestamptz" if kind == "timestamp with time zone" else "timestamp"
    lists = {"_int4": "integer[]", "_date": "date[]"}
    return lists.get(kind, kind if kind in SAME_TYPE else "varchar")


def counted(names: list[str], rows: list[tuple[Any, ...]]) -> Counter[tuple[tuple[str, Any], ...]]:
    return Counter(
        tuple(sorted((name, same(value)) for name, value in zip(names, row, strict=True)))
        for row in rows
    )


def same(value: Any) -> Any:
    """One form for what both engines mean: moments in UTC, numbers by their value."""
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(timezone.utc)
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        number = Decimal(str(value))
        # a quotient has as many digits as its engine likes
        return (number if number == int(number) else Context(prec=12).plus(number)).normalize()
    return value


def texts_read() -> str:
    """A mart more: what the macros make of each text."""
    texts = [*TEXTS.strip("\n").replace("\n", "|").split("|"), ""]
    rows = [f"select '{text}' as word" for text in texts] + ["select cast(null as varchar)"]
    moment = "{{ try_timestamp('texts.word') }}"
    return f"""
        {{{{ config(materialized='table', contract={{'enforced': false}}) }}}}
        with texts as ({" union all ".join(rows)})
        select
            texts.word,
            {{{{ try_number('texts.word') }}}} as as_number,
            {moment} as as_moment,
            {{{{ utc_text(try_timestamp('texts.word')) }}}} as as_text,
            {{{{ utc_date(try_timestamp('texts.word')) }}}} as as_date,
            {{{{ timestamp_from_micros(try_number('texts.word')) }}}} as as_micros,
            {{{{ hour_of("'2024'", 'texts.word', "'29'", "'7'") }}}} as as_month,
            {{{{ hour_of("'2023'", "'2'", 'texts.word', "'23'") }}}} as as_day,
            {{{{ hour_of("'2023'", "'12'", "'1'", 'texts.word') }}}} as as_hour
        from texts
    """


@pytest.fixture(scope="module")
def pair(embedded_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """History, built on both; then this morning's deliveries, built on both."""
    patch = pytest.MonkeyPatch()
    postgres = embedded_server.new_database()
    folder = tmp_path_factory.mktemp("duckdb")
    for name, value in postgres.environment().items():
        patch.setenv(name, value)
    patch.setenv("DBT_PROFILES_DIR", str(folder / "no-profiles"))
    profile = {"type": "duckdb", "path": str(folder / "warehouse.duckdb"), "threads": 2}
    profile["settings"] = {"timezone": "UTC"}
    (folder / "profiles.yml").write_text(
        yaml.safe_dump({"rampart": {"target": "ci", "outputs": {"ci": profile}}})
    )
    project = copy_project(folder / "project")
    (project / "models" / "marts" / "texts_read.sql").write_text(texts_read())
    summary = write_sample(project / "landing", last_day=YESTERDAY, days=3, scale=0.05)
    # the last day is never scaled: its 50,000 events say nothing that fewer do not
    (project / "landing" / "clickstream" / f"events_{YESTERDAY}.jsonl.gz").unlink()
    held = [path for path in summary.today if path.exists()]
    for path in held:
        path.rename(path.with_name(f".{path.name}"))
    built = Pair(project, postgres, folder / "warehouse.duckdb")
    built.load_and_build()
    for path in held:
        path.with_name(f".{path.name}").rename(path)
    built.load_and_build()
    yield built
    patch.undo()


def test_every_mart_is_there(pair: Pair) -> None:
    """A mart that is added to the project is compared without a line here."""
    assert {
        "facts.fact_air_quality_measurements",
        "facts.fact_events",
        "facts.fact_orders",
        "salesforce_curated.dim_sf_user_scd",
    } <= set(pair.models("marts"))


def test_the_marts_are_the_same_row_for_row(pair: Pair) -> None:
    """Keys, which are hashes of texts and moments, included."""
    for name in pair.models("marts"):
        expected, found = pair.rows("postgres", name), pair.rows("duckdb", name)

        assert expected, f"{name} is empty on both"
        assert [] == list((expected - found).elements())[:3], name
        assert [] == list((found - expected).elements())[:3], name


def test_what_the_checks_read_is_the_same(pair: Pair) -> None:
    """The ledger, conservation, volumes, SCD2 faults; all but the moment of now."""
    names = [name for name in pair.models("quality") if name != "monitoring.clocks"]
    other = [name for name in names if pair.rows("postgres", name) != pair.rows("duckdb", name)]

    assert [] == other
    assert pair.rows("duckdb", "quarantine.ledger")
