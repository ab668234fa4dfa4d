"""Seeded failures of every kind: is the cause named in the first line?

What a scan would find is given as verdicts, and what it would find around them as rows of the store
and of the quality models, over a manifest like the project's. tests/integration/
test_seeded_failures.py injects the same and more into a warehouse that dbt built (slow).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from monitors.commands.incidents import IncidentDesk
from monitors.results import CheckResult, Layer, Severity, Status
from monitors.store.migrate import migrate
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.alerting import Clock, Desk, verdict_of
from tests.conftest import Server

FEEDS = {
    "clickstream": {"table": "clickstream_raw.events", "format": "jsonl", "path": "in/c/*",
                    "personal": ["client_id"]},
    "sf_user": {"table": "salesforce_raw.sf_user", "format": "csv", "path": "in/s/*"},
}  # fmt: skip
LINEAGE = {
    "source.p.clickstream_raw.events": [],
    "source.p.salesforce_raw.sf_user": [],
    "source.p.monitoring.pipeline_logs": [],
    "model.p.staging.stg_events": ["source.p.clickstream_raw.events"],
    "model.p.staging.int_events": ["model.p.staging.stg_events"],
    "model.p.staging.int_users": ["source.p.salesforce_raw.sf_user"],
    "model.p.facts.fact_events": ["model.p.staging.int_events"],
    "model.p.facts.fact_orders": ["model.p.facts.fact_events"],
    "model.p.facts.dim_users": ["model.p.staging.int_users"],
    "model.p.facts.fact_leases": ["model.p.facts.dim_users"],
    "model.p.quarantine.violations": ["model.p.staging.int_events", "model.p.staging.int_users"],
    "model.p.quarantine.ledger": ["model.p.quarantine.violations"],
    "model.p.monitoring.quarantine_rates": ["model.p.quarantine.ledger"],
    "model.p.monitoring.conservation": ["model.p.quarantine.ledger", "model.p.facts.fact_events"],
    "model.p.monitoring.scd2_faults": ["model.p.facts.dim_users"],
    "model.p.monitoring.freshness": ["model.p.facts.fact_events", "model.p.facts.dim_users"],
    "exposure.p.revenue": ["model.p.facts.fact_orders"],
}
TEST = "test.p.orders_have_a_customer"


def manifest(checksum: str = "1") -> dict[str, Any]:
    nodes: dict[str, Any] = {}
    for unique_id, parents in LINEAGE.items():
        kind, _, *schema, name = unique_id.split(".")
        nodes[unique_id] = {
            "unique_id": unique_id, "resource_type": kind, "name": name, "alias": name,
            "schema": schema[0] if schema else None, "depends_on": {"nodes": parents},
            "checksum": {"checksum": checksum}, "columns": {}, "owner": {"name": "Web analytics"},
            "type": "dashboard",
        }  # fmt: skip
    nodes["model.p.facts.fact_orders"]["columns"] = {"city": {"meta": {"personal": True}}}
    nodes[TEST] = {
        "unique_id": TEST, "resource_type": "test", "name": "orders_have_a_customer",
        "depends_on": {"nodes": ["model.p.facts.fact_orders"]},
        "compiled_code": "select 'T-1' as transaction_id, 'Bath' as city;",
    }  # fmt: skip
    return {"nodes": nodes}


TABLES = """
create schema clickstream_raw;
create schema salesforce_raw;
create table salesforce_raw.sf_user (_delivery_id bigint, _source_row bigint, email text);
create table clickstream_raw.events (_delivery_id bigint, _source_row bigint, payload text);
create table quarantine.violations
    (feed text, delivery_id bigint, source_row bigint, item text, rule text, effect text);
create table quarantine.ledger (feed text);
create table monitoring.conservation
    (feed text, delivery_id bigint, grain text, unaccounted bigint);
