"""`rampart init` in a project of somebody else: a seed, three marts, its own profile and schemas.

The project is built once for the module by plain dbt; each test gets a copy of its folder.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from monitors import DataMonitor
from monitors.results import Status
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.conftest import ROOT

PROJECT = {
    "dbt_project.yml": """
name: shop
version: '1.0'
profile: shop
models:
  shop:
    marts: {+schema: marts, +materialized: table}
""",
    "models/staging/stg_orders.sql": """
select
    order_id,
    customer_id,
    now() - minutes_ago * interval '1 minute' as ordered_at,
    status,
    amount
from {{ ref('raw_orders') }}
""",
    "models/marts/fct_orders.sql": "select * from {{ ref('stg_orders') }}",
    "models/marts/dim_customers.sql": """
select
    customer_id,
    min(ordered_at) as first_order_at,
    nullif(sum(amount), 0) as lifetime_value
from {{ ref('stg_orders') }}
group by customer_id
""",
    "models/marts/dim_plans.sql": """
with

plans as (
    select distinct
        customer_id,
        status as plan
    from {{ ref('stg_orders') }}
),

ordered as (
    select
        *,
        date '2026-01-01'
        + 10 * cast(row_number() over (partition by customer_id order by plan) as int)
            as valid_from
    from plans
)

select
    *,
    lead(valid_from) over (partition by customer_id order by valid_from) as valid_to,
    lead(valid_from) over (partition by customer_id order by valid_from) is null as is_current
from ordered
""",
    "models/marts/_marts.yml": """
models:
  - name: fct_orders
    config: {meta: {owner: sales@shop.example}}
    columns:
      - name: order_id
        data_tests: [unique, not_null]
""",
}


def build_shop(folder: Path, target: Target) -> Path:
    """40 days of orders up to now, several hundred a day, in the schemas of a developer."""
    for name, text in PROJECT.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip())
    chance = random.Random(7)
    rows = ["order_id,customer_id,minutes_ago,status,amount"]
    rows += [
        f"{number},{number % 90},{chance.randrange(40 * 24 * 60) if number else 1},"
        f"{chance.choice(('open', 'paid', 'sent'))},{chance.randrange(500, 9000) / 100}"
        for number in range(4000)
    ]
    (folder / "seeds").mkdir()
    (folder / "seeds" / "raw_orders.csv").write_text("\n".join(rows) + "\n")
    output = {
        "type": "postgres", "host": target.host, "port": target.port, "user": target.user,
        "password": target.password, "dbname": target.dbname, "schema": "dev_anna", "threads": 2,
    }  # fmt: skip
    profile = {"shop": {"target": "dev", "outputs": {"dev": output}}}
    (folder / "profiles.yml").write_text(yaml.safe_dump(profile))
    subprocess.run(
        [sys.executable, "-m", "dbt.cli.main", "--quiet", "build", "--profiles-dir", str(folder)],
        cwd=folder, check=True, stdout=subprocess.DEVNULL,
        env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, database: Target) -> Path:
    return build_shop(tmp_path_factory.mktemp("built") / "shop", database)


@pytest.fixture(scope="module")
def initialised(built: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A copy in which `rampart init` has run once, and what it said."""
    folder = shutil.copytree(built, tmp_path_factory.mktemp("initialised") / "shop")
    done = rampart(folder, "init", DBT_PROFILES_DIR=str(folder))
    assert (0, "") == (done.returncode, done.stderr)
    return folder, done.stdout


