"""What is proposed for a mart that was never seen: pure functions of a manifest and of figures."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
import yaml

from monitors.scan.propose import propose, without_volume
from monitors.scan.propose_columns import history_of, natural_key, pick_clock, roles_of
from monitors.scan.propose_facts import Facts, MartProposal, quoted
from monitors.scan.propose_marts import DbtTest, Mart, choose_marts
from monitors.scan.propose_text import checks_text, configuration_text
from monitors.scan.propose_time import duration_words, freshness_limit
from monitors.warehouse.tables import Column, Days, Measured, Table, Versions

NOW = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)


def manifest(*nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    by_id = {node["unique_id"]: node for node in nodes}
    return {"metadata": {"project_name": "shop"}, "nodes": by_id, **more}


def model(path: str, kind: str = "table", **more: Any) -> dict[str, Any]:
    name = path.rsplit("/", 1)[-1]
    return {
        "unique_id": f"model.shop.{name}", "name": name, "resource_type": "model",
        "package_name": "shop", "path": f"{path}.sql", "original_file_path": f"models/{path}.sql",
        "schema": "facts", "alias": name, "config": {"materialized": kind},
        "depends_on": {"nodes": []},
    } | more  # fmt: skip


def dbt_test(parent: str, kind: str, column: str | None, **config: Any) -> dict[str, Any]:
    return {
        "unique_id": f"test.shop.{kind}_{parent}_{column}", "name": f"{kind}_{parent}_{column}",
        "resource_type": "test", "package_name": "shop", "attached_node": f"model.shop.{parent}",
        "column_name": column, "config": config,
        "test_metadata": {"name": kind, "kwargs": {"column_name": column}},
    }  # fmt: skip


def names(found: dict[str, Any]) -> list[str]:
    return [mart.model for mart in choose_marts(found).marts]


# --- which models are marts ----------------------------------------------------------------------


def test_marts_are_stored_models_outside_staging_and_intermediate() -> None:
    """Folders and prefixes of what comes before marts are left out, ephemeral models too."""
    found = manifest(
        model("staging/stg_orders", "table"), model("intermediate/orders_pivoted", "table"),
        model("marts/fct_orders"), model("finance/revenue", "incremental"),
        model("marts/dim_shops", "view"), model("int_loose"), model("marts/cte", "ephemeral"),
        model("tools/helper", "view"),
    )  # fmt: skip

    assert ["dim_shops", "fct_orders", "revenue"] == names(found)
    assert {"helper": "a view outside the marts' folders"} == dict(choose_marts(found).left_out)


def test_without_such_folders_marts_are_what_no_model_reads() -> None:
    """A view counts as well: in a small project nothing else is there."""
    read = model("orders_raw", "view")
    found = manifest(read, model("orders", "view", depends_on={"nodes": [read["unique_id"]]}))

    assert ["orders"] == names(found)
    assert "a view model that no other model reads" == choose_marts(found).marts[0].why


def test_time_spines_and_packages_are_no_marts() -> None:
    """They are named with the reason, so that nobody misses them in silence."""
    foreign = model("marts/theirs", package_name="other", unique_id="model.other.theirs")
    found = manifest(model("marts/days", time_spine={"standard_granularity_column": "d"}), foreign)
    left_out = choose_marts(found).left_out

    assert [] == names(found)
    assert {"days", "package other"} == set(left_out)


def test_a_mart_knows_its_tests_owner_and_readers() -> None:
    """The owner by its group, the tests with whether they look at every row."""
    mart = model("marts/orders", config={"materialized": "table", "group": "sales"})
    exposure = {
        "name": "board",
        "label": "Board report",
        "depends_on": {"nodes": [mart["unique_id"]]},
    }
    found = choose_marts(
        manifest(
            mart,
            dbt_test("orders", "unique", "order_id"),
            dbt_test("orders", "not_null", "amount", where="amount > 0"),
            groups={"g": {"name": "sales", "owner": {"email": "sales@shop.example"}}},
            exposures={"e": exposure},
        )
    ).marts[0]

    assert "sales@shop.example" == found.owner
    assert ("Board report",) == found.readers
    assert {"unique": True, "not_null": False} == {each.kind: each.is_whole for each in found.tests}


# --- columns -------------------------------------------------------------------------------------


def table(*columns: tuple[str, str] | str, keys: tuple[tuple[str, ...], ...] = ()) -> Table:
    typed = [(each, "text") if isinstance(each, str) else each for each in columns]
    return Table("facts", "orders", False, tuple(Column(n, t, False) for n, t in typed), keys)


def clock_of(
    found: Table, newest: dict[str, float], nulls: dict[str, int] | None = None
) -> str | None:
    measured = Measured(1000, nulls or {}, {}, {k: NOW.timestamp() + v for k, v in newest.items()})
    clock = pick_clock(found, roles_of(found), measured, NOW.timestamp())
    return clock.column if clock else None


HOUR = 3600.0


@pytest.mark.parametrize(
    ("columns", "newest", "nulls", "expected"),
    [
        (("created_at", "updated_at"), (-HOUR, -60.0), {}, "created_at"),
        (("order_date", "order_ts"), (-HOUR, -HOUR), {}, "order_ts"),
        (("shipped_at", "created_at"), (-HOUR, -HOUR), {"shipped_at": 300}, "created_at"),
        (("first_order_date",), (-HOUR,), {"first_order_date": 400}, None),
        (("due_date", "valid_from"), (-HOUR, -HOUR), {}, None),
        (("date_day",), (400 * 24 * HOUR,), {}, None),
    ],
    ids=["event before update", "moment before date", "never null", "aside", "no clock", "future"],
)  # fmt: skip
def test_the_clock_is_the_moment_at_which_a_row_happened(
    columns: tuple[str, ...],
    newest: tuple[float, ...],
    nulls: dict[str, int],
    expected: str | None,
) -> None:
    """By name, type, nulls and the newest value; a calendar that reaches ahead is none."""
    typed = [(c, "timestamptz" if c.endswith(("_at", "_ts")) else "date") for c in columns]
    newest_of = dict(zip(columns, newest, strict=True))

    assert expected == clock_of(table(*typed), newest_of, nulls)


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("valid_from", "valid_to"), ("valid_from", "valid_until"),
        ("dbt_valid_from", "dbt_valid_to"),
        ("effective_start_date", "effective_end_date"), ("row_effective_from", "row_effective_to"),
    ],
)  # fmt: skip
def test_versions_are_seen_by_their_columns(begin: str, end: str) -> None:
    """A beginning and an end under matching names; the flag when it is a boolean."""
    history = history_of(
        table("id", (begin, "timestamp"), (end, "timestamp"), ("is_current", "bool"))
    )

    assert history is not None
    assert (begin, end, "is_current") == (history.valid_from, history.valid_to, history.is_current)


def test_one_column_alone_is_no_history() -> None:
    """`valid_from` without an end says nothing of versions."""
    assert history_of(table(("valid_from", "date"), ("paid_to", "date"))) is None


def test_the_key_of_versions_is_what_the_current_ones_have_once() -> None:
    """Not the surrogate, which every version has once; the project's own word goes first."""
    found = history_of(table(("valid_from", "date"), ("valid_to", "date")))
    assert found is not None
    mart = Mart("plans", "facts", "plans", "", "")
    test = DbtTest("t", "unique_combination_of_columns", ("customer_id", "valid_from"), True)
    tested = Mart("plans", "facts", "plans", "", "", tests=(test,))
    distinct = {"plan_sk": 30, "customer_id": 10, "shop_id": 2}

    assert ("customer_id",) == natural_key(mart, found, 10, distinct)
    assert ("customer_id",) == natural_key(tested, found, 99, {})
    assert () == natural_key(mart, found, 11, distinct)


