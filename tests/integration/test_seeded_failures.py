"""Failures of every kind, injected one by one into a warehouse that was green: is the cause named?

Each seed has a copy of the same warehouse and project. What it injects is what a person would find
out; the first line of the first incident must say it.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from monitors import DataMonitor
from monitors.arrival.sample import write_sample
from monitors.commands.incidents import IncidentDesk, Shown
from monitors.errors import RampartError
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.conftest import Server, copy_project
from tests.integration.test_pipeline import YESTERDAY

_numbers = count(1)


@dataclass(frozen=True)
class Green:
    """A warehouse on which everything holds, and the project that built it."""

    server: Server
    target: Target
    project: Path


@dataclass
class Scene:
    """A copy of it, for one seed."""

    target: Target
    project: Path

    def sql(self, *statements: str) -> None:
        with connect(self.target) as connection:
            for each in statements:
                connection.execute(each.encode())
            connection.commit()

    def monitor(self) -> DataMonitor:
        return DataMonitor(self.project)

    def newest(self, pattern: str) -> Path:
        return sorted((self.project / "landing").glob(pattern))[-1]

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.project / path
        text = file.read_text()
        assert old in text, path
        file.write_text(text.replace(old, new, 1))

    def incidents(self) -> list[Shown]:
        """Those that are active, in the order in which they were opened."""
        desk = IncidentDesk(self.project)
        return [desk.show(each.incident_id) for each in reversed(desk.list())]


@pytest.fixture(scope="module")
def green(embedded_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Green:
    """Eight days of history, loaded, built and scanned without a fault."""
    target = embedded_server.new_database()
    project = copy_project(tmp_path_factory.mktemp("seeded") / "project")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in target.environment().items():
            patch.setenv(name, value)
        patch.setenv("DBT_PROFILES_DIR", str(project / "no-profiles"))
        summary = write_sample(project / "landing", last_day=YESTERDAY, scale=0.2)
        for path in summary.today:
            path.unlink()
        verdict = DataMonitor(project).run()
    assert (0, ()) == (verdict.exit_code, verdict.alerts)
    return Green(embedded_server, target, project)


@pytest.fixture
def scene(
    green: Green, tmp_path: Path, use: Callable[[Target], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scene]:
    name = f"{green.target.dbname}_seed{next(_numbers)}"
    server = green.server
    with psycopg.connect(
        host=server.host, port=server.port, user=server.user, password=server.password,
        dbname="postgres", autocommit=True,
    ) as connection:  # fmt: skip
        connection.execute(f"create database {name} template {green.target.dbname}".encode())
    project = shutil.copytree(green.project, tmp_path / "project", symlinks=True)
    target = replace(green.target, dbname=name)
    use(target)
    monkeypatch.setenv("DBT_PROFILES_DIR", str(project / "no-profiles"))
    scene = Scene(target, project)
    # a dimension knows its extracts under its full name, the database in it
    scene.sql(
        "update monitoring.scd2_extracts"
        f" set relation = replace(relation, '\"{green.target.dbname}\"', '\"{name}\"')"
    )
    yield scene
    with psycopg.connect(
        host=server.host, port=server.port, user=server.user, password=server.password,
        dbname="postgres", autocommit=True,
    ) as connection:  # fmt: skip
        connection.execute(f"drop database {name} with (force)".encode())


# ------------------------------------------------------------------------ the seeds


@dataclass(frozen=True)
class Seed:
    """What is injected, what is run, and what the first line must say."""

    name: str
    kind: str
    says: str
    """A pattern that the first line must hold."""
    inject: Callable[[Scene], None]
    run: Callable[[Scene], Any]


def scan(scene: Scene) -> None:
    scene.monitor().scan()


def run(scene: Scene) -> None:
    scene.monitor().run()


def build_and_scan(scene: Scene) -> None:
    scene.monitor().build()
    scene.monitor().scan()


def audit(scene: Scene) -> None:
    scene.monitor().audit()


def only(command: str) -> Callable[[Scene], None]:
    def start(scene: Scene) -> None:
        with suppress(RampartError, psycopg.Error):
            getattr(scene.monitor(), command)()

    return start


def sql(*statements: str) -> Callable[[Scene], None]:
    return lambda scene: scene.sql(*statements)


def next_events(change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Any:
    """A file of the day after the last one: its events are those of that day, changed."""

    def inject(scene: Scene) -> None:
        last = scene.newest("clickstream/events_*.jsonl.gz")
        day = YESTERDAY.isoformat()
        events = [json.loads(line) for line in gzip.decompress(last.read_bytes()).splitlines()
                  if _is_json(line)]  # fmt: skip
        for event in events:
            event["event_timestamp"] += 86_400_000_000
            if event.get("transaction_id"):
                event["transaction_id"] = f"N-{event['transaction_id']}"
            event["session_id"] = f"{event['session_id']}9"
        lines = "\n".join(json.dumps(event) for event in change(events))
        path = last.with_name(f"events_{day}.jsonl.gz")
        path.write_bytes(gzip.compress(lines.encode()))

    return inject


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line).get("event_timestamp"), int)
    except (ValueError, AttributeError):
        return False


def without_client(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**e, "client_id": None} if n % 8 == 0 else e for n, e in enumerate(events)]


def negative_revenue(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**e, "event_name": "buy_now"} if n % 9 == 0 else e for n, e in enumerate(events)]


def a_tenth(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return events[: len(events) // 10]


def bad_phases(scene: Scene) -> None:
    last = scene.newest("salesforce/sf_user_full_*.csv*")
    text = _text(last).replace("Planning", "Dreaming").replace("Fieldwork", "Dreaming")
    text = text.replace("Closed", "Dreaming")
    name = f"sf_user_full_{YESTERDAY + timedelta(days=1):%Y%m%d}T000000Z.csv"
    last.with_name(name).write_text(text)


def _text(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()


def lost_column(scene: Scene) -> None:
    for station in ("Altmarkt", "Lindenhof", "Nordhafen", "Seeufer"):
        last = scene.newest(f"air_quality/*{station}_*.csv")
        rows = [line.split(",") for line in last.read_text().splitlines()]
        gone = rows[0].index("station")
        moved = [[c for n, c in enumerate(row) if n != gone] for row in rows]
        name = re.sub(r"\d{8}", f"{YESTERDAY:%Y%m%d}", last.name)
        text = "\n".join(",".join(row) for row in moved)
        last.with_name(name).write_text(text.replace(",16,", f",{YESTERDAY.day},"))


def broken_documents(scene: Scene) -> None:
    folder = scene.newest("leases/*").parent / YESTERDAY.isoformat()
    folder.mkdir(exist_ok=True)
    for n, source in enumerate(sorted((scene.project / "landing/leases").rglob("*.json"))[:12]):
        text = source.read_text() if n % 3 else source.read_text()[:40]
        name = re.sub(r"\d{8}T\d{6}Z", f"{YESTERDAY:%Y%m%d}T{n:02}0000Z", source.name)
        (folder / name).write_text(text + " " * n)


def add_to_model(path: str, text: str) -> Callable[[Scene], None]:
    def inject(scene: Scene) -> None:
        file = scene.project / path
        file.write_text(file.read_text() + text)

    return inject


SEEDS = [
    # data quality: what arrives
    Seed("events without a client", "data_quality_failure", "client_id_present.*events_",
         next_events(without_client), run),
    Seed("events that nobody knows", "data_quality_failure", "event_name_known.*events_",
         next_events(negative_revenue), run),
    Seed("a tenth of a day", "data_quality_failure", r"events_\S+ of clickstream brought [\d,]+",
         next_events(a_tenth), run),
    Seed("unknown phases", "data_quality_failure", "audit_phase_known.*sf_user_", bad_phases, run),
    Seed("a lost column", "data_quality_failure", "column station did not come", lost_column, run),
    Seed("broken documents", "data_quality_failure", "cannot be read: broken JSON",
         broken_documents, run),
    # data quality: what the marts hold
    Seed("a lost row", "data_quality_failure", r"1 row of events_\S+ \(clickstream\) lost",
         sql("delete from facts.fact_events where event_key ="
             " (select min(event_key) from facts.fact_events)"), scan),
    Seed("rows counted twice", "data_quality_failure", "counted twice",
         sql("drop index facts.fact_events_event_key",
             "insert into facts.fact_events select * from facts.fact_events limit 5"), scan),
    Seed("orders without a sum", "data_quality_failure", "clickstream.pct_missing_revenue",
         sql("update facts.fact_orders set revenue = null where transaction_id in"
             " (select transaction_id from facts.fact_orders limit 50)"), scan),
    Seed("orders of no session", "data_quality_failure", "clickstream.orphan_orders",
         sql("update facts.fact_orders set session_id = 'gone' where transaction_id in"
             " (select transaction_id from facts.fact_orders limit 9)"), scan),
    Seed("old events", "data_quality_failure", "clickstream.freshness: hours=",
         sql("update facts.fact_events set event_timestamp = event_timestamp - interval '9 hours'"
             " where event_timestamp > (select max(event_timestamp) - interval '9 hours'"
             " from facts.fact_events)"), scan),
    Seed("an old register", "data_quality_failure", "sf_user.freshness.*nothing new came of sf_us",
         sql("update salesforce_raw.sf_user set _extracted_at = _extracted_at - interval '30 days'",
             "update monitoring.deliveries set extracted_at = extracted_at - interval '30 days'"
             " where feed = 'sf_user'"), scan),
    Seed("owners nobody knows", "data_quality_failure", "leases.unresolved_owners",
         sql("update facts.fact_lease_documents set owner_resolution = 'unknown owner',"
             " owner_key = 'unknown' where document_id in"
             " (select document_id from facts.fact_lease_documents limit 60)"), scan),
    Seed("a wave of withdrawals", "data_quality_failure", "leases.withdrawn",
         sql("update facts.fact_lease_documents set is_withdrawn = true"), scan),
    # SCD2
    Seed("two current versions", "scd_validation_failure", "several current versions",
         sql("drop index salesforce_curated.dim_sf_user_scd_one_current",
             "create temporary table doubled as select * from salesforce_curated.dim_sf_user_scd"
             " where is_current and not is_deleted limit 4",
             "update doubled set sf_user_key = 'x' || sf_user_key,"
             " valid_from = valid_from + interval '1 hour'",
             "insert into salesforce_curated.dim_sf_user_scd select * from doubled"), scan),
    Seed("gaps between versions", "scd_validation_failure", "leaves a gap",
         sql("update salesforce_curated.dim_sf_user_scd set valid_to = valid_to - interval '1 hour'"
             " where valid_to is not null"), scan),
    Seed("overlapping versions", "scd_validation_failure", "overlap",
         sql("update salesforce_curated.dim_sf_user_scd set valid_to = valid_to + interval '1 hour'"
             " where valid_to is not null"), audit),
    # dbt: models
    Seed("a broken model", "dbt_run_failure", "dbt.model.int_clickstream_events_judged.*no_such",
         add_to_model("models/intermediate/int_clickstream_events_judged.sql",
                      "\nwhere no_such_column = 1\n"), build_and_scan),
    Seed("a broken contract", "dbt_run_failure", "fact_air_quality_measurements.*contract",
         lambda s: s.edit("models/marts/air_quality/_air_quality__marts.yml", "numeric(18,4)",
                          "integer"), build_and_scan),
    Seed("a build alone", "dbt_run_failure", "dbt.model.fact_orders.*no_such",
         add_to_model("models/marts/clickstream/fact_orders.sql", "\nwhere no_such_column = 1\n"),
         only("build")),
    # dbt: tests
    Seed("a status nobody knows", "dbt_test_failure", "fact_lease_documents.status.accepted_values",
         sql("update facts.fact_lease_documents set status = 'lost' where document_id in"
             " (select document_id from facts.fact_lease_documents limit 3)"), audit),
    Seed("orders of no event", "dbt_test_failure", "fact_orders.event_key.relationships",
         sql("update facts.fact_orders set event_key = 'gone' where transaction_id in"
             " (select transaction_id from facts.fact_orders limit 3)"), audit),
    # monitoring
    Seed("a dropped table", "monitoring_failure", "facts.fact_orders.*does not exist",
         sql("drop table facts.fact_orders cascade"), scan),
    Seed("a view that is gone", "monitoring_failure", "monitoring.freshness.*does not exist",
         sql("drop view monitoring.freshness cascade"), scan),
    Seed("a mistyped query", "monitoring_failure", "leases.withdrawn.*is_withdrown",
         lambda s: s.edit("monitors/checks/leases.yml", "when is_withdrawn then",
                          "when is_withdrown then"), scan),
    Seed("empty marts", "data_quality_failure", r"arrival.conservation.*\(clickstream\) lost",
         sql("truncate facts.fact_orders", "truncate facts.fact_events"), scan),
    Seed("unreadable checks", "monitoring_failure",
         "checks_file.leases: .*leases.yml:2: not valid YAML",
         lambda s: (s.project / "monitors/checks/leases.yml").write_text("checks for x: [\n"),
         only("scan")),
    # jobs
    Seed("a load that fails", "job_failure", "job.load.*no space left",
         lambda s: (s.sql("create function refuse() returns trigger language plpgsql as"
                          " 'begin raise ''no space left on device''; end'",
                          "create trigger refuse before insert on clickstream_raw.events"
                          " for each statement execute function refuse()"),
                    next_events(a_tenth)(s)), only("load")),
    Seed("dbt that cannot start", "job_failure", "job.build: .*dbt_project.yml cannot be read",
         lambda s: (s.project / "dbt_project.yml").write_text("name: [\n"), only("build")),
    Seed("a command after the run", "job_failure", "job.then.false.*exit code 1",
         lambda s: s.edit("rampart.yml", "then: []", "then: ['false']"), run),
    # nobody loads
    Seed("no load today", "landing_failure", "arrival.log_entries_today",
         sql("update monitoring.pipeline_logs set started_at = started_at - interval '2 days'"),
         scan),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_the_first_line_names_what_was_injected(scene: Scene, seed: Seed) -> None:
    """Kind and cause, in the first line of the first incident; and one cause is one incident."""
    seed.inject(scene)
    seed.run(scene)
    found = scene.incidents()
    assert found, "no incident at all"
    first = found[0]
    assert first.message is not None
    line = first.message.lead[0].text

    assert re.search(seed.says, line), line
    assert seed.kind == first.incident.kind
    assert 1 == len(found), [each.incident.title for each in found]
    assert ["what", "since", "rows", "why", "do"] == [fact.label for fact in first.message.lead]
