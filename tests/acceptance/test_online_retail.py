"""The example on foreign data: 193 real files of a web shop, held against what Python counts.

The example is copied beside a copy of the macros, as its packages.yml wants it. One warehouse is
loaded and built for the whole module; the tests that change something come last.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitors import DataMonitor
from monitors.commands.quarantine import Quarantine
from monitors.monitor import Verdict
from monitors.store.decisions import Selection
from monitors.warehouse.connection import connect
from monitors.warehouse.packages import install_packages
from monitors.warehouse.target import Target
from tests.conftest import ROOT, SHARED

EXAMPLE = ROOT / "examples" / "online_retail"
ARCHIVE = SHARED / "data" / "online_retail" / "by_day.tar.xz"
MODELS = sorted(path.stem for path in (EXAMPLE / "models").rglob("*.sql"))
GENERATED = ("target", "logs", "landing", "dbt_packages", ".rampart", "__pycache__")

Line = dict[str, str]
Row = tuple[Any, ...]
needs_data = pytest.mark.skipif(
    not ARCHIVE.exists(), reason=f"{ARCHIVE} is not there: third-party data are not in the repo"
)


def copy_example(folder: Path) -> Path:
    """The example where its packages.yml expects to be: two folders below Rampart's package."""
    example = folder / "examples" / "online_retail"
    shutil.copytree(ROOT / "macros", folder / "macros")
    shutil.copytree(ROOT / "models" / "staging", folder / "models" / "staging")
    shutil.copytree(ROOT / "package", folder / "package", symlinks=True)
    shutil.copytree(EXAMPLE, example, symlinks=True, ignore=shutil.ignore_patterns(*GENERATED))
    return example


@dataclass(frozen=True)
class Shop:
    """The example, loaded and built."""

    folder: Path
    target: Target
    verdict: Verdict
    lines: list[Line]

    def rows(self, query: str) -> list[Row]:
        with connect(self.target, read_only=True) as connection:
            return connection.execute(query.encode()).fetchall()

    def value(self, query: str) -> Any:
        return self.rows(query)[0][0]

    def contents(self) -> dict[str, list[Row]]:
        """Everything that stands in a mart or in the ledger, as text."""
        names = ("fact_order_lines", "fact_orders", "fact_refunds")
        marts = [f"facts.{name}" for name in names]
        return {
            name: self.rows(f"select cast(t as text) from {name} as t order by 1")
            for name in [*marts, "quarantine.ledger", "quarantine.violations"]
        }


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, database: Target) -> Shop:
    """The whole path once: deps without a network, 193 files, build, scan."""
    folder = copy_example(tmp_path_factory.mktemp("shop"))
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (folder / "unpacked" / "by_day").rename(folder / "landing")
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith(("RAMPART_", "DBT_", "PG"))]:
            patch.delenv(name)
        patch.setenv("DBT_PROFILES_DIR", str(folder / "no-profiles"))
        for name, value in database.environment().items():
            patch.setenv(name, value)
        install_packages(folder, offline=True)
        verdict = DataMonitor(folder / "rampart.yml").run()
    return Shop(folder, database, verdict, read_lines(folder / "landing"))