# --- limits --------------------------------------------------------------------------------------


def days(*gaps: int, rows: int = 100, hours: int = 24) -> Days:
    moment, counts = date(2026, 1, 1), [(date(2026, 1, 1), rows)]
    for gap in gaps:
        moment += timedelta(days=gap)
        counts.append((moment, rows))
    return Days(tuple(counts), hours)


@pytest.mark.parametrize(
    ("gaps", "is_date", "expected"),
    [
        ((1,) * 60, False, "26 hours"),
        ((1,) * 60, True, "3 days"),
        ((1, 1, 1, 1, 3) * 20, False, "4 days"),
        ((1,) * 199 + (30,), False, "26 hours"),
        ((1, 1), False, "2 days"),
    ],
    ids=["daily", "only the day is known", "weekends", "one long gap of 200", "too few"],
)
def test_the_limit_of_freshness_follows_the_gaps(
    gaps: tuple[int, ...], is_date: bool, expected: str
) -> None:
    """The 99th percentile of the gaps between days with rows; one exception does not widen it."""
    limit, _ = freshness_limit(days(*gaps), 1.0, is_date=is_date)

    assert expected == duration_words(limit)


def test_a_little_more_than_usual_today_widens_the_limit() -> None:
    """Loads come once a day: what is 30 hours old now was right this morning."""
    limit, _ = freshness_limit(days(*(1,) * 60), 30.2, is_date=False)

    assert 33 == limit


# --- proposals -----------------------------------------------------------------------------------