@pytest.fixture
def shop(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The built project as its owner has it; its own profiles.yml says where."""
    monkeypatch.delenv("DBT_PROFILES_DIR")  # where the other tests have no profile
    return Path(shutil.copytree(built, tmp_path / "shop"))


def rampart(
    folder: Path, *arguments: str, path: Path = ROOT, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "monitors.cli", "--log-level", "error", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(path), **variables},
    )


def checks_in(folder: Path) -> dict[str, list[str]]:
    return {
        path.stem: [
            settings["identity"].split(".")[1]
            for header in yaml.safe_load(path.read_text()).values()
            for check in header
            for settings in check.values()
        ]
        for path in sorted((folder / "checks").glob("*.yml"))
    }


def test_it_proposes_says_why_and_asks_nothing(initialised: tuple[Path, str]) -> None:
    """One file per mart with the names of the target, and rampart.yml with the volume."""
    shop, said = initialised
    config = yaml.safe_load((shop / "rampart.yml").read_text())

    expected = {
        "dim_customers": ["has_rows", "unique_customer_id", "no_missing_customer_id",
                          "pct_missing_lifetime_value"],
        "dim_plans": ["has_rows", "one_current_version", "no_overlap", "no_gap",
                      "valid_from_before_valid_to"],
        "fct_orders": ["has_rows", "freshness", "pct_missing_amount", "volume"],
    }  # fmt: skip
    assert expected == checks_in(shop)
    assert {"time": "ordered_at", "every": "day", "lateness": "6 hours"} == (
        config["volumes"]["dev_anna_marts.fct_orders"]
    )
    text = (shop / "checks" / "fct_orders.yml").read_text()
    assert "checks for dev_anna_marts.fct_orders:" in text
    assert "owner: sales@shop.example" in text
    assert "unique: order_id, by unique_fct_orders_order_id" in text
    for words in ("its time is ordered_at", "the key is customer_id", "per customer_id"):
        assert words in said


def test_a_second_time_everything_is_there(
    initialised: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 0, and not a byte changes."""
    monkeypatch.delenv("DBT_PROFILES_DIR")
    shop, _ = initialised
    files = [shop / "rampart.yml", *(shop / "checks").iterdir()]
    before = {path: path.read_bytes() for path in files}
    done = rampart(shop, "init")

    assert 0 == done.returncode
    assert 4 == done.stdout.count("it was there already")
    assert before == {path: path.read_bytes() for path in files}


def test_what_it_wrote_works_at_once(
    initialised: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """doctor finds nothing, build and scan are green, a run without feeds raises no alarm."""
    monkeypatch.delenv("DBT_PROFILES_DIR")
    shop, _ = initialised
    doctor = rampart(shop, "doctor")
    verdict = DataMonitor(shop / "rampart.yml").run()
    found = {each.check_id: each for each in verdict.results if each.suite_name != "dbt"}

    assert (0, []) == (
        doctor.returncode,
        [line for line in doctor.stdout.splitlines() if not line.startswith("ok ")],
    )
    assert 13 == len(found)
    # whether the volume of a day is usual is for the model to say
    told = {key: each for key, each in found.items() if key != "fct_orders.volume"}
    assert {} == {key: each.message for key, each in told.items() if each.status != Status.PASS}
    assert all(each.metric_value is not None for each in told.values())
    assert () == verdict.loads
    assert [] == [line for line in verdict.alerts if "volume" not in line]


def test_a_key_that_breaks_is_red(
    initialised: tuple[Path, str], database: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proposals are checks and no decoration: a doubled customer is found."""
    monkeypatch.delenv("DBT_PROFILES_DIR")
    with connect(database) as connection:
        connection.execute(
            "insert into dev_anna_marts.dim_customers select * from dev_anna_marts.dim_customers"
            " where customer_id = 3"
        )
    verdict = DataMonitor(initialised[0] / "rampart.yml").scan(["dim_customers"])

    assert ["dim_customers.unique_customer_id"] == [each.check_id for each in verdict.red]


def test_it_overwrites_nothing(shop: Path) -> None:
    """A file that is there is left and named; with rampart.yml the missing volume is printed, and
    a mart without a table is named."""
    (shop / "rampart.yml").write_text("scan: {checks: [quality/*.yml]}\n")
    (shop / "quality").mkdir()
    (shop / "quality" / "dim_plans.yml").write_text("# mine\n")
    (shop / "models" / "marts" / "fct_new.sql").write_text("select 1 as id")
    done = rampart(shop, "init")

    assert 0 == done.returncode
    assert "left    rampart.yml: it was there already" in done.stdout
    assert "left    quality/dim_plans.yml" in done.stdout
    assert "# mine\n" == (shop / "quality" / "dim_plans.yml").read_text()
    assert "dev_anna_marts.fct_orders:" in done.stdout
    proposed = yaml.safe_load((shop / "quality" / "fct_orders.yml").read_text())
    assert ["checks for dev_anna_marts.fct_orders"] == list(proposed)
    assert "dev_anna_marts.fct_new is not in the database: build it" in done.stdout
    assert not (shop / "quality" / "fct_new.yml").exists()


def test_a_dry_run_prints_the_files(shop: Path) -> None:
    """What it prints is what it would write; nothing is written, target/ stays as it was."""
    before = sorted(path for path in shop.rglob("*") if ".rampart" not in path.parts)
    done = rampart(shop, "init", "--dry-run")

    assert 0 == done.returncode
    assert before == sorted(path for path in shop.rglob("*") if ".rampart" not in path.parts)
    assert "# ---- rampart.yml" in done.stdout
    assert "would write checks/fct_orders.yml: 4 checks" in done.stdout


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda p: (p / "dbt_project.yml").unlink(), "no dbt_project.yml: go into the folder"),
        (
            lambda p: (p / "models/marts/fct_orders.sql").write_text("{{ ref('nowhere') }}"),
            "depends on a node named 'nowhere' which was not found",
        ),
        (lambda p: (p / "models/marts/_marts.yml").write_text("models: ["), "_marts.yml"),
        (
            lambda p: (p / "packages.yml").write_text("packages:\n  - package: a/unheard_of\n"),
            "the dbt package unheard_of is not installed",
        ),
        (lambda p: (p / "rampart.yml").write_text("fedes: {}"), "unknown key"),
    ],
    ids=["no project", "unknown model", "not YAML", "a package", "rampart.yml"],
)
def test_what_keeps_it_from_starting_is_one_line(
    shop: Path, spoil: Callable[[Path], object], said: str
) -> None:
    """Exit code 2, one line that says what to do, nothing written."""
    spoil(shop)
    done = rampart(shop, "init", DBT_PACKAGE_HUB_URL="http://127.0.0.1:9/")

    assert (2, "") == (done.returncode, done.stdout)
    assert said in done.stderr
    assert 1 == len(done.stderr.splitlines())
    assert not (shop / "checks").exists()


def test_a_database_that_does_not_answer_is_one_line(shop: Path) -> None:
    """Exit code 2 with where, before dbt is asked anything."""
    done = rampart(shop, "init", RAMPART_HOST="127.0.0.1", RAMPART_PORT="9")

    assert (2, "", 1) == (done.returncode, done.stdout, len(done.stderr.splitlines()))
    assert "cannot connect to 127.0.0.1:9" in done.stderr


def test_it_works_from_a_wheel(shop: Path, tmp_path: Path) -> None:
    """Without a checkout: the store, the proposals, and its own dbt package are in the wheel."""
    source = tmp_path / "source"
    shutil.copytree(ROOT / "monitors", source / "monitors", symlinks=True)
    shutil.copytree(ROOT / "package", source / "package", symlinks=True)
    shutil.copytree(ROOT / "macros", source / "macros")
    shutil.copytree(ROOT / "tests" / "generic", source / "tests" / "generic")
    shutil.copytree(ROOT / "models" / "staging", source / "models" / "staging")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--wheel-dir", str(tmp_path), str(source)],
        check=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    installed = tmp_path / "installed"
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(installed)
    shutil.rmtree(source)
    (shop / "packages.yml").write_text(
        "packages:\n  - local: \"{{ env_var('RAMPART_DBT_PACKAGE') }}\"\n"
    )
    (shop / "models" / "marts" / "_plans.yml").write_text(
        "models:\n  - name: dim_plans\n    data_tests:\n"
        "      - rampart.scd2_no_overlap: {natural_key: customer_id}\n"
    )
    done = rampart(
        shop, "init", path=installed, DBT_PACKAGE_HUB_URL="http://127.0.0.1:9/"
    )  # fmt: skip
    package = (shop / "dbt_packages" / "rampart").resolve()
    manifest = json.loads((shop / ".rampart" / "parsed" / "manifest.json").read_text())

    assert (0, "") == (done.returncode, done.stderr)
    assert "wrote   checks/dim_plans.yml" in done.stdout
    assert package == installed / "monitors" / "warehouse" / "rampart_package"
    assert {"macro.rampart.scd2", "macro.rampart.test_scd2_no_overlap"} <= set(manifest["macros"])
    assert [] == [name for name in manifest["nodes"] if name.startswith("model.rampart.")]