create table monitoring.scd2_faults (user_id text, valid_from timestamptz, fault text, repair text)
"""


@pytest.fixture(scope="module")
def prepared(database: Target, tmp_path_factory: pytest.TempPathFactory) -> Target:
    """Green a day ago, when both feeds had brought five deliveries of 1,000 records each."""
    with connect(database) as connection:
        migrate(connection)
        for statement in TABLES.split(";"):
            connection.execute(statement.encode())
        connection.commit()
    desk = Desk(database, tmp_path_factory.mktemp("green"), {"feeds": FEEDS}, Clock())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in database.environment().items():
            patch.setenv(name, value)
        desk.scan(*MODELS)
        for feed in FEEDS:
            for day in range(1, 6):
                deliver(desk, feed, f"{feed}_{day}.gz")
        desk.scan(*(verdict_of(seen.check_id, Status.PASS) for s in SEEDS for seen in s.results))
    return database


@pytest.fixture
def desk(
    prepared: Target, tmp_path: Path, use: Callable[[Target], None], embedded_server: Server
) -> Desk:
    """The morning after, in a copy of that database."""
    target = embedded_server.new_database(template=prepared.dbname)
    use(target)
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "manifest.json").write_text(json.dumps(manifest()))
    desk = Desk(target, tmp_path, {"feeds": FEEDS}, Clock())
    desk.clock.move(days=1)
    return desk


MODELS = [
    verdict_of(
        f"dbt.model.{unique_id.rsplit('.', 1)[-1]}", Status.PASS, suite_name="dbt",
        attributes={"unique_id": unique_id, "checksum": "1"},
    )
    for unique_id in LINEAGE if unique_id.startswith("model.")
]  # fmt: skip


def sql(desk: Desk, text: str) -> None:
    with connect(desk.target) as connection:
        connection.execute(text.encode())
        connection.commit()


def deliver(
    desk: Desk, feed: str, name: str, *, rows: int = 1000, dead: int = 0,
    admission: str = "admitted", why: str = "",
) -> int:  # fmt: skip
    with connect(desk.target) as connection:
        row = connection.execute(
            "insert into monitoring.deliveries (feed, name, sha256, sequence, extracted_at,"
            " extracted_at_from, kind, records, rows, dead_letters, bytes, loaded_at, run_id,"
            " admission, admitted_by, why) select %(feed)s, %(name)s, %(name)s,"
            " (select count(*) + 1 from monitoring.deliveries where feed = %(feed)s), %(at)s,"
            " 'name', 'events', %(rows)s + %(dead)s, %(rows)s, %(dead)s, 9, %(at)s,"
            " (select max(run_id) from monitoring.runs), %(admission)s, 'rampart', %(why)s"
            " returning delivery_id",
            {"feed": feed, "name": name, "rows": rows, "dead": dead, "admission": admission,
             "why": why or None, "at": desk.clock()},
        ).fetchone()  # fmt: skip
        connection.commit()
    assert row is not None
    return int(row[0])


# ------------------------------------------------------------------------ what surrounds a failure


def breaks(rule: str, feed: str = "clickstream", rows: int = 80) -> Callable[[Desk], None]:
    def surround(desk: Desk) -> None:
        delivery = deliver(desk, feed, f"{feed}_6.gz")
        sql(
            desk,
            "insert into quarantine.violations select"
            f" '{feed}', {delivery}, n, '', '{rule}', 'reject' from generate_series(1, {rows}) n",
        )
        payload = '{"client_id": "anna", "page": "/"}'
        sql(desk, f"insert into clickstream_raw.events select {delivery}, n, '{payload}'"
                  " from generate_series(1, 3) n")  # fmt: skip

    return surround


def drifts(column: str, change: str) -> Callable[[Desk], None]:
    def surround(desk: Desk) -> None:
        delivery = deliver(desk, "clickstream", "clickstream_6.gz")
        sql(desk, "insert into monitoring.schema_drift (delivery_id, feed, column_name, change)"
                  f" values ({delivery}, 'clickstream', '{column}', '{change}')")  # fmt: skip

    return surround


def unreadable(desk: Desk) -> None:
    delivery = deliver(desk, "clickstream", "clickstream_6.gz", rows=700, dead=300)
    sql(desk, "insert into monitoring.dead_letters (delivery_id, feed, name, source_row, line,"
              " reason, content, content_bytes, run_id) select"
              f" {delivery}, 'clickstream', 'clickstream_6.gz', n, n, 'broken JSON', '', 0,"
              " (select max(run_id) from monitoring.runs)"
              " from generate_series(1, 300) n")  # fmt: skip


def refused(desk: Desk) -> None:
    deliver(desk, "sf_user", "users_6.csv", admission="refused", why="41 % of the keys are gone")


def small(desk: Desk) -> None:
    deliver(desk, "clickstream", "clickstream_6.gz", rows=90)


def doubled(desk: Desk) -> None:
    deliver(desk, "clickstream", "clickstream_6.gz", rows=2000)


def unaccounted(rows: int) -> Callable[[Desk], None]:
    def surround(desk: Desk) -> None:
        delivery = deliver(desk, "clickstream", "clickstream_6.gz")
        sql(desk, "insert into monitoring.conservation values"
                  f" ('clickstream', {delivery}, 'row', {rows})")  # fmt: skip

    return surround


def faults(fault: str) -> Callable[[Desk], None]:
    return lambda desk: sql(
        desk,
        f"insert into monitoring.scd2_faults select 'u' || n, now(), '{fault}', 'update'"
        " from generate_series(1, 7) n",
    )


def changed_code(desk: Desk) -> None:
    changed = manifest()
    changed["nodes"]["model.p.staging.int_events"]["checksum"] = {"checksum": "2"}
    (desk.root / "target" / "manifest.json").write_text(json.dumps(changed))


def nothing(_desk: Desk) -> None: ...


def soda(check_id: str, dataset: str, status: Status = Status.FAIL, **more: Any) -> CheckResult:
    return verdict_of(check_id, status, dataset=dataset, suite_name=check_id.split(".")[0], **more)


def dbt(check_id: str, dataset: str, status: Status = Status.FAIL, **more: Any) -> CheckResult:
    return verdict_of(f"dbt.{check_id}", status, dataset=dataset, suite_name="dbt", **more)


RATES, FRESH, ORDERS = "monitoring.quarantine_rates", "monitoring.freshness", "facts.fact_orders"


@dataclass(frozen=True)
class Seed:
    """What is around, what the checks say, and what the first line must say."""

    name: str
    kind: str
    severity: str
    says: str
    surround: Callable[[Desk], None]
    results: tuple[CheckResult, ...]


SEEDS = [
    Seed("rejected rows", "data_quality_failure", "high",
         r"clickstream.quarantine_rate: .*80 rows break client_id_present in clickstream_6.gz",
         breaks("client_id_present"),
         (soda("clickstream.orphans", ORDERS), soda("clickstream.quarantine_rate", RATES))),
    Seed("rejected users", "data_quality_failure", "critical", "80 rows break phase_known",
         breaks("phase_known", "sf_user"),
         (soda("sf_user.quarantine_rate", RATES, severity=Severity.CRITICAL),)),
    Seed("a column that did not come", "data_quality_failure", "high",
         "column client_id did not come in clickstream_6.gz", drifts("client_id", "missing"),
         (soda("clickstream.quarantine_rate", RATES),)),
    Seed("unreadable records", "data_quality_failure", "high",
         "300 records of clickstream_6.gz cannot be read: broken JSON", unreadable,
         (soda("clickstream.unreadable", "monitoring.deliveries"),
          soda("clickstream.volume", "facts.fact_events"))),
    Seed("a small file", "data_quality_failure", "high",
         r"clickstream_6.gz of clickstream brought 90 records, usual are 1,000 \(-91%\)", small,
         (soda("clickstream.volume", "facts.fact_events"),)),
    Seed("a file twice as large", "data_quality_failure", "medium", r"2,000 records.*\(\+100%\)",
         doubled, (soda("clickstream.volume", "facts.fact_events", severity=Severity.MEDIUM),)),
    Seed("a refused extract", "data_quality_failure", "medium",
         "users_6.csv of sf_user was refused: 41 % of the keys are gone", refused,
         (soda("sf_user.freshness", FRESH, severity=Severity.MEDIUM),)),
    Seed("a file that did not come", "data_quality_failure", "high",
         "nothing new came of clickstream; the last is clickstream_5.gz", nothing,
         (soda("clickstream.freshness", FRESH),
          soda("clickstream.volume", "facts.fact_events"))),
    Seed("lost rows", "data_quality_failure", "critical",
         r"3 rows of clickstream_6.gz \(clickstream\) lost", unaccounted(3),
         (soda("arrival.conservation", "monitoring.conservation", severity=Severity.CRITICAL),)),
    Seed("doubled rows", "data_quality_failure", "critical", "5 rows .* counted twice",
         unaccounted(-5),
         (soda("arrival.conservation", "monitoring.conservation", severity=Severity.CRITICAL),)),
    Seed("a changed model", "data_quality_failure", "high",
         "clickstream.sums.*the code of int_events changed", changed_code,
         (soda("clickstream.sums", ORDERS),)),
    Seed("a wrong sum", "data_quality_failure", "low", "sums on facts.fact_orders: value", nothing,
         (soda("clickstream.sums", ORDERS, severity=Severity.LOW),)),
    Seed("nobody loads", "landing_failure", "high", "arrival.log_entries_today", nothing,
         (soda("arrival.log_entries_today", "monitoring.pipeline_logs"),
          soda("sf_user.freshness", FRESH), soda("clickstream.freshness", FRESH))),
    Seed("a required feed", "landing_failure", "high", "landing.clickstream.arrived", nothing,
         (soda("clickstream.freshness", FRESH),
          soda("landing.clickstream.arrived", "clickstream_raw.events"))),
    Seed("an optional feed", "landing_failure", "medium", "landing.sf_user.size", nothing,
         (soda("landing.sf_user.size", "salesforce_raw.sf_user", severity=Severity.MEDIUM),)),
    Seed("columns that are not as agreed", "validation_failure", "medium",
         "landing.clickstream.columns.*column page did not come", drifts("page", "missing"),
         (soda("landing.clickstream.columns", "clickstream_raw.events"),
          soda("clickstream.quarantine_rate", RATES, severity=Severity.MEDIUM))),
    Seed("a schema check", "validation_failure", "medium", "clickstream.schema.*city came",
         drifts("city", "added"), (soda("clickstream.schema", "clickstream_raw.events"),)),
    Seed("a broken model", "dbt_run_failure", "high", "dbt.model.int_events.*no_such_column",
         nothing,
         (soda("clickstream.sums", ORDERS, Status.ERROR),
          dbt("model.int_events", "staging.int_events", Status.ERROR, message="no_such_column"),
          dbt("fact_orders.id.unique", ORDERS, Status.MISSING, blocked_by="model.p.staging."
              "int_events"))),
    Seed("a snapshot", "dbt_run_failure", "high", "dbt.snapshot.users", nothing,
         (dbt("snapshot.users", "facts.users", Status.ERROR),)),
    Seed("a model that was changed", "dbt_run_failure", "high",
         "int_events.*the code of int_events changed", changed_code,
         (dbt("model.int_events", "staging.int_events", Status.ERROR, message="syntax error"),)),
    Seed("a dbt test", "dbt_test_failure", "medium", "dbt.orders_have_a_customer", nothing,
         (dbt("orders_have_a_customer", ORDERS, attributes={"unique_id": TEST}),)),
    Seed("a test upstream", "dbt_test_failure", "medium", "dbt.stg_events.id.not_null", nothing,
         (dbt("fact_orders.id.unique", ORDERS),
          dbt("stg_events.id.not_null", "staging.stg_events"))),
    Seed("several current versions", "scd_validation_failure", "high",
         r"versions: several current versions \(7\)", faults("several current versions"),
         (soda("sf_user_scd.integrity", "facts.dim_users"),
          soda("leases.unresolved", "facts.fact_leases"))),
    Seed("gaps, by a dbt test", "scd_validation_failure", "high", r"versions: leaves a gap \(7\)",
         faults("leaves a gap"), (dbt("dim_users.scd2_no_gap", "facts.dim_users"),)),
    Seed("a table that is gone", "monitoring_failure", "high", 'orders: relation "facts.fact_ord',
         nothing,
         tuple(soda(f"clickstream.{each}", ORDERS, Status.ERROR,
                    message='not evaluated: relation "facts.fact_orders" does not exist')
               for each in ("orders", "sums"))),
    Seed("a check that is silent", "monitoring_failure", "high", "sums on facts.*: did not report",
         nothing, (soda("clickstream.sums", ORDERS, Status.MISSING, message="did not report"),)),
    Seed("a build that was killed", "monitoring_failure", "high", "no result: the build", nothing,
         tuple(dbt(f"model.m{n}", f"facts.m{n}", Status.MISSING, message="no result: the build of"
                   f" run {n} was killed") for n in range(30))),
    Seed("the database is away", "monitoring_failure", "high", "connection refused", nothing,
         tuple(soda(f"c{n}.sums", f"facts.c{n}", Status.ERROR,
                    message="not evaluated: connection refused") for n in range(30))),
    Seed("a load that failed", "job_failure", "high", "job.load.clickstream: in/x.gz: No space",
         nothing,
         (verdict_of("job.load.clickstream", suite_name="jobs", dataset="clickstream_raw.events",
                     message="in/x.gz: No space left on device"),
          soda("clickstream.freshness", FRESH), soda("clickstream.orphans", ORDERS))),
    Seed("a channel", "monitoring_failure", "high", "alerts.channel.oncall: 3 alerts parked",
         nothing,
         (verdict_of("alerts.channel.oncall", suite_name="jobs", dataset="channel oncall",
                     message="3 alerts parked: 404"),)),
]  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_the_first_line_names_the_cause(desk: Desk, seed: Seed) -> None:
    """One incident, of the right kind and severity, whose first line names what was injected."""
    seed.surround(desk)
    desk.scan(*seed.results)
    people = IncidentDesk(desk.config, now=desk.clock)
    found = people.list()
    assert 1 == len(found), [each.title for each in found]
    shown = people.show(found[0].incident_id)
    assert shown.message is not None
    what, *rest = shown.message.lead

    assert re.search(seed.says, what.text), what.text
    assert (seed.kind, seed.severity) == (found[0].kind, found[0].severity.value)
    assert ["what", "since", "rows", "why", "do"] == [what.label, *(fact.label for fact in rest)]
    assert [] == [each for each in shown.message.sections if each.title == "Could not be looked at"]


def sections(desk: Desk) -> dict[str, Any]:
    message = IncidentDesk(desk.config, now=desk.clock).show(1).message
    assert message is not None
    return {each.title: each for each in message.sections}


def seeded(name: str) -> Seed:
    return next(each for each in SEEDS if each.name == name)


def raise_one(desk: Desk, name: str) -> dict[str, Any]:
    seed = seeded(name)
    seed.surround(desk)
    desk.scan(*seed.results)
    return sections(desk)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ("on", ("1", '{"client_id": "***", "page": "/"}')),
        ("masked", ("1", "***")),
        ("off", None),
    ],
)
def test_sample_rows_are_shown_masked_or_not_at_all(
    desk: Desk, samples: str, expected: tuple[str, ...] | None
) -> None:
    """Personal keys of the payload are hidden in every setting."""
    desk.settings["alerts"] = {"samples": samples}
    shown = raise_one(desk, "rejected rows").get("Sample rows")

    assert expected == (shown and shown.table.rows[0][1:])


def test_columns_that_a_model_tags_as_personal_are_hidden(desk: Desk) -> None:
    """`meta: {personal: true}` of a column upstream of the test."""
    shown = raise_one(desk, "a dbt test")

    assert (("T-1", "***"),) == shown["Sample rows"].table.rows
    assert "Hidden: city." == shown["Sample rows"].text
    assert shown["Look at it"].statement.startswith("select 'T-1'")


def test_the_text_says_who_reads_it_and_what_to_do(desk: Desk) -> None:
    """Readers with owners, what the same cause explains, a statement, actions, numbered steps."""
    shown = raise_one(desk, "a broken model")

    assert ("revenue (dashboard), Web analytics",) == shown["Downstream"].items
    assert (
        "clickstream.sums: value=7 (max 0)", "1 model or test skipped",
    ) == shown["Explained by the same cause"].items  # fmt: skip
    assert shown["Investigation"].numbered
    assert "rampart build --select int_events+" in shown["Recommended actions"].items[0]


def test_what_cannot_be_looked_at_is_named_and_stops_nothing(desk: Desk) -> None:
    """Without the view of violations the alert still comes, and says so."""
    sql(desk, "alter table quarantine.violations rename to gone")
    shown = raise_one(desk, "a small file")

    assert (
        'rules: relation "quarantine.violations" does not exist'
        in (shown["Could not be looked at"].items[0])
    )


def test_without_a_second_connection_the_alert_says_little_and_comes(desk: Desk) -> None:
    """A database that is full, or a fault of ours: the verdict and its incident are written."""
    sql(desk, "create role one login connection limit 1 superuser")
    sql(desk, f"alter database {desk.target.dbname} connection limit 1")
    sql(desk, "alter role one nosuperuser")
    sql(desk, "grant all on all tables in schema monitoring to one")
    sql(desk, "grant all on all sequences in schema monitoring to one")
    sql(desk, "grant usage on schema monitoring to one")
    few = Target(desk.target.host, desk.target.port, "one", desk.target.dbname, "environment",
                 "", "prod")  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, value in few.environment().items():
            patch.setenv(name, value)
        desk.scan(soda("clickstream.sums", ORDERS))
    sql(desk, "drop owned by one")
    sql(desk, "drop role one")
    unread = sections(desk)["Could not be looked at"].items

    assert "ConnectionFailed" in unread[0]


def test_layers_of_what_leads_are_kept(desk: Desk) -> None:
    """Routing by layer sees the layer of the check that leads."""
    desk.scan(soda("clickstream.sums", ORDERS, layer=Layer.GOLD))

    assert [("gold",)] == desk.rows("select layer from monitoring.incidents")