def facts(found: Table | None = None, mart: Mart | None = None, **more: Any) -> Facts:
    found = found or table(
        ("order_id", "int8"), ("ordered_at", "timestamptz"), ("amount", "numeric"), "status"
    )
    mart = mart or Mart("fct_orders", "facts", "orders", "models/marts/orders.sql", "a table")
    newest = {each.name: NOW.timestamp() - HOUR for each in roles_of(found).moments}
    money = dict.fromkeys(roles_of(found).money, 0)
    measured = Measured(1000, {**money, **dict.fromkeys(newest, 0)}, money, newest)
    measured = more.pop("measured", measured)
    clock = pick_clock(found, roles_of(found), measured, NOW.timestamp())
    more = {"days": days(*(1,) * 60), "distinct": {"order_id": 1000, "status": 4}} | more
    return Facts(mart, found, roles_of(found), NOW, measured, clock=clock, **more)


def live(proposal: MartProposal) -> list[str]:
    return [each.text for each in proposal.checks if each.active]


def test_a_usual_fact_gets_rows_key_freshness_volume_and_money() -> None:
    """Each active one holds today; what a person has to judge is not active."""
    found = propose(facts(), "orders")

    expected = [
        "row_count > 0", "duplicate_count(order_id) = 0", "missing_count(order_id) = 0",
        "hours_behind <= 26", "volume_alarms = 0", "pct_missing_amount < 1",
    ]  # fmt: skip
    assert expected == live(found)
    assert ["pct_negative_amounts < 1"] == [each.text for each in found.checks if not each.active]
    assert found.volume is not None
    assert ("ordered_at", "day", True) == (
        found.volume.time,
        found.volume.every,
        found.volume.active,
    )
    assert (("status", 4),) == found.volume.segments


def test_what_dbt_tests_already_is_not_checked_twice() -> None:
    """The test is named; the check stands commented out."""
    tests = (
        DbtTest("unique_orders", "unique", ("order_id",), True),
        DbtTest("not_null_orders", "not_null", ("order_id",), True),
    )
    mart = Mart("fct_orders", "facts", "orders", "", "", tests=tests)
    found = propose(facts(mart=mart), "orders")

    assert "duplicate_count(order_id) = 0" not in live(found)
    assert "missing_count(order_id) = 0" not in live(found)
    assert "unique: order_id, by unique_orders" in found.tested_by_dbt
    assert "# - duplicate_count(order_id) = 0:" in checks_text(found, NOW.date())


def test_a_test_that_looks_at_some_rows_only_is_no_cover() -> None:
    """With `where`, or a severity of warn, the check is proposed."""
    tests = (DbtTest("unique_orders", "unique", ("order_id",), False),)
    mart = Mart("fct_orders", "facts", "orders", "", "", tests=tests)

    assert "duplicate_count(order_id) = 0" in live(propose(facts(mart=mart), "orders"))


def test_what_the_database_enforces_needs_no_check() -> None:
    """A unique index cannot be broken."""
    found = table(("order_id", "int8"), keys=(("order_id",),))

    assert not any("duplicate" in text for text in live(propose(facts(found), "orders")))


def test_history_gets_no_alarm_about_its_age() -> None:
    """Rows of 2018 are no late load: freshness and volume are commented out, and it is said."""
    old = NOW.timestamp() - 3000 * 24 * HOUR
    measured = Measured(1000, {"amount": 0, "ordered_at": 0}, {"amount": 0}, {"ordered_at": old})
    found = propose(facts(measured=measured), "orders")

    assert not any(text.startswith(("hours_behind", "volume")) for text in live(found))
    assert any("history, or the load is down" in each for each in found.look_at)
    assert found.volume is not None
    assert not found.volume.active


@pytest.mark.parametrize(
    ("counted", "said"),
    [(days(*(1,) * 5), "6 days only"), (days(*(30,) * 20), "21 of 601 days")],
    ids=["too short", "monthly"],
)
def test_a_volume_that_cannot_be_modelled_is_a_suggestion(counted: Days, said: str) -> None:
    """A model without history would be red from the first day on."""
    found = propose(facts(days=counted), "orders")

    assert "volume_alarms = 0" not in live(found)
    assert any(said in each for each in found.look_at)


def test_many_rows_around_the_clock_are_modelled_by_the_hour() -> None:
    """50 an hour and more; a column of dates never."""
    found = propose(facts(days=days(*(1,) * 60, rows=24 * 60)), "orders")

    assert found.volume is not None
    assert "hour" == found.volume.every


def test_without_its_entry_a_volume_check_stays_commented_out() -> None:
    """It would read the verdict of nobody, and pass for ever."""
    found = propose(facts(), "orders")

    assert "volume_alarms = 0" in live(without_volume(found, {"facts.orders"}))
    assert "volume_alarms = 0" not in live(without_volume(found, set()))


