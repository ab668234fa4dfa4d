"""The stand-ins of the dbt packages: same names, same outcomes; and how they get into place.

Set RAMPART_REAL_PACKAGES to a folder that holds the real packages (as dbt_packages/ does after
`dbt deps`), and the parity test builds the same cases with those too.
"""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import psycopg
import pytest
import yaml

from monitors.warehouse import packages
from monitors.warehouse.packages import PackagesError, install_packages, packages_status
from tests.conftest import REAL_PACKAGES

NO_TELEMETRY = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
DBT = [sys.executable, "-m", "dbt.cli.main"]

# --- the cases ---------------------------------------------------------------------------------

COLUMNS = ["id", "grp", "name", "amount", "ceiling", "mail", "starts", "ends"]
TYPES = ["integer", "text", "text", "integer", "integer", "text", "date", "date"]
ROWS: dict[str, list[tuple[Any, ...]]] = {
    "good": [
        (1, "x", "ann", 10, 20, "a@b.de", "2024-01-01", "2024-01-10"),
        (2, "x", "bob", 20, 20, "B@b.de", "2024-01-10", "2024-01-20"),
        (3, "y", "cleo", 30, 40, "c@d.de", "2024-01-01", "2024-02-01"),
    ],
    "bad": [
        (1, "x", "ann", 10, 20, "a@b.de", "2024-01-01", "2024-01-10"),
        (1, "x", "  ", -5, 20, "nonsense", "2024-01-05", "2024-01-20"),  # overlaps the one above
        (None, "y", "", 500, 40, None, "2024-02-01", "2024-01-01"),  # turned around
        (4, "y", None, None, 40, "C@D.DE", "2024-03-01", None),  # no end
        (None, "z", "dora", 7, None, "x y@z.de", "2024-01-01", "2024-01-01"),  # of no length
        (None, "z", "dora", 7, None, "x y@z.de", "2024-04-01", "2024-05-01"),
    ],
    "nulls": [
        (None, "x", None, None, None, None, None, None),
        (None, "x", None, None, None, None, None, None),
        (5, "y", None, 1, None, None, None, None),
    ],
    "unbounded": [
        (1, "x", "ann", 1, 2, None, "2024-01-01", "2024-01-10"),
        (2, "x", "bob", 1, 2, None, None, None),
    ],
    "empty": [],
}
CASES_TEXT = r"""
dbt_utils.unique_combination_of_columns:
  - [good, 0, {combination_of_columns: [grp, name]}]
  - [bad, 2, {combination_of_columns: [id, grp]}]
  - [bad, 2, {combination_of_columns: [id, grp], quote_columns: true}]
  - [empty, 0, {combination_of_columns: [id]}]
  - [good, refused, {combination_of_columns: id}]
  - [good, refused, {combination_of_columns: []}]
dbt_utils.accepted_range:
  - [good, 0, {column_name: amount, min_value: 10, max_value: 30}]
  - [good, 2, {column_name: amount, min_value: 10, max_value: 30, inclusive: false}]
  - [bad, 2, {column_name: amount, min_value: 0, max_value: 100}]
  - [bad, 1, {column_name: amount, max_value: ceiling}]
  - [bad, 1, {column_name: amount, min_value: 0}]
  - [good, refused, {column_name: amount}]
dbt_utils.expression_is_true:
  - [good, 0, {expression: "amount <= ceiling"}]
  - [bad, 1, {expression: "amount <= ceiling"}]
  - [bad, 1, {expression: "> 0", column_name: amount}]
  - [bad, 2, {expression: "amount > 0 and amount < 100"}]
  - [bad, 2, {expression: "id = 4 or grp = 'y'"}]
  - [good, refused, {expression: ""}]
dbt_utils.mutually_exclusive_ranges:
  - [good, 0, {partition_by: grp, lower_bound_column: starts, upper_bound_column: ends}]
  - [good, 2, {lower_bound_column: starts, upper_bound_column: ends}]
  - [good, 0, {partition_by: grp, gaps: not_allowed, lower_bound_column: starts,
     upper_bound_column: ends}]
  - [good, 1, {partition_by: grp, gaps: required, lower_bound_column: starts,
     upper_bound_column: ends}]
  - [bad, 4, {partition_by: grp, lower_bound_column: starts, upper_bound_column: ends}]
  - [bad, 3, {partition_by: grp, zero_length_range_allowed: true, lower_bound_column: starts,
     upper_bound_column: ends}]
  - [bad, 4, {partition_by: grp, gaps: not_allowed, lower_bound_column: starts,
     upper_bound_column: ends}]
  - [bad, 4, {gaps: required, lower_bound_column: starts, upper_bound_column: ends}]
  - [nulls, 3, {lower_bound_column: starts, upper_bound_column: ends}]
  - [unbounded, 2, {lower_bound_column: starts, upper_bound_column: ends}]
  - [empty, 0, {lower_bound_column: starts, upper_bound_column: ends}]
  - [good, refused, {gaps: sometimes, lower_bound_column: starts, upper_bound_column: ends}]
dbt_utils.not_empty_string:
  - [good, 0, {column_name: name}]
  - [bad, 2, {column_name: name}]
  - [bad, 1, {column_name: name, trim_whitespace: false}]
dbt_utils.at_least_one:
  - [good, 0, {column_name: name}]
  - [bad, 0, {column_name: ends}]
  - [nulls, 1, {column_name: name}]
  - [empty, 1, {column_name: name}]
  - [nulls, 1, {column_name: amount, group_by_columns: [grp]}]
  - [nulls, 2, {column_name: name, group_by_columns: [grp]}]
  - [empty, 0, {column_name: name, group_by_columns: [grp]}]
  - [good, refused, {column_name: name, group_by_columns: grp}]
dbt_utils.equal_rowcount:
  - [good, 0, {compare_model: "ref('nulls')"}]
  - [bad, 3, {compare_model: "ref('good')"}]
  - [good, 3, {compare_model: "ref('bad')"}]
  - [bad, 1, {compare_model: "ref('good')", group_by_columns: [grp]}]
  - [good, 0, {compare_model: "ref('empty')"}]
  - [empty, error, {compare_model: "ref('empty')"}]
dbt_utils.relationships_where:
  - [good, 0, {column_name: id, to: "ref('good')", field: id}]
  - [bad, 1, {column_name: id, to: "ref('good')", field: id}]
  - [bad, 0, {column_name: id, to: "ref('good')", field: id, from_condition: "grp <> 'y'"}]
  - [bad, 3, {column_name: id, to: "ref('good')", field: id, to_condition: "id > 1"}]
dbt_utils.recency:
  - [good, 0, {field: starts, datepart: day, interval: 100000}]
  - [good, 1, {field: starts, datepart: day, interval: 1}]
  - [bad, 3, {field: starts, datepart: day, interval: 1, group_by_columns: [grp]}]
  - [nulls, 1, {field: starts, datepart: day, interval: 100000}]
  - [empty, 1, {field: starts, datepart: day, interval: 1}]
  - [fresh, 0, {field: seen_at, datepart: hour, interval: 1}]
  - [fresh, 1, {field: seen_at, datepart: minute, interval: 10}]
  - [fresh, 0, {field: seen_at, datepart: day, interval: 1, ignore_time_component: true}]
  - [good, refused, {field: starts, datepart: day, interval: one}]
dbt_expectations.expect_table_row_count_to_be_between:
  - [good, 0, {min_value: 3, max_value: 3}]
  - [good, 1, {min_value: 3, strictly: true}]
  - [bad, 1, {max_value: 5}]
  - [empty, 1, {min_value: 1}]
  - [good, 1, {min_value: 2, group_by: [grp]}]
  - [empty, 0, {min_value: 2, group_by: [grp]}]
  - [bad, 1, {min_value: 3, row_condition: "id = 1"}]
  - [good, refused, {}]
dbt_expectations.expect_column_values_to_be_between:
  - [good, 0, {column_name: amount, min_value: 10, max_value: 30}]
  - [good, 2, {column_name: amount, min_value: 10, max_value: 30, strictly: true}]
  - [bad, 2, {column_name: amount, min_value: 0, max_value: 100}]
  - [bad, 1, {column_name: amount, min_value: 0, max_value: 100, row_condition: "grp = 'x' or
     grp = 'z'"}]
  - [good, refused, {column_name: amount}]
dbt_expectations.expect_column_values_to_match_regex:
  - [good, 1, {column_name: mail, regex: "^[a-z]+@[a-z]+[.]de$"}]
  - [good, 0, {column_name: mail, regex: "^[a-z]+@[a-z]+[.]de$", flags: i}]
  - [bad, 5, {column_name: mail, regex: "^[a-z]+@[a-z]+[.]de$"}]
  - [bad, 3, {column_name: mail, regex: "^[a-z]+@[a-z]+[.]de$", flags: i, row_condition: "mail
     is not null"}]
  - [good, 0, {column_name: mail, regex: "x*"}]
  - [good, 0, {column_name: mail, regex: '^\S+@(b|c|d)+\.de$', is_raw: true}]
  - [good, refused, {column_name: mail, regex: "^[a-z]+@[a-z]+[.]de$", flags: "i!"}]
dbt_expectations.expect_column_values_to_not_match_regex:
  - [good, 0, {column_name: mail, regex: x}]
  - [bad, 1, {column_name: mail, regex: "^[a-z]+@[a-z]+[.]de$"}]
  - [bad, 2, {column_name: mail, regex: "^[a-z]+@[a-z]+[.]de$", flags: i}]
  - [bad, 1, {column_name: mail, regex: "^[a-z]+@[a-z]+[.]de$", flags: i, row_condition: "id >
     1"}]
dbt_expectations.expect_column_values_to_be_in_set:
  - [good, 0, {column_name: grp, value_set: [x, "y"]}]
  - [bad, 2, {column_name: grp, value_set: [x, "y"]}]
  - [bad, 4, {column_name: amount, value_set: [10, 500], quote_values: false}]
  - [bad, 1, {column_name: name, value_set: [ann, "  ", "", "o''neill"], row_condition: "id is
     not null"}]
  - [good, refused, {column_name: grp, value_set: x}]
dbt_expectations.expect_column_value_lengths_to_be_between:
  - [good, 0, {column_name: name, min_value: 3, max_value: 4}]
  - [good, 1, {column_name: name, max_value: 4, strictly: true}]
  - [bad, 2, {column_name: name, min_value: 3}]
  - [bad, 1, {column_name: name, min_value: 3, row_condition: "grp = 'x'"}]
dbt_expectations.expect_compound_columns_to_be_unique:
  - [good, 0, {column_list: [id, grp]}]
  - [bad, 2, {column_list: [id, grp]}]
  - [bad, 1, {column_list: [id, grp], ignore_row_if: any_value_is_missing}]
  - [bad, 1, {column_list: [id, grp], quote_columns: true, row_condition: "grp <> 'z'"}]
  - [nulls, 0, {column_list: [id, name]}]
  - [good, refused, {column_list: [id], ignore_row_if: never}]
dbt_expectations.expect_column_values_to_be_unique:
  - [good, 0, {column_name: id}]
  - [bad, 1, {column_name: id}]
  - [bad, 3, {column_name: grp}]
  - [bad, 1, {column_name: grp, row_condition: "id is null"}]
dbt_expectations.expect_column_values_to_not_be_null:
  - [good, 0, {column_name: id}]
  - [bad, 3, {column_name: id}]
  - [bad, 1, {column_name: id, row_condition: "grp = 'y'"}]
dbt_expectations.expect_column_pair_values_A_to_be_greater_than_B:
  - [good, 0, {column_A: ceiling, column_B: amount, or_equal: true}]
  - [good, 1, {column_A: ceiling, column_B: amount}]
  - [bad, 1, {column_A: ceiling, column_B: amount}]
  - [bad, 0, {column_A: ceiling, column_B: amount, row_condition: "grp <> 'y'"}]
dbt_expectations.expect_table_columns_to_contain_set:
  - [good, 0, {column_list: [ID, name]}]
  - [good, 2, {column_list: [id, a, b]}]
  - [good, 0, {column_list: [ID], transform: lower}]
  - [good, refused, {column_list: []}]
dbt_expectations.expect_column_to_exist:
  - [good, 0, {column_name: name}]
  - [good, 0, {column_name: NAME, column_index: 3}]
  - [good, 1, {column_name: name, column_index: 2}]
  - [good, 1, {column_name: nickname}]
  - [good, 1, {column_name: nickname, column_index: 1}]
"""


