"""A red build leaves every view in place: dbt skips what stands upon a failed test, and only that.

Once on the project itself, then case by case on a small foreign project that uses our macros.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest
import yaml

from monitors import DataMonitor
from monitors.arrival.sample import write_sample
from monitors.results import Status
from monitors.store.migrate import available
from monitors.warehouse.connection import connect
from monitors.warehouse.dbt import environment
from monitors.warehouse.packages import install_packages
from monitors.warehouse.target import Target
from tests.conftest import ROOT, Server, copy_project

YESTERDAY = datetime.now(timezone.utc).date() - timedelta(days=1)
OF_THE_STORE = {
    f"monitoring.{name}"
    for _number, _name, text in available()
    for name in re.findall(r"create view monitoring\.(\w+)", text)
}
OURS = ["staging", "monitoring", "quarantine"]


@dataclass(frozen=True)
class Database:
    """A database to look into."""

    target: Target

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        with connect(self.target) as connection:
            return connection.execute(sql.encode()).fetchall()

    def run(self, *statements: str) -> None:
        with connect(self.target) as connection:
            for statement in statements:
                connection.execute(statement.encode())
            connection.commit()

    def views(self) -> dict[str, int]:
        """How many rows each view answers with; those of the store count what happened since."""
        names = self.rows(
            "select schemaname || '.' || viewname from pg_views"
            f" where schemaname = any(array{OURS}) order by 1"
        )
        found = {str(name): len(self.rows(f"select * from {name}")) for (name,) in names}
        return {name: rows for name, rows in found.items() if name not in OF_THE_STORE}


def test_a_failed_mart_test_leaves_every_view_answering(
    warehouse: Target, tmp_path: Path, use: Callable[[Target], None]
) -> None:
    """A test of fact_events fails, in a plain build and in a full refresh: no check is an error."""
    use(warehouse)
    at = Database(warehouse)
    project = copy_project(tmp_path / "project")
    write_sample(project / "landing", last_day=YESTERDAY, days=2, scale=0.05)
    (project / "landing" / "clickstream" / f"events_{YESTERDAY}.jsonl.gz").unlink()
    DataMonitor(project).load()
    assert 0 == DataMonitor(project).build().exit_code
    before = at.views()
    described = project / "models" / "marts" / "clickstream" / "_clickstream__marts.yml"
    text = described.read_text()
    visitor = "        description: The visitor.\n"
    assert visitor in text
    nobody = 'accepted_values: {arguments: {values: [nobody]}, config: {where: "true"}}'
    described.write_text(text.replace(visitor, f"{visitor}        data_tests: [{{{nobody}}}]\n", 1))
    for full_refresh in (False, True):
        verdict = DataMonitor(project).build(full_refresh=full_refresh)

        assert 1 == verdict.exit_code
        assert before == at.views()
    scanned = DataMonitor(project).scan(["arrival", "clickstream", "salesforce", "air_quality"])

    assert [] == [r.check_id for r in scanned.results if r.status is Status.ERROR]
    assert [] == at.rows("select * from monitoring.conservation where unaccounted <> 0")


# --- case by case ------------------------------------------------------------------------------

MODELS = {
    "left_table": "{{ config(materialized='table') }} select {{ var('left', '1 as a') }}",
    "right_table": "{{ config(materialized='table') }} select {{ var('right', '2 as b') }}",
    "below": "select {{ var('below', '10 as c, 20 as d') }}",
    "upon": "select * from {{ ref('below') }}",
    "top": "select upon.*, l.a, right_table.b from {{ ref('upon') }} as upon"
    " cross join {{ ref('left_table') }} as l cross join {{ ref('right_table') }}",
}


@dataclass(frozen=True)
class Small(Database):
    """Five models: `top` reads two tables and the view `upon`, which reads the view `below`."""

    project: Path

    def build(self, *arguments: str, red: bool = True, **variables: str) -> None:
        """`dbt build`; when red, a test of each of the lower three models fails."""
        done = subprocess.run(
            [sys.executable, "-m", "dbt.cli.main", "build", *arguments,
             "--vars", yaml.safe_dump({**variables, "red": red})],
            cwd=self.project, capture_output=True, text=True, check=False,
            env={**os.environ, **environment(self.target, self.project)},
        )  # fmt: skip

        assert int(red) == done.returncode, done.stdout
        assert "Database Error" not in done.stdout, done.stdout


@pytest.fixture(scope="module")
def small_project(embedded_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Small:
    project = tmp_path_factory.mktemp("small")
    search = ["small", "rampart", "dbt"]
    (project / "dbt_project.yml").write_text(
        yaml.safe_dump(
            {
                "name": "small",
                "profile": "small",
                "dispatch": [{"macro_namespace": "dbt", "search_order": search}],
            }
        )
    )
    (project / "packages.yml").write_text(f"packages: [{{local: '{ROOT / 'package'}'}}]\n")
    (project / "models").mkdir()
    for name, sql in MODELS.items():
        (project / "models" / f"{name}.sql").write_text(sql)
    (project / "tests").mkdir()
    for name in ("left_table", "right_table", "below"):
        test = f"select * from {{{{ ref('{name}') }}}} where {{{{ var('red') }}}}"
        (project / "tests" / f"assert_nothing_in_{name}.sql").write_text(test)
    install_packages(project, offline=True)
    return Small(embedded_server.new_database(), project)


@pytest.fixture
def small(small_project: Small, use: Callable[[Target], None]) -> Small:
    """Built once, all green, in an empty schema."""
    use(small_project.target)
    small_project.run(
        f"drop schema if exists {small_project.target.schema} cascade",
        f"create schema {small_project.target.schema}",
    )
    small_project.build(red=False)
    return small_project


def in_schema(at: Small, name: str) -> str:
    return f"{at.target.schema}.{name}"


def test_views_read_what_was_built_and_not_what_it_replaced(small: Small) -> None:
    """Two tables and a view are swapped at the same time, by several threads."""
    for number in range(2):
        small.build(below=f"{number} as c, 20 as d", left=f"{number} as a", right=f"{number} as b")

        top = small.rows(f"select * from {in_schema(small, 'top')}")
        assert [(number, 20, number, number)] == top
    assert [] == small.rows("select relname from pg_class where relname like '%dbt_backup%'")


def test_a_new_column_leaves_the_views_that_do_not_know_it(small: Small) -> None:
    small.build(below="1 as c, 2 as d, 3 as e")

    assert [(1, 2, 1, 2)] == small.rows(f"select * from {in_schema(small, 'top')}")


def test_columns_that_no_longer_fit_are_built_anew(small: Small) -> None:
    """Another type, and a column gone: as without us, and in a green build nobody notices."""
    small.build(red=False, below="cast('x' as text) as c, 20 as d")
    assert [("x", 20, 1, 2)] == small.rows(f"select * from {in_schema(small, 'top')}")

    small.build(red=False, below="'y' as c")
    assert [("y", 1, 2)] == small.rows(f"select * from {in_schema(small, 'top')}")


def test_other_peoples_views_keep_grants_comments_and_options(small: Small) -> None:
    """A view that dbt does not know, with a name that needs quotes, survives a full refresh."""
    mine = in_schema(small, '"Its View"')
    small.run(
        f"create view {mine} with (security_barrier=true) as"
        f" select x.a, 'it''s' as word from {in_schema(small, 'left_table')} as x",
        f"grant select on {mine} to public",
        f"comment on view {mine} is 'mine'",
    )
    state = (
        "select reloptions, relacl, obj_description(oid) from pg_class where relname = 'Its View'"
    )
    before = small.rows(state)
    small.build("--full-refresh", left="7 as a", red=False)

    assert [(7, "it's")] == small.rows(f"select * from {mine}")
    assert before == small.rows(state)


def test_what_a_killed_build_left_is_put_right(small: Small) -> None:
    """Killed between swap and drop: the views still read the old relation."""
    below, backup = in_schema(small, "below"), "below__dbt_backup"
    small.run(
        f"alter view {below} rename to {backup}",
        f"create view {below} as select 11 as c, 20 as d",
    )
    small.build()

    assert [(10, 20, 1, 2)] == small.rows(f"select * from {in_schema(small, 'top')}")
    assert [] == small.rows("select relname from pg_class where relname like '%dbt_backup%'")


def test_a_foreign_project_that_does_not_ask_for_it_keeps_dbts_own_way(
    small: Small, tmp_path: Path
) -> None:
    """Without `dispatch` nothing of dbt changes."""
    project = tmp_path / "plain"
    shutil.copytree(small.project, project, symlinks=True)
    (project / "dbt_project.yml").write_text("name: small\nprofile: small\n")
    install_packages(project, offline=True)
    plain = Small(small.target, project)
    plain.build()

    with pytest.raises(psycopg.errors.UndefinedTable):
        plain.rows(f"select * from {in_schema(small, 'top')}")
