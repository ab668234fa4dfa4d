"""Soda checks on a real Postgres: each for itself, every one with a verdict."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

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
create table naive as select timestamp '2026-11-20 11:00:00' as seen_at;
create table other as select 1 as number;
create function meets(mine text, theirs text) returns int language plpgsql as $$
begin
    perform set_config('application_name', mine, false);
    for attempt in 1 .. 500 loop
        perform pg_stat_clear_snapshot();
        if exists (select from pg_stat_activity where application_name = theirs) then
            perform pg_sleep(0.1);
            return 1;
        end if;
        perform pg_sleep(0.02);
    end loop;
    return 0;
end $$;
create function slow(value int) returns int language plpgsql as $$
begin
    perform pg_sleep(0.03);
    return value;
end $$;
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
  - valid_count(customer) = 90:
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

    assert 15 == len(found)
    assert {} == {name: r.message for name, r in found.items() if r.status is not Status.PASS}


@pytest.mark.parametrize(
    ("check", "status", "said"),
    [
        ("row_cont > 0", "error", "unknown check `row_cont > 0`; did you mean `row_count`?"),
        ("missing_cnt(amount) = 0", "error", "did you mean `missing_count`?"),
        ("sessions > 0", "error", "unknown metric `sessions`; without `query:` or `expression:`"),
        ("row_count >>> 0", "error", "Invalid check"),
        ("row_count", "error", "No threshold"),
        ("max(nope) > 0", "error", 'column "nope" does not exist'),
        ("avg(customer) > 0", "error", "function avg(text) does not exist"),
        ("max(customer) > 3", "error", "expected a number, found `c6`"),
        ("freshness(customer) < 3h", "error", "max(customer) is no timestamp: `c6`"),
        ("invalid_count(amount) = 0", "error", "nothing says what is valid"),
        ("anomaly detection for row_count", "error", "needs soda-core-scientific"),
        ("[a, b]", "error", "found `['a', 'b']`, allowed is one check"),
        ("total > 1: {total query: select no_such from orders}", "error", '"no_such" does not'),
        ("gone > 1: {gone query: delete from orders returning 1}", "error", "read-only"),
        ("row_count > 5: {foo: bar}", "error", "unsupported check configuration: foo"),
        ("row_count > 5: {attributes: {severty: low}}", "error", "did you mean `severity`?"),
        ("row_count > 5: {name: a, name: b}", "error", "key `name` in line 4: found twice"),
        ("q < 1: {q query: \"select 'NaN'::numeric\"}", "error", "q is nan: not a number"),
        ("q < 1: {q query: \"select '-Infinity'::float8\"}", "error", "q is -inf: not a number"),
        ("q < 1: {q query: select max(amount) from empty_orders}", "missing", "no value"),
        ("q < 1: {q query: select pg_terminate_backend(pg_backend_pid())}", "error", "terminat"),
        ("slept < 1: {slept query: select count(*) from pg_sleep(20)}", "error", "longer than 2 s"),
    ],
)
def test_one_bad_check_is_one_error(scan: Scan, check: str, status: str, said: str) -> None:
    """Whatever is wrong with it: its neighbours on the same table still report."""
    good_ones = "  - row_count = 100: {identity: rows}\n  - avg(amount) > 0\n"
    text = f"checks for orders:\n{good_ones}  - {check}\n"
    good, also_good, bad = scan(text, timeout=2).values()

    assert ("pass", "pass") == (good.status.value, also_good.status.value)
    assert (status, True) == (bad.status.value, said in bad.message), bad.message
    assert "error" != status or "checks0.yml:4: " in bad.message or "number" in bad.message


@pytest.mark.parametrize(
    ("dataset", "check", "status", "said"),
    [
        ("nowhere", "row_count > 0", "error", 'relation "nowhere" does not exist'),
        ("nowhere", "schema: {fail: {when schema changes: any}}", "error", "`nowhere` does not"),
        ("strange", "max(nan) > 0", "error", "max is nan: not a number"),
        ("strange", "max(infinite) > 0", "error", "max is inf: not a number"),
        ("raising", "sum(broken) > 0", "error", "division by zero"),
        ("future", "freshness(seen_at) < 1d", "error", "later than now, 2026-11-20 12:00 UTC"),
        ("naive", "freshness(seen_at) < 2h", "pass", "the newest seen_at is 1 h old (max 2 h)"),
        ("raising", "max(order_id) < 100", "fail", "max=100 (below 100)"),
        ("empty_orders", "row_count > 0", "fail", "row_count=0 (min 1)"),
        ("empty_orders", "avg(amount) > 0", "missing", "avg has no value: nothing to measure"),
        ("empty_orders", "freshness(ordered_at) < 1d", "missing", "nothing to measure yet"),
        ("empty_orders", "missing_count(customer) = 0", "pass", "missing_count=0 (0)"),
        ("empty_orders", "missing_percent(customer) < 5", "blind", "there are no rows of which"),
    ],
)
def test_bad_data_has_a_stated_status(
    scan: Scan, dataset: str, check: str, status: str, said: str
) -> None:
    """As docs/checks.md lists them; another dataset reports as if nothing had happened."""
    bad, good = scan(
        f"checks for {dataset}:\n  - {check}\nchecks for orders:\n  - avg(amount) > 1\n"
    ).values()

    assert "pass" == good.status.value
    assert (status, True) == (bad.status.value, said in bad.message), bad.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("checks for orders:\n\t- row_count > 0\n", ":2: not valid YAML: found a tab"),
        ("checks for orders: [row_count > 0\n", ":2: not valid YAML: did not find expected"),
        ("- row_count > 0\n", ":1: found no mapping"),
        ("checks for other: [a]\nchecks for other: [b]\n", ":2: key `checks for other`: found t"),
    ],
)
def test_a_broken_file_is_one_error(scan: Scan, text: str, said: str) -> None:
    """The checks of the other files still report."""
    good, bad = scan("checks for orders:\n  - row_count > 0\n", text).values()

    assert ("pass", "error") == (good.status.value, bad.status.value)
    assert ("checks_file.checks1", True) == (bad.check_id, f"checks1.yml{said}" in bad.message), bad


def test_a_section_that_nobody_understands_is_one_error(scan: Scan) -> None:
    """A typo in `checks for` must not make its checks vanish."""
    good, bad = scan(
        "checks for orders: [row_count > 0]\ncheck for orders: [max(a) > 0]\n"
    ).values()

    assert ("pass", "error") == (good.status.value, bad.status.value)
    assert "checks0.yml:2: found `check for orders`, allowed are sections like" in bad.message


def test_a_slow_aggregate_is_found_among_others(scan: Scan) -> None:
    """Retries of halves leave only the slow one without a value."""
    checks = "".join(
        f"  - sum(amount) > {number}: {{identity: s{number}, filter: amount > {number}}}\n"
        for number in range(20)
    )
    found = scan(
        f"checks for orders:\n{checks}  - slowly > 0: {{slowly expression: sum(slow(order_id))}}\n",
        timeout=2,
    )

    assert ["orders.slowly"] == [
        name for name, each in found.items() if each.status is Status.ERROR
    ]
    assert "its share of 2 s for retries" in found["orders.slowly"].message


def test_retries_of_a_dataset_end(scan: Scan) -> None:
    """Twenty slow aggregates do not take twenty time limits: those not reached say so."""
    checks = "".join(
        f"  - slow{number} > 0:\n      slow{number} expression: sum(slow(order_id)) + {number}\n"
        for number in range(20)
    )
    started = datetime.now(timezone.utc)
    found = scan(f"checks for orders:\n{checks}", timeout=1)
    seconds = (datetime.now(timezone.utc) - started).total_seconds()

    assert {Status.ERROR} == {each.status for each in found.values()}
    assert any("not reached: 1 s of retries are over" in each.message for each in found.values())
    assert seconds < 10


def test_a_table_that_is_dropped_during_the_scan(scan: Scan, shop: Target) -> None:
    """Its checks are errors, those of the next table report."""
    with connect(shop, autocommit=True) as connection:
        connection.execute(b"create table doomed as select 1 as number")
        connection.execute(
            b"create or replace function drop_doomed() returns int language sql as"
            b" $$ select pg_advisory_xact_lock(7); select 1 $$"
        )
        connection.execute(b"select pg_advisory_lock(7)")
        import threading

        def drop() -> None:
            with connect(shop, autocommit=True) as other:
                for _ in range(500):
                    waiting = other.execute(
                        b"select 1 from pg_stat_activity where query like '%drop_doomed%'"
                        b" and wait_event = 'advisory' and pid <> pg_backend_pid()"
                    ).fetchone()
                    if waiting:
                        break
            connection.execute(b"drop table doomed")
            connection.execute(b"select pg_advisory_unlock(7)")

        thread = threading.Thread(target=drop)
        thread.start()
        found = scan(
            "checks for orders:\n  - first = 1:\n      first query: select drop_doomed()\n"
            "checks for doomed:\n  - row_count > 0\n"
            "checks for other:\n  - row_count = 1\n",
            parallel=1,
        )
        thread.join()

    assert ["pass", "error", "pass"] == [each.status.value for each in found.values()]
    assert 'relation "doomed" does not exist' in found["doomed.row_count"].message


def test_datasets_run_side_by_side(scan: Scan) -> None:
    """Each of two checks waits until it sees the other one at work."""
    text = """checks for orders:
  - met = 1:
      met query: select meets('one', 'two')