@dataclass(frozen=True)
class Case:
    """One generic test on one model: how many failures it must have.

    `error`: dbt cannot evaluate it, with the real package neither. `refused`: so can't a stand-in,
    by a message of its own; with a real one that may stop the whole project, or even pass.
    """

    name: str
    test: str
    model: str
    failures: int | str
    arguments: dict[str, Any]


CASES = [
    Case(f"{test.split('.')[1].lower()}_{number}", test, *written)
    for test, cases in yaml.safe_load(CASES_TEXT).items()
    for number, written in enumerate(cases, start=1)
]

MODELS = {
    "fresh": "select {{ dbt.dateadd('minute', -30, dbt.current_timestamp()) }} as seen_at",
    "keys": """
        select
            id,
            {{ dbt_utils.generate_surrogate_key(['id', 'grp', 'name']) }} as three,
            {{ dbt_utils.generate_surrogate_key(['id']) }} as one
        from {{ ref('bad') }}
    """,
    "days": """{{ dbt_utils.date_spine(
        "day", "cast('2024-02-27' as date)", "cast('2024-03-02' as date)") }}""",
    "hours": """
        with hours as ({{ dbt_utils.date_spine(
            "hour", "cast('2024-01-01' as timestamp)", "cast('2024-04-01' as timestamp)") }})
        select * from hours
    """,
    "grouped": """
        select grp, name, count(*) as n from {{ ref('bad') }} {{ dbt_utils.group_by(2) }}
    """,
    "starred": """
        select {{ dbt_utils.star(ref('good'), except=['MAIL', 'starts']) }} from {{ ref('good') }}
    """,
    "aliased": """
        select {{ dbt_utils.star(
            ref('good'), relation_alias='g', except=['grp', 'starts', 'ends', 'mail', 'ceiling'],
            prefix='p_', suffix='_s', rename={'ID': 'key'}) }}
        from {{ ref('good') }} as g
    """,
}