PLANS = table(
    ("customer_id", "int8"), ("valid_from", "date"), ("valid_to", "date"), ("is_current", "bool")
)  # fmt: skip


def plans(**faults: Any) -> MartProposal:
    versions = {
        "several_current": 0, "overlaps": 0, "gaps": 0, "turned": 0, "ends_for_ever": False,
        "usual_step": 0.0,
    }  # fmt: skip
    return propose(
        facts(
            PLANS, Mart("plans", "facts", "plans", "", ""), distinct={"customer_id": 400},
            key_of_versions=("customer_id",), versions=Versions(**(versions | faults)),
        ),
        "plans",
    )  # fmt: skip


def test_a_dimension_with_versions_gets_the_four_claims() -> None:
    """One current version, no overlap, no gap, begin before end."""
    expected = {"plans.one_current_version", "plans.no_overlap", "plans.no_gap",
                "plans.valid_from_before_valid_to", "plans.has_rows"}  # fmt: skip

    assert expected == {each.identity for each in plans().checks if each.active}


def test_ends_that_are_the_last_day_are_no_gaps() -> None:
    """Where every end lies a day before the next beginning, that day is added."""
    query = next(e.query for e in plans(gaps=90, usual_step=86400.0).checks if "gap" in e.text)

    assert query is not None
    assert "interval '86400 seconds'" in query


def test_faults_of_today_are_named() -> None:
    """The check stays, it is right; whoever runs init hears of it first."""
    found = plans(overlaps=3)

    assert "versions_overlapping = 0" in live(found)
    assert any("3 overlaps" in each for each in found.look_at)


def test_an_empty_table_gets_the_one_check_that_says_so() -> None:
    """Nothing can be measured; whoever runs init hears what to do."""
    found = propose(facts(measured=Measured(0)), "orders")

    assert ["row_count > 0"] == [each.text for each in found.checks]
    assert "init again" in found.look_at[0]


def test_names_in_any_spelling_are_understood() -> None:
    """Order ID, CreatedAt and "Amount EUR" as well as snake case; SQL gets them quoted."""
    odd = table(("Order ID", "int8"), ("CreatedAt", "timestamptz"), ("Amount EUR", "numeric"))
    found = propose(facts(odd, distinct={"Order ID": 1000}), "orders")
    queries = " ".join(each.query or "" for each in found.checks)

    assert {"duplicates = 0", "missing = 0", "pct_missing_amount_eur < 1"} <= set(live(found))
    assert all(name in queries for name in ('"Order ID"', '"CreatedAt"', '"Amount EUR"'))


# --- files ---------------------------------------------------------------------------------------


def test_the_file_is_sodacl_and_says_the_same() -> None:
    """Each active check with identity, name and attributes; owner and severity of the project."""
    mart = Mart("o", "facts", "orders", "", "", owner="a: b", severity="critical")
    found = propose(facts(mart=mart), "orders")
    read = yaml.safe_load(checks_text(found, NOW.date()))
    checks = [check for header in read.values() for check in header]

    assert ["checks for facts.orders", "checks for monitoring.volume_verdicts"] == list(read)
    assert set(live(found)) == {text for check in checks for text in check}
    settings = [one for check in checks for one in check.values()]
    assert all({"category", "layer", "matters", "do"} <= set(one["attributes"]) for one in settings)
    assert {"a: b"} == {one["attributes"]["owner"] for one in settings}
    assert len({one["identity"] for one in settings}) == len(settings)


def test_a_file_whose_checks_are_all_suggestions_has_no_empty_list() -> None:
    """Soda refuses a header without checks."""
    text = checks_text(without_volume(propose(facts(), "orders"), set()), NOW.date())

    assert ["checks for facts.orders"] == list(yaml.safe_load(text))


def test_the_configuration_is_read_by_rampart(tmp_path: Any) -> None:
    """With the volumes that speak for themselves, and no feed."""
    from monitors.config import load_config

    entry = propose(facts(), "orders").volume
    assert entry is not None
    text = configuration_text([entry], environment="prod", day=NOW.date(), where="checks")
    (tmp_path / "rampart.yml").write_text(text)
    config = load_config(tmp_path / "rampart.yml")

    assert ("prod", ["facts.orders"], {}) == (
        config.environment, list(config.volumes), dict(config.feeds),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected"),
    [("amount", "amount"), ("Order ID", '"Order ID"'), ("order", '"order"'), ('a"b', '"a""b"')],
)
def test_names_are_quoted_where_sql_wants_it(name: str, expected: str) -> None:
    """Upper case, blanks, reserved words."""
    assert expected == quoted(name)