checks for other:
  - met = 1:
      met query: select meets('two', 'one')
"""

    assert ["pass", "pass"] == [each.status.value for each in scan(text, parallel=2).values()]


def test_two_datasets_keep_their_errors_apart(scan: Scan) -> None:
    """Soda keeps one log for all scans of a process; ours say which check is meant."""
    texts = [
        f"checks for {name}:\n" + "".join(f"  - max(no_{name}{n}) > 0\n" for n in range(8))
        for name in ("orders", "other", "strange", "future")
    ]
    found = scan(*texts)

    assert 32 == len(found)
    for check_id, result in found.items():
        name = check_id.split("(")[1].rstrip(")")
        assert f'column "{name}" does not exist' in result.message, check_id


def test_nothing_is_left_open(scan: Scan, shop: Target) -> None:
    """No connection, so no transaction, outlives a scan."""
    scan(GOOD)
    with connect(shop) as connection:
        row = connection.execute(
            b"select count(*) from pg_stat_activity"
            b" where datname = current_database() and pid <> pg_backend_pid()"
            b" and backend_type = 'client backend'"
        ).fetchone()

    assert (0,) == row


def test_a_server_in_another_time_zone(scan: Scan, shop: Target) -> None:
    """Days begin in UTC, whatever the server thinks."""
    with connect(shop, autocommit=True) as connection:
        connection.execute(f"alter database {shop.dbname} set timezone = 'Asia/Tokyo'".encode())
    try:
        found = scan(
            "checks for naive:\n  - freshness(seen_at) < 2h\n  - offset_hours = 0:\n"
            "      offset_hours query: select extract(timezone_hour from now())\n"
        )
    finally:
        with connect(shop, autocommit=True) as connection:
            connection.execute(f"alter database {shop.dbname} reset timezone".encode())

    assert ["pass", "pass"] == [each.status.value for each in found.values()]


def test_no_file_in_the_home_folder_and_no_telemetry(
    scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would call home is not even loaded."""
    import subprocess
    import sys

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    loaded = (
        "import sys, monitors.scan.soda, monitors.scan.soda_judged, monitors.scan.soda_queries;"
        "print([name for name in sys.modules if 'telemetry' in name], 'soda.scan' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    )
    scan(GOOD)

    assert "[] False\n" == done.stdout
    assert not (tmp_path / "home").exists()


def test_filters_configurations_and_variables(scan: Scan) -> None:
    """Sections on which checks rely: a filter for its own file, configurations for all."""
    first = """variables:
  limit: "40"
filter orders [large]:
  where: amount >= ${limit}
configurations for orders:
  valid values for customer: [c0, c1, c2, c3, c4, c5, c6]
checks for orders [large]:
  - row_count = 20
  - invalid_count(customer) = 0
"""
    second = """filter orders [large]:
  where: amount >= 49
checks for orders [large]:
  - row_count = 2:
      identity: larger
"""
    found = scan(first, second)

    assert {"pass"} == {each.status.value for each in found.values()}, found


def test_checks_of_no_dataset_and_filters_of_another(scan: Scan) -> None:
    """`checks:` holds queries of one's own; a comparison names a filter of another dataset."""
    text = """checks:
  - failed rows:
      name: no order is lost
      fail query: select * from orders where order_id is null
filter raising [first]:
  where: order_id <= 1
checks for other:
  - row_count same as raising [first]
"""
    found = scan(text)

    assert {"warehouse.no order is lost", "other.row_count same as raising [first]"} == set(found)
    assert {"pass"} == {each.status.value for each in found.values()}, found


def test_what_is_wrong_with_a_metric_is_said_of_each_check(scan: Scan) -> None:
    """Two checks share a metric, and none of them passes because the other one complained."""
    found = scan(
        "checks for orders:\n  - invalid_count(amount) = 0\n"
        "  - invalid_count(amount) < 5: {identity: again}\n"
    )

    assert {"error"} == {each.status.value for each in found.values()}


def test_one_check_for_each_dataset(scan: Scan) -> None:
    """A verdict per table, in its own segment."""
    text = """for each dataset T:
  datasets: ["%orders", exclude empty%]
  checks:
    - row_count > 0:
        name: ${T} has rows
        identity: rows
    - max(amount) > 0:
        identity: amounts
"""
    found = scan(text)

    assert [("orders has rows", "orders", "pass"), ("orders.max(amount)", "orders", "pass")] == [
        (
            each.check_name.replace("max(amount) > 0", "orders.max(amount)"),
            each.segment,
            each.status.value,
        )
        for each in found.values()
    ]


EVIDENCE = """checks for orders:
  - row_count > 0:
      attributes:
        smallest_change: 0.5
        evidence: select {row}
"""


@pytest.mark.parametrize(
    ("row", "status", "said"),
    [
        ("312, 1040, 1210, 0.2, 'a Thursday has more'", "pass", "a Thursday has more"),
        ("null, null, null, null, null", "pass", "row_count=100 (min 1)"),
        ("312, 1040, 1210, 0.7, 'noisy'", "blind", "sees a change of 0.7 or more, 0.5 is asked"),
        ("312, 1040, 1210, 0.2, 'short', 'blind'", "blind", "short"),
        ("312, 1040, 1210, 0.9, '', 'blind'", "blind", "(min 1,040); sees a change of 0.9 or"),
        ("312, null, null, null, null, 'blind'", "blind", "row_count=312; too little is known"),
        ("null, null, null, null, 'run it', 'not modelled'", "missing", "run it"),
        ("312, 1040, 1210, 0.2, 'fine', 'usual'", "pass", "fine"),
        ("1, 2", "error", "no evidence: it gave 2 columns, needed are 5 or 6"),
        ("no_such", "error", 'no evidence: column "no_such" does not exist'),
        ("1, 1, 1, 1, 'x' where false", "error", "no evidence: it gave no row"),
    ],
)
def test_evidence_completes_a_verdict(scan: Scan, row: str, status: str, said: str) -> None:
    """A check may say what it is worth: value, bounds, detectable change, message, state."""
    (found,) = scan(EVIDENCE.format(row=row)).values()

    assert (status, True) == (found.status.value, said in found.message), found.message
    if row.startswith("312, 1040"):
        assert (312, 1040, 1210) == (found.metric_value, found.expected_min, found.expected_max)


def test_evidence_leaves_a_failure_a_failure(scan: Scan) -> None:
    """Only a pass can be blind."""
    text = EVIDENCE.replace("row_count > 0", "row_count > 1000")
    (found,) = scan(text.format(row="1, 2, 3, 0.9, 'few', 'blind'")).values()

    assert (Status.FAIL, "few") == (found.status, found.message)


def test_a_server_that_refuses_us_makes_errors(shop: Target, tmp_path: Path) -> None:
    """A connection that cannot be had is said once per check, and nothing else breaks."""
    from dataclasses import replace

    path = tmp_path / "orders.yml"
    path.write_text("checks for orders: [row_count > 0]\n")
    outcome = soda.run_checks(
        read_checks([path]), replace(shop, dbname="no_such"), soda.Settings(),
        history=None, moment=NOW, now=NOW,
    )  # fmt: skip

    assert [Status.ERROR] == [each.status for each in outcome.results]
    assert 'database "no_such" does not exist' in outcome.results[0].message