def rows_sql(rows: list[tuple[Any, ...]]) -> str:
    def literal(value: Any, kind: str) -> str:
        return f"cast({'null' if value is None else repr(value)} as {kind})"

    selects = [
        "select "
        + ", ".join(f"{literal(v, t)} as {c}" for v, t, c in zip(row, TYPES, COLUMNS, strict=True))
        for row in rows or [(None,) * len(COLUMNS)]
    ]
    return (
        " union all ".join(selects) if rows else f"select * from ({selects[0]}) as nothing limit 0"
    )


# --- a dbt project with all of them --------------------------------------------------------------


class Outcome(NamedTuple):
    """What one test gave: its failures or `error`, and what dbt said."""

    failures: int | str
    message: str


Outcomes = dict[str, Outcome]


def write_project(folder: Path, named: list[dict[str, str]] | None = None, name: str = "p") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dbt_project.yml").write_text(
        yaml.safe_dump({"name": name, "profile": "p", "model-paths": ["models"]})
    )
    (folder / "packages.yml").write_text(
        yaml.safe_dump({"packages": HUB if named is None else named})
    )
    return folder


def write_cases(folder: Path, database: Any, schema: str, cases: list[Case]) -> None:
    output = {
        "type": "postgres",
        "host": database.host,
        "port": database.port,
        "user": database.user,
        "password": database.password or "unused",
        "dbname": database.dbname,
        "schema": schema,
        "threads": 4,
    }
    profiles = {"p": {"target": "t", "outputs": {"t": output}}}
    (folder / "profiles.yml").write_text(yaml.safe_dump(profiles))
    models = folder / "models"
    models.mkdir()
    for name, rows in ROWS.items():
        (models / f"{name}.sql").write_text(rows_sql(rows))
    for name, sql in MODELS.items():
        (models / f"{name}.sql").write_text(textwrap.dedent(sql))
    properties: dict[str, list[Any]] = {name: [] for name in [*ROWS, *MODELS]}
    for each in cases:
        test = {"name": each.name, "arguments": each.arguments}
        properties[each.model].append({each.test: test})
    listed = [{"name": name, "data_tests": tests} for name, tests in properties.items()]
    (models / "models.yml").write_text(yaml.safe_dump({"models": listed}))


