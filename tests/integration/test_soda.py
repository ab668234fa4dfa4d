"""Soda checks on a real Postgres: each for itself, every one with a verdict."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest

from monitors.results import CheckResult, Status
from monitors.scan import soda
from monitors.scan.checks_files import read_checks
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target

NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
TABLES = """
create table orders (
    order_id int, customer text, amount numeric, ratio double precision, ordered_at timestamptz
);
insert into orders
select
    number, case when number % 10 = 0 then null else 'c' || number % 7 end, number % 50,
    1.0 / number, timestamptz '2026-11-20 11:00:00+00' - make_interval(hours => number)
from generate_series(1, 100) as number;
create table empty_orders (like orders);
create table strange as select 'NaN'::float8 as nan, 'Infinity'::float8 as infinite;
create table future as select timestamptz '2099-01-01 00:00:00+00' as seen_at;
create view raising as select order_id, 1 / (order_id - 50) as broken from orders;
"""
Scan = Callable[..., dict[str, CheckResult]]


@pytest.fixture(scope="module")
def shop(database: Target) -> Target:
    with connect(database, autocommit=True) as connection:
        connection.execute(TABLES.encode())
    return database


@pytest.fixture
def scan(shop: Target, tmp_path: Path) -> Scan:
    """Write checks files, run them, {check_id: verdict}."""

    def run(*texts: str, timeout: float = 60, parallel: int = 4) -> dict[str, CheckResult]:
        paths = []
        for number, text in enumerate(texts):
            paths.append(tmp_path / f"checks{number}.yml")
            paths[-1].write_text(text)
        outcome = soda.run_checks(
            read_checks(paths),
            shop,
            soda.Settings(timedelta(seconds=timeout), parallel),
            history=None,
            moment=NOW,
            now=NOW,
        )
        return {each.check_id: each for each in outcome.results}

    return run


GOOD = """checks for orders:
  - row_count = 100
  - missing_count(customer) = 10
  - invalid_count(customer) = 0:
      valid regex: c[0-6]
  - avg(amount) between 20 and 30
  - duplicate_count(order_id) = 0
  - missing_percent(customer) < 11
  - failed rows:
      name: amounts are positive
      fail condition: amount < 0
  - failed rows:
      name: customers have a name
      fail query: select * from orders where customer = ''
  - freshness(ordered_at) < 3h
  - schema:
      fail:
        when required column missing: [order_id, amount]
        when wrong column type: {order_id: integer}
  - values in (order_id) must exist in orders (order_id)
  - row_count same as raising
  - big_orders < 60:
      big_orders query: select count(*) from orders where amount > 25
  - spread < 50:
      spread expression: max(amount) - min(amount)
"""


def test_every_kind_of_check_has_a_verdict(scan: Scan) -> None:
    """SodaCL as it is written for plain Soda: each kind passes here and says why."""
    found = scan(GOOD)

    assert 14 == len(found)
    assert {} == {name: r.message for name, r in found.items() if r.status is not Status.PASS}
