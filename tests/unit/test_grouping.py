"""One root cause, one incident: red checks along a lineage, no database."""

from __future__ import annotations

from typing import Any

from monitors.alert.grouping import Grouped, group
from monitors.alert.places import Places
from monitors.alert.topics import Topic, kind_of, severity_of, topic_of
from monitors.lineage import Lineage
from monitors.results import CheckResult, Layer, Severity, Status
from monitors.store.incidents import Incident
from tests.alerting import MORNING, verdict_of


def node(unique_id: str, schema: str, *parents: str) -> dict[str, Any]:
    kind, _, *_, name = unique_id.split(".")
    return {
        "unique_id": unique_id,
        "resource_type": kind,
        "name": name,
        "schema": schema,
        "alias": name,
        "depends_on": {"nodes": list(parents)},
    }


RAW, USERS = "source.p.shop_raw.events", "source.p.crm_raw.users"
STAGING, ORDERS, ITEMS = "model.p.stg_events", "model.p.fact_orders", "model.p.fact_items"
DIM, RATES = "model.p.dim_users", "model.p.quarantine_rates"
NODES = [
    node(RAW, "shop_raw"),
    node(USERS, "crm_raw"),
    node(STAGING, "staging", RAW),
    node(ORDERS, "facts", STAGING),
    node(ITEMS, "facts", ORDERS, DIM),
    node(DIM, "facts", USERS),
    node(RATES, "monitoring", STAGING, DIM),
]
PLACES = Places(
    Lineage({"nodes": {each["unique_id"]: each for each in NODES}}),
    {"shop": "shop_raw.events", "users": "crm_raw.users"},
)


def model(name: str, dataset: str) -> CheckResult:
    return verdict_of(
        f"dbt.model.{name}", Status.ERROR, suite_name="dbt", dataset=dataset, message="broken"
    )


def test_of(name: str, dataset: str, **values: Any) -> CheckResult:
    return verdict_of(f"dbt.{name}", suite_name="dbt", dataset=dataset, **values)


test_of.__test__ = False  # type: ignore[attr-defined]


def groups(*red: CheckResult, active: tuple[Incident, ...] = ()) -> dict[str, list[str]]:
    found: Grouped = group(red, PLACES, active)
    told = {each.lead.check_id: [m.check_id for m in each.members] for each in found.groups}
    for incident, result in found.joining:
        told.setdefault(f"incident {incident.incident_id}", []).append(result.check_id)
    return told


def incident(topic: Topic, place: str) -> Incident:
    return Incident(
        7, "dbt_run_failure", Severity.HIGH, "open", "t", topic.value, place, None, "d",
        Layer.GOLD, None, "lead", "", MORNING, "run", MORNING, None, None, None, (("lead", ""),),
    )  # fmt: skip


def test_a_failed_model_explains_what_is_made_from_it() -> None:
    """Its children, tests on them, and checks on their rows; not what stands beside it."""
    found = groups(
        verdict_of("items.volume", dataset="facts.fact_items"),
        test_of("fact_orders.id.unique", "facts.fact_orders"),
        model("stg_events", "staging.stg_events"),
        test_of("dim_users.id.not_null", "facts.dim_users"),
    )

    assert {
        "dbt.model.stg_events": [
            "dbt.model.stg_events", "dbt.fact_orders.id.unique", "items.volume",
        ],
        "dbt.dim_users.id.not_null": ["dbt.dim_users.id.not_null"],
    } == found  # fmt: skip


def test_a_file_that_did_not_come_explains_what_is_old_and_few() -> None:
    """Landing first, then freshness and volume of that feed; not those of another feed."""
    found = groups(
        verdict_of("shop.freshness", dataset="monitoring.freshness"),
        verdict_of("shop.volume", dataset="monitoring.volume_scores"),
        verdict_of("landing.shop.arrived", dataset="shop_raw.events"),
        verdict_of("users.freshness", dataset="monitoring.freshness"),
    )

    assert {
        "landing.shop.arrived": ["landing.shop.arrived", "shop.volume", "shop.freshness"],
        "users.freshness": ["users.freshness"],
    } == found


def test_nobody_loads_explains_every_feed() -> None:
    """A dead scheduler is one incident, not one per feed."""
    found = groups(
        verdict_of(
            "arrival.log_entries_today", suite_name="arrival", dataset="monitoring.pipeline_logs"
        ),
        verdict_of("shop.freshness", dataset="monitoring.freshness"),
        verdict_of("users.freshness", dataset="monitoring.freshness"),
    )

    assert ["arrival.log_entries_today"] == list(found)


def test_rejected_rows_explain_what_they_miss_in_the_marts() -> None:
    """The rate leads, though its table stands beside the marts; lost rows are another cause."""
    found = groups(
        verdict_of("shop.orphans", dataset="facts.fact_orders"),
        verdict_of("shop.quarantine_rate", dataset="monitoring.quarantine_rates"),
        verdict_of(
            "arrival.conservation", dataset="monitoring.conservation", severity=Severity.CRITICAL
        ),
    )

    assert {
        "shop.quarantine_rate": ["shop.quarantine_rate", "shop.orphans"],
        "arrival.conservation": ["arrival.conservation"],
    } == found