def dbt(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [*DBT, *words, "--project-dir", str(folder), "--profiles-dir", str(folder)]
    env = {**os.environ, **NO_TELEMETRY}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


def build(folder: Path, database: Any, schema: str, cases: list[Case]) -> Outcomes:
    """Build the project; what every test gave."""
    write_cases(folder, database, schema, cases)
    # a build stops at what a failed test guards; here nothing may be skipped
    done = dbt(folder, "run")
    assert done.returncode == 0, done.stdout
    dbt(folder, "test")
    results = json.loads((folder / "target" / "run_results.json").read_text())["results"]
    assert results, "dbt ran no test"
    return {
        each["unique_id"].split(".")[2]: Outcome(
            "error" if each["status"] == "error" else each["failures"], each["message"] or ""
        )
        for each in results
    }


def query(database: Any, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(
        host=database.host,
        port=database.port,
        user=database.user,
        password=database.password or None,
        dbname=database.dbname,
    ) as connection:
        return connection.execute(sql.encode()).fetchall()


HUB = [
    {"package": "dbt-labs/dbt_utils", "version": "1.4.1"},
    {"package": "metaplane/dbt_expectations", "version": "0.10.10"},
    {"package": "elementary-data/elementary", "version": "0.25.1"},
]
NAMES = ("dbt_utils", "dbt_expectations", "elementary")
EXPECTED = {each.name: each.failures for each in CASES}


@pytest.fixture(scope="module")
def stand_ins(database: Any, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    folder = write_project(tmp_path_factory.mktemp("stand_ins"))
    install_packages(folder, offline=True)
    return build(folder, database, "stand_ins", CASES)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_stand_in_gives_the_expected_failures(stand_ins: Outcomes, name: str) -> None:
    expected = "error" if EXPECTED[name] == "refused" else EXPECTED[name]
    assert stand_ins[name].failures == expected, stand_ins[name].message


def test_every_stand_in_is_tried_on_good_and_bad_rows() -> None:
    tests = {
        f"{path.parents[1].name}.{path.stem}"
        for path in packages.STAND_INS.glob("*/macros/*.sql")
        if "{% test " in path.read_text()
    }
    passing = {each.test for each in CASES if each.failures == 0}
    failing = {each.test for each in CASES if isinstance(each.failures, int) and each.failures}
    assert len(tests) == 21
    assert tests == passing == failing


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def test_the_surrogate_key_is_the_hash_that_dbt_utils_makes(
    stand_ins: Outcomes, database: Any
) -> None:
    null = "_dbt_utils_surrogate_key_null_"
    found = set(query(database, "select three, one from stand_ins.keys"))
    assert found == {
        (md5("-".join(null if v is None else str(v) for v in row[:3])), md5(str(row[0] or null)))
        for row in ROWS["bad"]
    }


def test_the_macros_give_the_expected_rows(stand_ins: Outcomes, database: Any) -> None:
    days = query(database, "select cast(date_day as text) from stand_ins.days order by 1")
    assert [day[:10] for (day,) in days] == [
        "2024-02-27",
        "2024-02-28",
        "2024-02-29",
        "2024-03-01",
    ]
    hours = "select count(*), count(distinct date_hour), max(date_hour)::text from stand_ins.hours"
    assert query(database, hours) == [(91 * 24, 91 * 24, "2024-03-31 23:00:00")]
    assert len(query(database, "select * from stand_ins.grouped")) == 5
    columns = """
        select table_name, string_agg(column_name, ' ' order by ordinal_position)
        from information_schema.columns
        where table_schema = 'stand_ins' and table_name in ('starred', 'aliased')
        group by table_name order by table_name
    """
    assert query(database, columns) == [
        ("aliased", "key p_name_s p_amount_s"),
        ("starred", "id grp name amount ceiling ends"),
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "unique_combination_of_columns_5",
            "dbt_utils.unique_combination_of_columns: `combination_of_columns` must be a list of "
            'column names with at least one in it, found: "id"',
        ),
        (
            "mutually_exclusive_ranges_12",
            "dbt_utils.mutually_exclusive_ranges: `gaps` must be one of not_allowed, allowed, "
            'required, found: "sometimes"',
        ),
        (
            "expect_column_values_to_be_between_5",
            "dbt_expectations.expect_column_values_to_be_between: `min_value, max_value` must be "
            "given, at least one of the two, found: null",
        ),
        (
            "expect_column_values_to_match_regex_7",
            "dbt_expectations.expect_column_values_to_match_regex: `flags` must be made of the "
            'letters bcegimnpqstwx, found: "i!"',
        ),
    ],
)
def test_a_bad_argument_is_refused_by_name(stand_ins: Outcomes, name: str, said: str) -> None:
    assert said in stand_ins[name].message


@pytest.mark.skipif(
    not REAL_PACKAGES.is_dir(), reason="needs the real packages: set RAMPART_REAL_PACKAGES"
)
def test_the_real_packages_give_the_same(
    stand_ins: Outcomes, database: Any, tmp_path: Path
) -> None:
    folder = write_project(tmp_path)
    for each in REAL_PACKAGES.iterdir():
        if each.name.startswith("dbt_"):
            shutil.copytree(each, folder / "dbt_packages" / each.name, symlinks=True)
    shutil.copytree(packages.STAND_INS / "elementary", folder / "dbt_packages" / "elementary")
    cases = [each for each in CASES if each.failures != "refused"]
    found = build(folder, database, "real_packages", cases)
    assert {name: outcome.failures for name, outcome in found.items()} == {
        each.name: stand_ins[each.name].failures for each in cases
    }
    for model in ("keys", "days", "hours", "grouped", "starred", "aliased"):
        both = f"""
            (select cast(s as text) from stand_ins.{model} as s
             except all select cast(r as text) from real_packages.{model} as r)
            union all
            (select cast(r as text) from real_packages.{model} as r
             except all select cast(s as text) from stand_ins.{model} as s)
        """
        assert query(database, both) == [], model


# --- how they get into place ---------------------------------------------------------------------


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def a_real_package(folder: Path, name: str, needs: str = "") -> Path:
    (folder / name / "macros").mkdir(parents=True)
    (folder / name / "dbt_project.yml").write_text(f"name: {name}\nversion: 1.2.3\n")
    (folder / name / "macros" / "one.sql").write_text("{% macro one() %}1{% endmacro %}")
    if needs:
        (folder / name / "packages.yml").write_text(
            f"packages: [{{package: a/{needs}, version: 1.0.0}}]"
        )
    return folder / name


def nothing_left_over(project: Path) -> bool:
    names = [path.name for path in [*project.iterdir(), *(project / "dbt_packages").iterdir()]]
    return not [name for name in names if name.startswith((".", "__"))]


def assert_whole_stand_ins(project: Path) -> None:
    for name in NAMES:
        assert tree(project / "dbt_packages" / name) == tree(packages.STAND_INS / name)
        assert not (project / "dbt_packages" / name).is_symlink()


def test_without_the_hub_the_stand_ins_are_put_in_place_and_dbt_takes_them(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    assert packages_status(project) is None
    report = install_packages(project, reachable=lambda: False)
    assert report.source == "stand-ins"
    assert report.packages == NAMES
    assert report.message == (
        "packages: Rampart's stand-ins for dbt_utils, dbt_expectations, elementary; the "
        "Elementary report needs the real one (the dbt package hub cannot be reached)"
    )
    assert_whole_stand_ins(project)
    assert nothing_left_over(project)
    status = packages_status(project)
    assert status is not None
    assert (status.source, status.packages) == ("stand-ins", NAMES)


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    install_packages(project, offline=True)
    before = {path: path.stat().st_mtime_ns for path in (project / "dbt_packages").rglob("*")}
    install_packages(project, offline=True)
    after = {path: path.stat().st_mtime_ns for path in (project / "dbt_packages").rglob("*")}
    assert after == before


def test_a_stand_in_of_an_older_rampart_is_replaced(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    install_packages(project, offline=True)
    (project / "dbt_packages" / "dbt_utils" / "macros" / "star.sql").write_text("old")
    (project / "dbt_packages" / "dbt_utils" / "macros" / "gone.sql").write_text("old")
    install_packages(project, offline=True)
    assert_whole_stand_ins(project)


def test_offline_never_asks_the_hub(tmp_path: Path) -> None:
    def asked() -> bool:
        raise AssertionError

    assert install_packages(write_project(tmp_path), offline=True, reachable=asked).packages


def test_real_packages_are_never_replaced_by_stand_ins(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    real = [a_real_package(project / "dbt_packages", name) for name in NAMES]
    before = [tree(folder) for folder in real]
    report = install_packages(project, reachable=lambda: False)
    assert report.source == "present"
    assert [tree(folder) for folder in real] == before
    shutil.rmtree(real[0])
    report = install_packages(project, reachable=lambda: False)
    assert report.source == "stand-ins"
    assert "stand-ins for dbt_utils, the real dbt_expectations, elementary" in report.message
    assert [tree(folder) for folder in real[1:]] == before[1:]


@pytest.mark.parametrize("fault", ["no macros", "no dbt_project.yml", "needs dbt_date"])
def test_what_is_left_of_a_real_package_is_replaced(tmp_path: Path, fault: str) -> None:
    project = write_project(tmp_path)
    real = a_real_package(project / "dbt_packages", "dbt_expectations", "dbt_date")
    if fault == "no macros":
        shutil.rmtree(real / "macros")
    if fault == "no dbt_project.yml":
        (real / "dbt_project.yml").unlink()
    assert install_packages(project, offline=True).source == "stand-ins"
    assert_whole_stand_ins(project)


def test_a_package_that_nobody_can_bring_is_named_and_nothing_is_changed(tmp_path: Path) -> None:
    project = write_project(tmp_path, [*HUB, {"package": "a/codegen", "version": "1.0.0"}])
    with pytest.raises(PackagesError, match=r"package codegen is not .*: connect and type `ra"):
        install_packages(project, reachable=lambda: False)
    assert list((project / "dbt_packages").iterdir()) == []
    a_real_package(project / "dbt_packages", "codegen")
    assert install_packages(project, reachable=lambda: False).packages == (*NAMES, "codegen")


def test_a_local_package_is_linked_and_brings_what_it_names(tmp_path: Path, database: Any) -> None:
    write_project(tmp_path / "rampart", name="rampart")
    consumer = write_project(tmp_path / "rampart" / "examples" / "one", [{"local": "../.."}])
    report = install_packages(consumer, offline=True)
    assert set(report.packages) == {"rampart", *NAMES}
    link = consumer / "dbt_packages" / "rampart"
    assert link.is_symlink()
    assert link.resolve() == (tmp_path / "rampart").resolve()
    assert_whole_stand_ins(consumer)
    write_cases(consumer, database, "consumer", CASES[:1])
    assert dbt(consumer, "parse").returncode == 0
    (tmp_path / "elsewhere").mkdir()
    link.unlink()
    link.symlink_to(tmp_path / "elsewhere")
    install_packages(consumer, offline=True)
    assert link.resolve() == (tmp_path / "rampart").resolve()
    assert (tmp_path / "elsewhere").is_dir()


def test_local_packages_alone_need_no_hub(tmp_path: Path) -> None:
    write_project(tmp_path / "lib", [], name="lib")
    project = write_project(tmp_path / "p", [{"local": "../lib"}])
    report = install_packages(project, reachable=lambda: pytest.fail("the hub was asked"))
    assert report == packages.PackagesReport(
        "present", ("lib",), "packages: lib present (nothing to fetch)"
    )


def test_git_dependencies_yml_and_another_install_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write_project(tmp_path, [])
    git = {"git": "https://user:secret@git.example/dbt-labs/dbt-utils.git", "revision": "1.4.1"}
    (project / "dependencies.yml").write_text(yaml.safe_dump({"packages": [git]}))
    with (project / "dbt_project.yml").open("a") as file:
        file.write("packages-install-path: \"{{ env_var('WHERE_TO', 'vendor') }}\"\n")
    assert install_packages(project, offline=True).packages == ("dbt_utils",)
    assert (project / "vendor" / "dbt_utils" / "macros").is_dir()
    monkeypatch.setenv("WHERE_TO", "deep/down")
    assert "secret" not in install_packages(project, offline=True).message
    assert (project / "deep" / "down" / "dbt_utils" / "macros").is_dir()


@pytest.mark.parametrize("content", ["packages: [", "- dbt_utils", "packages: dbt_utils"])
def test_an_unreadable_packages_yml_is_named(tmp_path: Path, content: str) -> None:
    project = write_project(tmp_path)
    (project / "packages.yml").write_text(content)
    with pytest.raises(PackagesError, match=r"packages\.yml"):
        install_packages(project, offline=True)


# --- killed in the middle, and a hub that fails --------------------------------------------------

KILLED_WHILE_COPYING = """
import os, pathlib, shutil, sys
from monitors.warehouse import packages

def half(source, target, *rest, **more):
    if "dbt_utils" in os.fspath(source):  # also its subfolders, which copytree copies by itself
        return copytree(source, target, *rest, **more)
    target.mkdir()
    shutil.copy(source / "dbt_project.yml", target)
    os._exit(9)

copytree, shutil.copytree = shutil.copytree, half
packages.install_packages(pathlib.Path(sys.argv[1]), offline=True)
"""
KILLED_WHILE_FETCHING = """
import os, pathlib, sys
from monitors.warehouse import packages

def half(project, timeout):
    (project / "dbt_packages" / "dbt_utils").mkdir(parents=True)
    os._exit(9)

packages._dbt_deps = half
packages.install_packages(pathlib.Path(sys.argv[1]), reachable=lambda: True)
"""


def run_killed(script: str, project: Path) -> None:
    root = Path(packages.__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": str(root)}
    killed = subprocess.run([sys.executable, "-c", script, str(project)], env=env)
    assert killed.returncode == 9


def test_a_kill_while_copying_leaves_no_half_package(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    run_killed(KILLED_WHILE_COPYING, project)
    there = [p for p in (project / "dbt_packages").iterdir() if not p.name.startswith("__")]
    assert [path.name for path in there] == ["dbt_utils"]
    assert tree(there[0]) == tree(packages.STAND_INS / "dbt_utils")
    install_packages(project, offline=True)
    assert_whole_stand_ins(project)
    assert nothing_left_over(project)


def test_a_kill_while_fetching_loses_no_real_package(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    for name in NAMES:
        a_real_package(project / "dbt_packages", name)
    before = tree(project / "dbt_packages")
    run_killed(KILLED_WHILE_FETCHING, project)
    assert tree(project / "dbt_packages") == {}
    assert install_packages(project, offline=True).source == "present"
    assert tree(project / "dbt_packages") == before
    assert nothing_left_over(project)


def test_a_dbt_deps_that_takes_too_long_puts_back_what_was_there(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    a_real_package(project / "dbt_packages", "dbt_utils")
    report = install_packages(project, reachable=lambda: True, timeout=0.2)
    assert report.source == "stand-ins"
    assert report.message.endswith("(`dbt deps` took longer than 0.2 s)")
    assert (project / "dbt_packages" / "dbt_utils" / "macros" / "one.sql").is_file()


def tarball(name: str) -> bytes:
    files = {
        "dbt_project.yml": f"name: {name}\nversion: 1.2.3\n",
        "macros/one.sql": "{% macro one() %}1{% endmacro %}",
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, text in files.items():
            info = tarfile.TarInfo(f"{name}-1.2.3/{path}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A package hub on loopback; `state.broken` makes it serve torn archives."""
    state = SimpleNamespace(broken=False)

    class Hub(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rsplit("/", 1)[-1].split(".")[0]
            body = tarball(name)[: 40 if state.broken else None]
            if self.path.endswith("index.json"):
                body = json.dumps([each["package"] for each in HUB]).encode()
            elif self.path.endswith(".json"):
                version = next(h["version"] for h in HUB if h["package"].endswith(f"/{name}"))
                one = {
                    "id": f"a/{name}/{version}",
                    "name": name,
                    "version": version,
                    "packages": [],
                    "downloads": {"tarball": f"{state.address}tar/{name}.tar.gz"},
                }
                whole = {"name": name, "namespace": "a", "versions": {version: one}}
                body = json.dumps(whole).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        state.address = f"http://127.0.0.1:{server.server_port}/"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("DBT_PACKAGE_HUB_URL", state.address)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr("dbt.clients.registry.DEFAULT_REGISTRY_BASE_URL", state.address)
        yield state
        server.shutdown()


def test_with_the_hub_the_real_packages_replace_the_stand_ins(
    tmp_path: Path, hub: SimpleNamespace
) -> None:
    project = write_project(tmp_path)
    install_packages(project, offline=True)
    report = install_packages(project)
    assert report.source == "hub"
    assert report.packages == NAMES
    assert "dbt_utils, dbt_expectations, elementary from the dbt package hub" in report.message
    for name in NAMES:
        assert (project / "dbt_packages" / name / "macros" / "one.sql").is_file()
    assert nothing_left_over(project)
    status = packages_status(project)
    assert status is not None
    assert status.source == "present"


def test_a_hub_that_serves_rubbish_puts_back_what_was_there(
    tmp_path: Path, hub: SimpleNamespace
) -> None:
    project = write_project(tmp_path)
    a_real_package(project / "dbt_packages", "dbt_utils")
    before = tree(project / "dbt_packages" / "dbt_utils")
    hub.broken = True
    report = install_packages(project)
    assert report.source == "stand-ins"
    assert "`dbt deps` " in report.message
    assert "\n" not in report.message
    assert tree(project / "dbt_packages" / "dbt_utils") == before


def test_the_probe_says_no_within_three_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        monkeypatch.setattr("dbt.clients.registry.DEFAULT_REGISTRY_BASE_URL", address)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        start = time.monotonic()
        assert not packages.hub_is_reachable()
        assert time.monotonic() - start < 3.5


def test_the_module_is_imported_without_dbt() -> None:
    script = "import sys, monitors.warehouse.packages; sys.exit('dbt' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_a_project_without_packages_lacks_nothing(tmp_path: Path) -> None:
    """A foreign project may name none: nothing is asked of the hub, and doctor has no complaint."""
    (tmp_path / "dbt_project.yml").write_text("name: shop\n")
    status = packages_status(tmp_path)

    assert packages.ensure_packages(tmp_path) is None
    assert status is not None
    assert status.message.endswith("(packages.yml names none)")


def test_a_package_from_git_counts_by_the_folder_it_made(tmp_path: Path) -> None:
    """Its folder is called like its project, which the address does not tell."""
    (tmp_path / "dbt_project.yml").write_text("name: shop\n")
    (tmp_path / "packages.yml").write_text(
        "packages:\n  - git: https://git.example/dbt-audit-helper.git\n    revision: main\n"
    )
    missing = packages_status(tmp_path)
    a_real_package(tmp_path / "dbt_packages", "audit_helper")
    there = packages_status(tmp_path)

    assert missing is None
    assert there is not None
    assert "not in place" not in there.message
    assert packages.ensure_packages(tmp_path) is None


def test_its_own_package_is_named_by_a_variable(tmp_path: Path) -> None:
    """Wherever Rampart is installed: packages.yml holds no path of a machine."""
    (tmp_path / "dbt_project.yml").write_text("name: shop\n")
    (tmp_path / "packages.yml").write_text(
        "packages:\n  - local: \"{{ env_var('RAMPART_DBT_PACKAGE') }}\"\n"
    )
    install_packages(tmp_path, offline=True)

    assert (tmp_path / "dbt_packages" / "rampart" / "macros" / "scd2.sql").is_file()
    assert (tmp_path / "dbt_packages" / "dbt_utils" / "macros").is_dir()