def read_lines(landing: Path) -> list[Line]:
    lines = []
    for path in sorted(landing.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            lines += list(csv.DictReader(file))
    return lines


# --- without the data ----------------------------------------------------------------------------


def test_deps_of_the_example_needs_no_network(tmp_path: Path) -> None:
    example = copy_example(tmp_path)
    script = "from monitors.cli import main; main()"
    command = [sys.executable, "-c", script, "deps", "--offline"]
    done = subprocess.run(
        command, cwd=example, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "stand-ins for dbt_utils" in done.stdout
    package = example / "dbt_packages" / "rampart"
    assert (package / "macros" / "judge.sql").read_text() == (
        ROOT / "macros" / "judge.sql"
    ).read_text()


def test_macros_that_foreign_projects_call_name_each_other_in_full() -> None:
    """dbt looks for an unqualified macro in the project that calls, not where it is written."""
    files = [path for path in (ROOT / "macros").rglob("*.sql") if path.parent.name != "rules"]
    texts = {path: re.sub(r"\{#.*?#\}", "", path.read_text(), flags=re.S) for path in files}
    names = {
        name
        for text in texts.values()
        for name in re.findall(r"\{%-?\s*macro\s+(\w+)", text)
        if "__" not in name
    }
    assert {"judge", "new_deliveries", "scd2", "try_number", "violations_of"} <= names
    called = re.compile(rf"(?<![\w.'\"])({'|'.join(sorted(names))})\s*\(")
    wrong = []
    for path, text in texts.items():
        code = re.sub(r"\{%-?\s*macro\s+.*?%\}", "", text, flags=re.S)
        for block in re.findall(r"\{\{.*?\}\}|\{%.*?%\}", code, flags=re.S):
            wrong += [f"{path.name}: {name}" for name in called.findall(block)]
    assert wrong == []


def test_the_example_carries_no_data() -> None:
    known = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", str(EXAMPLE)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert known
    assert [name for name in known if name.endswith((".csv", ".xz", ".gz"))] == []


# --- what arrived is what is there ---------------------------------------------------------------


@needs_data
def test_the_run_is_green_and_every_check_reported(shop: Shop) -> None:
    assert shop.verdict.alerts == ()
    assert int(shop.verdict.exit_code) == 0
    defined = [
        settings["identity"]
        for path in sorted((shop.folder / "checks").glob("*.yml"))
        for checks in yaml.safe_load(path.read_text()).values()
        for check in checks
        for settings in check.values()
    ]
    reported = {each.check_id: each for each in shop.verdict.results}
    assert len(defined) >= 8
    for check_id in defined:
        assert reported[check_id].status.value == "pass", check_id
        assert reported[check_id].metric_value is not None, check_id
        assert {"matters", "do"} <= set(reported[check_id].attributes), check_id
    categories = {reported[check_id].category.value for check_id in defined}
    assert categories == {"infrastructure", "data_quality", "business"}


@needs_data
def test_every_line_that_arrived_is_accounted_for(shop: Shop) -> None:
    assert len(shop.lines) == 285_421
    assert shop.value("select count(*) from online_retail_raw.order_lines") == 285_421
    assert shop.rows(
        "select count(*), sum(records), sum(rows), sum(dead_letters), count(distinct extracted_at)"
        " from monitoring.deliveries where admission = 'admitted'"
    ) == [(193, 285_421, 285_421, 0, 193)]
    assert shop.rows(
        "select count(*), sum(arrived), sum(taken), sum(superseded), sum(rejected),"
        " sum(dead_letters), sum(abs(unaccounted)) from monitoring.conservation"
    ) == [(193, 285_421, 204_391, 0, 81_030, 0, 0)]


@needs_data
def test_the_ledger_holds_exactly_the_lines_without_a_customer(shop: Shop) -> None:
    expected = set()
    for path in (shop.folder / "landing").glob("*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            rows = enumerate(csv.DictReader(file), start=1)
            expected |= {(path.name, number) for number, row in rows if not row["CustomerID"]}
    assert len(expected) == 81_030
    found = shop.rows("select file_name, source_row from quarantine.ledger where decision = 'open'")
    assert len(found) == 81_030
    assert set(found) == expected


@needs_data
def test_every_rule_finds_what_python_finds(shop: Shop) -> None:
    repeats = sum(count - 1 for count in Counter(tuple(x.values()) for x in shop.lines).values())
    expected = {
        ("reject", "customer_id_present"): sum(not x["CustomerID"] for x in shop.lines),
        ("reject", "negative_quantity_is_a_refund"): sum(
            int(x["Quantity"]) < 0 and x["InvoiceNo"][0] != "C" for x in shop.lines
        ),
        ("flag", "unit_price_not_zero"): sum(Decimal(x["UnitPrice"]) == 0 for x in shop.lines),
        ("flag", "stock_code_of_a_product"): sum(
            not x["StockCode"][:5].isdigit() for x in shop.lines
        ),
        ("flag", "description_present"): sum(not x["Description"].strip() for x in shop.lines),
        ("flag", "country_named"): sum(x["Country"] == "Unspecified" for x in shop.lines),
        ("flag", "line_not_repeated"): repeats,
    }
    assert list(expected.values()) == [81_030, 875, 1_666, 1_777, 1_079, 304, 2_263]
    found = shop.rows("select effect, rule, count(*) from quarantine.violations group by 1, 2")
    assert {(effect, rule): count for effect, rule, count in found} == expected


@needs_data
def test_orders_and_refunds_are_what_python_adds_up(shop: Shop) -> None:
    orders: dict[str, list[Any]] = defaultdict(lambda: [0, Decimal(0), Decimal(0)])
    refunds: dict[str, list[Any]] = defaultdict(lambda: [0, Decimal(0), Decimal(0)])
    for line in shop.lines:
        if line["CustomerID"]:
            is_refund = line["InvoiceNo"].startswith("C")
            total = (refunds if is_refund else orders)[line["InvoiceNo"]]
            pieces = Decimal(line["Quantity"]) * (-1 if is_refund else 1)
            total[0] += 1
            total[1] += pieces
            total[2] += pieces * Decimal(line["UnitPrice"])
    assert (len(orders), len(refunds)) == (10_134, 2_164)
    assert sum(each[2] for each in orders.values()) == Decimal("4593896.662")
    found = shop.rows("select order_id, line_count, pieces, revenue from facts.fact_orders")
    assert len(found) == len(orders)
    assert {row[0]: list(row[1:]) for row in found} == orders
    found = shop.rows("select refund_id, line_count, pieces, refunded from facts.fact_refunds")
    assert len(found) == len(refunds)
    assert {row[0]: list(row[1:]) for row in found} == refunds
    first = shop.rows(
        "select customer_id, country, cast(ordered_at at time zone 'UTC' as text), order_date,"
        " revenue from facts.fact_orders where order_id = '536365'"
    )
    assert [tuple(map(str, row)) for row in first] == [
        ("17850", "United Kingdom", "2010-12-01 08:26:00", "2010-12-01", "139.12")
    ]


@needs_data
def test_none_of_ramparts_own_models_are_built(shop: Shop) -> None:
    found = shop.rows(
        "select c.relname from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"
        " where c.relkind in ('r', 'v', 'm')"
        " and (n.nspname in ('staging', 'facts', 'salesforce_curated') or c.relname = any("
        " array['violations', 'ledger', 'conservation', 'quarantine_rates', 'replayable', 'clocks',"
        " 'freshness', 'volumes', 'orphan_orders', 'scd2_faults']))"
    )
    assert sorted(name for (name,) in found) == MODELS
    schemas = {
        name for (name,) in shop.rows(
            "select nspname from pg_namespace where nspname !~ '^(pg_|information_schema|public)'"
        )
    }  # fmt: skip
    assert schemas >= {"online_retail_raw", "staging", "facts", "quarantine", "monitoring"}
    assert not schemas & {"salesforce_curated", "clickstream_raw", "air_quality_raw"}


# --- what changes it, and what does not ----------------------------------------------------------


@needs_data
def test_a_second_run_loads_nothing_and_changes_nothing(
    shop: Shop, use: Callable[[Target], None]
) -> None:
    use(shop.target)
    before = shop.contents()
    verdict = DataMonitor(shop.folder / "rampart.yml").run()
    assert int(verdict.exit_code) == 0
    assert [len(each.new) for each in verdict.loads] == [0]
    assert shop.value("select count(*) from online_retail_raw.order_lines") == 285_421
    assert shop.contents() == before


@needs_data
def test_a_corrected_day_supersedes_its_orders_whole(
    shop: Shop, use: Callable[[Target], None]
) -> None:
    """An order loses a line, and a line its price; the day's other orders come as they were."""
    use(shop.target)
    day = shop.folder / "landing" / "2011-07-31.csv"
    header, *lines = day.read_text(encoding="utf-8").splitlines(keepends=True)
    with day.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    dropped = next(n for n, row in enumerate(rows) if row["CustomerID"])
    order = rows[dropped]["InvoiceNo"]
    rows_of_order = [row for row in rows if row["InvoiceNo"] == order]
    assert len(rows_of_order) > 2
    query = f"select line_count, revenue from facts.fact_orders where order_id = '{order}'"
    count, revenue = shop.rows(query)[0]
    orders = shop.value("select count(*) from facts.fact_orders")

    garbled = next(n for n, row in enumerate(rows) if row["InvoiceNo"] == order and n > dropped)
    price = rows[garbled]["UnitPrice"]
    lines[garbled] = lines[garbled].replace(f",{price},", ",free,")
    day.write_text(header + "".join(lines[:dropped] + lines[dropped + 1 :]), encoding="utf-8")
    verdict = DataMonitor(shop.folder / "rampart.yml").run()

    assert [len(each.new) for each in verdict.loads] == [1]
    gone = sum(int(rows[n]["Quantity"]) * Decimal(rows[n]["UnitPrice"]) for n in (dropped, garbled))
    assert shop.rows(query) == [(count - 2, revenue - gone)]
    assert shop.value("select count(*) from facts.fact_orders") == orders
    with_customer = sum(bool(row["CustomerID"]) for row in rows)
    assert shop.rows(
        "select arrived - rejected, taken, superseded, unaccounted from monitoring.conservation"
        " where superseded > 0"
        " or delivery_id = (select max(delivery_id) from monitoring.deliveries)"
        " order by delivery_id"
    ) == [(with_customer, 0, with_customer, 0), (with_customer - 2, with_customer - 2, 0, 0)]
    red = [each.check_id for each in verdict.results if each.is_red]
    assert red == ["online_retail.rejected_for_other_reasons"]


@needs_data
def test_replay_and_discard_work_in_a_foreign_project(
    shop: Shop, use: Callable[[Target], None]
) -> None:
    """A line is discarded, the customer becomes optional: all other open lines move, for good."""
    use(shop.target)
    one = Selection("order_lines", delivery=1, row=first_rejected_row(shop))
    assert 1 == Quarantine(shop.folder).discard(one, why="a test of the till", by="ann").decided
    rules = shop.folder / "macros" / "online_retail_rules.sql"
    text = rules.read_text()
    rule = re.search(r"- rule: customer_id_present\n  effect: reject", text)
    assert rule
    rules.write_text(text.replace(rule[0], rule[0].replace("reject", "flag")))
    for described in (shop.folder / "models").rglob("*.yml"):  # they state the rules as they were
        stated = described.read_text().split("unit_tests:")[0]
        customer = r"(- name: customer_id\n.*\n) *data_tests: \[not_null\]\n"
        described.write_text(re.sub(customer, r"\1", stated))
    done = Quarantine(shop.folder).replay(Selection(), dry_run=True)
    moving = done.count("passes")
    assert moving > 80_000
    done = Quarantine(shop.folder).replay(Selection())
    assert (done.decided, done.left, done.alerts) == (moving, 0, ())
    replayed = shop.value("select count(*) from facts.fact_order_lines where customer_id is null")
    assert replayed > 80_000
    assert shop.rows("select * from monitoring.conservation where unaccounted <> 0") == []
    # a full refresh names the rules of now, so of the ledger only the rows are compared
    ledger = "select delivery_id, source_row, decision from quarantine.ledger order by 1, 2"
    marts, rejected = shop.contents(), shop.rows(ledger)
    DataMonitor(shop.folder).build(["resource_type:model"], full_refresh=True)
    assert {k: v for k, v in shop.contents().items() if k.startswith("facts.")} == {
        k: v for k, v in marts.items() if k.startswith("facts.")
    }
    assert shop.rows(ledger) == rejected
    assert [each[2] for each in rejected].count("discarded") == 1


def first_rejected_row(shop: Shop) -> int:
    query = "select min(source_row) from quarantine.ledger where delivery_id = 1"
    return int(shop.value(query))


@needs_data
def test_a_line_that_is_lost_turns_the_scan_red(shop: Shop, use: Callable[[Target], None]) -> None:
    use(shop.target)
    with connect(shop.target) as connection:
        connection.execute("delete from facts.fact_order_lines where order_id = '536365'")
        connection.commit()
    verdict = DataMonitor(shop.folder / "rampart.yml").scan(["online_retail.conservation"])
    assert int(verdict.exit_code) == 1
    lost = verdict.results[0]
    assert (lost.metric_value, lost.severity.value) == (7, "critical")