def test_a_table_that_is_gone_leads_whoever_reads_it() -> None:
    """Checks elsewhere read views upon it: what the message names counts, not where they stand."""
    gone = 'not evaluated: relation "{}" does not exist'
    read = verdict_of(
        "a.orphans", Status.ERROR, dataset="facts.fact_orders",
        message=gone.format("monitoring.quarantine_rates"),
    )  # fmt: skip
    root = verdict_of(
        "z.x", Status.ERROR, dataset="facts.fact_items", message=gone.format("staging.stg_events")
    )

    assert {"z.x": ["z.x", "a.orphans"]} == groups(read, root)


def test_lost_rows_explain_what_is_empty_old_or_few() -> None:
    """Conservation does not say where; what shows in the same run is the same loss."""
    found = groups(
        verdict_of("shop.freshness", Status.MISSING, dataset="monitoring.freshness"),
        verdict_of("shop.volume", dataset="facts.fact_orders"),
        verdict_of("arrival.conservation", suite_name="arrival", dataset="monitoring.conservation"),
    )

    assert ["arrival.conservation"] == list(found)


def test_of_two_broken_claims_the_one_upstream_leads() -> None:
    """Whatever their names and order."""
    upstream = test_of("stg_events.z.not_null", "staging.stg_events")
    downstream = verdict_of("a.sums_add_up", dataset="facts.fact_items")

    assert {upstream.check_id: [upstream.check_id, downstream.check_id]} == groups(
        downstream, upstream
    )


def test_a_thousand_checks_of_one_root_are_one_group() -> None:
    """Of one table, and of tables made from it."""
    red = [verdict_of(f"shop.check_{n:04}", dataset="facts.fact_items") for n in range(1000)]
    found = groups(*red, test_of("fact_orders.id.unique", "facts.fact_orders"))

    assert ["dbt.fact_orders.id.unique"] == list(found)
    assert 1001 == len(found["dbt.fact_orders.id.unique"])


def test_checks_that_fail_with_the_same_words_are_one_group() -> None:
    """The database is not reached: every check says so, each with another number in it."""
    red = [
        verdict_of(
            f"c{n}", Status.ERROR, dataset=f"x.t{n}", message=f'not evaluated: "t{n}" gone {n}'
        )
        for n in range(30)
    ]

    assert 1 == len(groups(*red))


def test_silence_is_grouped_by_what_is_silent() -> None:
    """All that dbt did not say is one incident; a check without rows is another."""
    lost = [test_of(f"m{n}.not_null", f"facts.m{n}", status=Status.MISSING) for n in range(40)]
    empty = verdict_of(
        "users.freshness", Status.MISSING, dataset="other.t",
        message="hours has no value: nothing to measure yet",
    )  # fmt: skip

    assert [40, 1] == [len(each) for each in groups(*lost, empty).values()]


def test_a_lasting_cause_explains_later_runs_a_passing_one_does_not() -> None:
    """A failed model goes on; beside rejected rows a broken rule of tomorrow is told."""
    later = verdict_of("shop.orphans", dataset="facts.fact_orders")

    assert {"incident 7": ["shop.orphans"]} == groups(
        later, active=(incident(Topic.MODEL, STAGING),)
    )
    assert ["shop.orphans"] == list(
        groups(later, active=(incident(Topic.QUARANTINE, "feed:shop"),))
    )


def test_kinds_and_severities_are_those_of_the_table() -> None:
    """Kind and severity by what the check looks at; a critical check is always critical."""
    medium = Severity.MEDIUM
    table = {
        ("job_failure", "high"): verdict_of("job.load.shop", severity=medium),
        ("landing_failure", "high"): verdict_of("landing.shop.arrived"),
        ("landing_failure", "medium"): verdict_of("landing.shop.arrived", severity=medium),
        ("validation_failure", "medium"): verdict_of("landing.shop.columns"),
        ("data_quality_failure", "low"): verdict_of("shop.volume", severity=Severity.LOW),
        ("data_quality_failure", "critical"): verdict_of(
            "shop.quarantine_rate", severity=Severity.CRITICAL
        ),
        ("dbt_run_failure", "high"): model("fact_orders", "facts.fact_orders"),
        ("dbt_test_failure", "medium"): test_of("a.id.unique", "facts.a", severity=Severity.LOW),
        ("scd_validation_failure", "high"): verdict_of("users_scd.integrity", severity=medium),
        ("monitoring_failure", "high"): verdict_of("shop.volume", Status.MISSING, severity=medium),
    }

    assert list(table) == [(kind_of(each), severity_of(each).value) for each in table.values()]


def test_a_test_on_a_model_called_scd_is_a_test() -> None:
    """What counts is what the test is called, not the model."""
    assert Topic.RULE is topic_of(test_of("dim_users_scd.email.not_null", "facts.dim"))
    assert Topic.SCD is topic_of(test_of("dim_users_scd.scd2_no_gap", "facts.dim"))
