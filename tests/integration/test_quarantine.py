"""The ledger: look into it, replay what passes by the rules of now, discard for good.

The rules of a copy of the project are made milder between the builds, as people do it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from monitors import DataMonitor
from monitors.arrival.sample import write_sample
from monitors.commands.quarantine import Quarantine
from monitors.store.decisions import Decisions, Selection
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.conftest import ROOT, Server, copy_project

YESTERDAY = datetime.now(timezone.utc).date() - timedelta(days=1)
MARTS = {
    "facts.fact_events": "event_key",
    "facts.fact_orders": "transaction_id",
    "facts.fact_air_quality_measurements": "measurement_key",
    "salesforce_curated.dim_sf_user_scd": "sf_user_key",
    "quarantine.ledger": "feed, delivery_id, source_row, item",
    "staging.int_clickstream_events_judged": "_delivery_id, _source_row",
    "staging.int_sf_users_judged": "_delivery_id, _source_row",
    "facts.fact_lease_documents": "document_id",
    "staging.int_lease_documents_judged": "_delivery_id, _source_row",
    "staging.int_air_quality_station_hours_judged": "_delivery_id, _source_row",
    "staging.int_air_quality_measurements_judged": "_delivery_id, _source_row, parameter",
}
FUTURE = "events_may_lead_by_days: 1"


@dataclass(frozen=True)
class Desk:
    """A project, its warehouse, and the ways in which people reach them."""

    project: Path
    target: Target

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        with connect(self.target) as connection:
            return connection.execute(sql.encode()).fetchall()

    def rampart(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "monitors.cli", "--log-level", "error", *arguments],
            cwd=self.project,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def build(self, *, full_refresh: bool = False) -> None:
        """Models only: each replay builds and tests everything anyway."""
        models = ["resource_type:model"]
        verdict = DataMonitor(self.project).build(models, full_refresh=full_refresh)

        assert (0, ()) == (verdict.exit_code, verdict.alerts)
        self.check_conservation()

    def check_conservation(self) -> None:
        assert [] == self.rows("select * from monitoring.conservation where unaccounted <> 0")

    def state(self) -> dict[str, object]:
        """Marts, ledger and judged rows, row for row, whatever the order of their columns."""
        digest = (
            "select count(*), md5(string_agg(to_jsonb(t)::text, '|' order by {key})) from {table} t"
        )
        return {t: self.rows(digest.format(table=t, key=k)) for t, k in MARTS.items()}

    def open_rows(self, where: str = "true") -> int:
        sql = f"select count(*) from quarantine.ledger where decision = 'open' and {where}"
        return int(self.rows(sql)[0][0])  # type: ignore[call-overload]

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.project / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))


def event(name: str, *, client: str = "c1", at: str = "1700000000000000", **more: object) -> str:
    """One event; `at` in microseconds. 4084300800000000 is in the year 2099."""
    fields = {"event_name": name, "event_timestamp": int(at), "client_id": client,
              "session_id": "s1", "page_location": "/", **more}  # fmt: skip
    return json.dumps(fields)


@pytest.fixture(scope="module")
def desk(embedded_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Two days of the sample, and files by hand with one case of each kind."""
    patch = pytest.MonkeyPatch()
    target = embedded_server.new_database()
    project = copy_project(tmp_path_factory.mktemp("quarantine") / "project")
    for name, value in target.environment().items():
        patch.setenv(name, value)
    patch.setenv("DBT_PROFILES_DIR", str(project / "no-profiles"))
    landing = project / "landing"
    write_sample(landing, last_day=YESTERDAY, days=2, scale=0.1)
    # the last day is never scaled, and its 50,000 events say nothing here that the first does not
    (landing / "clickstream" / f"events_{YESTERDAY}.jsonl.gz").unlink()
    far = "4084300800000000"
    (landing / "clickstream" / "events_2023-11-14.jsonl").write_text(
        "\n".join(
            [
                event("page_view", at=far),  # 1: too late by the rule; sent again as accepted
                event("page_view", at=far, page_location="/b"),  # 2: passes later
                event("page_view", at=far, client=""),  # 3: never passes
                event("purchase", at=far, transaction_id="T1", revenue=5),  # 4: an order, later
                event("page_view", page_location="/c"),  # 5: fine from the beginning
            ]
        )
    )
    (landing / "clickstream" / "events_2100-01-01.jsonl").write_text(
        "\n".join([event("page_view", at=far, traffic="again"), event("view_item", at=far)])
    )
    (landing / "salesforce" / "sf_user_full_20240101T000000Z.csv").write_text(
        "user_id,Name,Email,Division,Audit_Phase__c,IsActive,IsDeleted,LastModifiedDate\n"
        "U1,A,a@x,North,Planning,true,false,\nU2,B,b@x,North,Planning,true,maybe,\n"
    )
    header = "No,year,month,day,hour,PM2.5,PM10,SO2,NO2,CO,O3,TEMP,PRES,DEWP,RAIN,wd,WSPM,station"
    (landing / "air_quality" / "PRSA_Data_X_20240101.csv").write_text(
        f"{header}\n1,2024,1,1,24,5,9,-3,4,n/a?,6,1,1,1,0,N,1,X\n"  # no such hour; two bad cells
        "2,2024,1,1,1,5,9,-3,4,n/a?,6,1,1,1,0,N,1,X\n"  # two bad cells
    )
    # a new status that nobody has modelled yet
    document = {"document_id": "L1", "revision": 1, "status": "draft", "rent": {"amount": 5},
                "document_date": "2024-01-01", "owner": {"user_id": "U1"}}  # fmt: skip
    (landing / "leases" / "L1_20240101T000000Z.json").write_text(json.dumps(document))
    # unit tests of the rules as they are; who changes a rule changes its test
    for described in (project / "models").rglob("*.yml"):
        described.write_text(described.read_text().split("unit_tests:")[0])
    at = Desk(project, target)
    DataMonitor(project).load()
    at.build()
    yield at
    patch.undo()


@pytest.fixture(autouse=True)
def _pointing_at_it(desk: Desk, use: Callable[[Target], None]) -> None:
    use(desk.target)


# The tests below tell one story, in this order: each goes on where the one before ended.


def test_list_counts_open_rows_by_feed_rule_and_delivery(desk: Desk) -> None:
    """What is open, how many, since when, and what to type next."""
    done = desk.rampart("quarantine", "list", "--feed", "clickstream")
    found = json.loads(desk.rampart("quarantine", "list", "--json").stdout)
    lines = done.stdout.splitlines()

    assert (0, "") == (done.returncode, done.stderr)
    assert lines[0].split()[:4] == ["feed", "delivery", "rule", "rows"]
    assert any(f"events_{YESTERDAY - timedelta(days=1)}" in line for line in lines)
    assert any(
        line.startswith("one of them:  rampart quarantine show clickstream") for line in lines
    )
    feeds = {each["feed"] for each in found}
    assert {"clickstream", "sf_user", "air_quality", "leases"} == feeds
    by_rule = {
        each["rule"]: each["rows"] for each in found if each["file_name"].startswith("events_2023")
    }
    assert {"event_timestamp_believable": 4, "client_id_present": 1} == by_rule
    assert (
        "no discarded row" in desk.rampart("quarantine", "list", "--decision", "discarded").stdout
    )


def test_show_tells_everything_about_one_row(desk: Desk) -> None:
    """The text as it arrived, every broken rule with its reason, and what to type next."""
    delivery = str(delivery_of(desk, "events_2023-11-14.jsonl"))
    text = desk.rampart("quarantine", "show", "clickstream", delivery, "3").stdout
    cells = desk.rampart(
        "quarantine", "show", "air_quality", str(delivery_of(desk, "PRSA_Data_X_20240101.csv")), "2"
    ).stdout

    hidden = event("page_view", at="4084300800000000", client="***", session_id="***")
    assert hidden in text
    assert "client_id_present: An event without a client" in text
    assert "event_timestamp_believable: An event from after" in text
    assert f"rampart quarantine discard --feed clickstream --delivery {delivery} --row 3" in text
    assert "cell so2: open" in cells
    assert "cell co: open" in cells


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["discard", "--feed", "clickstream"], "--why"),
        (["discard", "--feed", "clickstream", "--why", " "], "needs a reason"),
        (["discard", "--why", "because"], "say which rows"),
        (["list", "--feed", "clickstraem"], "clickstraem"),
        (["replay", "--row", "3"], "--delivery"),
        (["show", "clickstream", "1", "999999999"], "has no row 999999999"),
    ],
)
def test_wrong_usage_exits_2_with_one_line(desk: Desk, arguments: list[str], said: str) -> None:
    """What cannot be meant is refused before anything is decided."""
    done = desk.rampart("quarantine", *arguments)

    assert 2 == done.returncode
    assert said in done.stderr.splitlines()[-1]
    assert [] == desk.rows("select * from quarantine.decisions")


def test_a_milder_rule_moves_nothing_by_itself(desk: Desk) -> None:
    """A changed rule holds for new deliveries; what was judged stays judged."""
    before = desk.state()
    desk.edit("dbt_project.yml", FUTURE, "events_may_lead_by_days: 99999")
    desk.edit(
        "macros/rules/air_quality_cell_rules.sql", "measured_value >= 0", "measured_value >= -5"
    )
    desk.edit(
        "models/marts/air_quality/_air_quality__marts.yml", "{min_value: 0}", "{min_value: -5}"
    )
    desk.edit("macros/rules/leases_rules.sql", "in ('signed',", "in ('draft', 'signed',")
    desk.edit("models/marts/leases/_leases__marts.yml", "[signed,", "[draft, signed,")
    # what people mend as often as a rule: how the text is read
    desk.edit("models/staging/salesforce/stg_salesforce__users.sql",
              "in ('false', '')", "in ('false', '', 'maybe')")  # fmt: skip
    desk.edit("models/staging/air_quality/stg_air_quality__station_hours.sql",
              "'source.hour') }}", "\"replace(source.hour, '24', '23')\") }}")  # fmt: skip
    desk.build()

    assert before == desk.state()


def test_dry_run_changes_nothing(desk: Desk) -> None:
    """It says what would move, by feed and rule, and decides nothing."""
    before = desk.state()
    done = desk.rampart("quarantine", "replay", "--dry-run", "--json")
    found = json.loads(done.stdout)
    passing = {
        (each["feed"], each["rules"]): each["rows"]
        for each in found["outcomes"]
        if each["outcome"] == "passes"
    }

    assert {
        ("clickstream", "event_timestamp_believable"): 3,
        ("sf_user", "is_deleted_readable"): 1,
        ("air_quality", "hour_exists"): 1,
        ("air_quality", "value_not_negative"): 1,
        ("leases", "status_known"): 1,
    } == passing
    assert (0, True, 0) == (found["exit_code"], found["dry_run"], found["decided"])
    assert before == desk.state()
    assert [] == desk.rows("select * from quarantine.decisions")


def test_discarded_before_the_replay(desk: Desk) -> None:
    """A reason, a name, a moment; it counts as rejected still, and a replay passes it by."""
    delivery = delivery_of(desk, "events_2023-11-14.jsonl")
    where = ["--feed", "clickstream", "--delivery", str(delivery), "--row", "2"]
    dry = desk.rampart("quarantine", "discard", *where, "--why", "a robot", "--dry-run")
    assert "1 row would be discarded" in dry.stdout
    assert [] == desk.rows("select * from quarantine.decisions")
    done = desk.rampart("quarantine", "discard", *where, "--why", "a robot", "--by", "ada")

    assert (0, "1 row discarded") == (done.returncode, done.stdout.splitlines()[-1])
    assert (
        "discarded by ada: a robot"
        in desk.rampart("quarantine", "show", "clickstream", str(delivery), "2").stdout
    )
    assert (
        0
        == json.loads(
            desk.rampart("quarantine", "discard", *where, "--why", "again", "--json").stdout
        )["decided"]
    )
    desk.check_conservation()


def test_a_kill_after_the_decision_loses_nothing(desk: Desk) -> None:
    """Decided and not built: the row waits in the ledger, and a plain build takes it, once."""
    with connect(desk.target) as connection:
        ledger = Decisions(connection, "quarantine")
        ledger.judge_anew(Selection(rule="is_deleted_readable"), discarded=False)
        connection.execute("insert into monitoring.runs (run_id, command, environment)"
                           " values ('killed', 'quarantine replay', 'dev')")  # fmt: skip
        assert 1 == ledger.replay("eve", "mended", "killed")
        connection.commit()
    desk.check_conservation()
    waiting = json.loads(desk.rampart("quarantine", "replay", "--dry-run", "--json").stdout)

    assert ["waits"] == [e["outcome"] for e in waiting["outcomes"] if e["feed"] == "sf_user"]
    assert [("replayed",)] == desk.rows(
        "select decision from quarantine.ledger where feed = 'sf_user'"
    )
    desk.build()
    assert [] == desk.rows("select * from quarantine.ledger where feed = 'sf_user'")
    assert [(1,)] == desk.rows(
        "select count(*) from salesforce_curated.dim_sf_user_scd"
        " where user_id = 'U2' and not is_deleted"
    )


def test_replay_moves_exactly_what_passes(desk: Desk) -> None:
    """Two replays at once: what passes is in the marts, once; what does not stays."""
    stays = desk.open_rows("rules like '%client_id_present%'")
    first = subprocess.Popen(
        [sys.executable, "-m", "monitors.cli", "quarantine", "replay", "--json"],
        cwd=desk.project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    second = desk.rampart("quarantine", "replay", "--json")
    found = [json.loads(first.communicate()[0]), json.loads(second.stdout)]

    assert [0, 0] == [each["exit_code"] for each in found]
    assert [0, 5] == sorted(each["decided"] for each in found)
    assert [0, 0] == [each["still_rejected"] for each in found]
    assert stays == desk.open_rows("rules like '%client_id_present%'")
    assert 0 == desk.open_rows("rules in ('event_timestamp_believable', 'hour_exists')")
    desk.check_conservation()


def test_each_replayed_row_is_in_its_mart_once(desk: Desk) -> None:
    """The first arrival of an event counts, also when it was let in last; an order follows."""
    early = delivery_of(desk, "events_2023-11-14.jsonl")

    assert [(1,), (4,), (5,)] == desk.rows(
        f"select _source_row from facts.fact_events where _delivery_id = {early} order by 1"
    )
    late = delivery_of(desk, "events_2100-01-01.jsonl")
    assert [(2,)] == desk.rows(
        f"select _source_row from facts.fact_events where _delivery_id = {late}"
    )
    assert [(early, 4)] == desk.rows(
        "select _delivery_id, _source_row from facts.fact_orders where transaction_id = 'T1'"
    )
    assert [("no2", 2), ("o3", 2), ("pm10", 2), ("pm2_5", 2), ("so2", 2)] == desk.rows(
        "select parameter, count(*) from facts.fact_air_quality_measurements"
        " where station = 'X' group by 1 order by 1"
    )
    assert [(1, "resolved")] == desk.rows(
        "select revision, owner_resolution from facts.fact_lease_documents where document_id = 'L1'"
    )
    assert [("co", 1), ("co", 2)] == desk.rows(
        "select item, source_row from quarantine.ledger where feed = 'air_quality' order by 2"
    )


def test_a_second_replay_and_a_second_build_change_nothing(desk: Desk) -> None:
    """Exactly once."""
    before = desk.state()
    done = desk.rampart("quarantine", "replay")
    desk.build()

    assert (0, "") == (done.returncode, done.stderr)
    assert "nothing moves" in done.stdout
    assert before == desk.state()


def test_full_refresh_keeps_every_decision(desk: Desk) -> None:
    """The same rows from raw, with the rules as they are; what was discarded stays out."""
    before = desk.state()
    desk.build(full_refresh=True)
    after = desk.state()
    changed = {name for name in before if before[name] != after[name]}

    # its rule is milder now, so that only the decision keeps it out, and says so
    assert changed <= {"quarantine.ledger", "staging.int_clickstream_events_judged"}
    assert [("discarded", "discarded", "ada", "a robot")] == desk.rows(
        "select rules, decision, decided_by, why from quarantine.ledger where decision <> 'open'"
    )
    assert 2 == len(
        {tuple(row) for row in desk.rows("select distinct decision from quarantine.decisions")}
    )
    desk.build()
    assert after == desk.state()


def test_a_newer_decision_wins(desk: Desk) -> None:
    """A discarded row is replayed only when somebody asks for it by name."""
    done = desk.rampart(
        "quarantine", "replay", "--discarded", "--why", "not a robot", "--by", "bob"
    )

    assert 0 == done.returncode, done.stderr
    assert "1 row moved into the marts" in done.stdout
    assert 0 == desk.open_rows("rules like '%discarded%'")
    early = delivery_of(desk, "events_2023-11-14.jsonl")
    text = desk.rampart("quarantine", "show", "clickstream", str(early), "2").stdout
    assert "It is not in the ledger" in text
    assert text.index("discarded by ada: a robot") < text.index("replayed by bob: not a robot")
    desk.check_conservation()


def test_a_rule_that_is_removed_loses_no_row(desk: Desk) -> None:
    """Rows judged by a rule that nobody declares any more stay in the ledger, under its name."""
    before = desk.open_rows("feed = 'air_quality'")
    desk.edit(
        "macros/rules/air_quality_cell_rules.sql", "- rule: value_is_a_number", "- rule: number"
    )
    desk.build()

    assert before == desk.open_rows("feed = 'air_quality'")
    assert [("value_is_a_number",)] == desk.rows(
        "select distinct rules from quarantine.ledger where feed = 'air_quality'"
    )


def test_a_discard_before_the_build_beats_the_replay(desk: Desk) -> None:
    """Decided to replay, then discarded, then built: it stays out."""
    desk.edit("macros/rules/air_quality_cell_rules.sql",
              "is_declared_missing or measured_value is not null", "true")  # fmt: skip
    monitor = Quarantine(desk.project)
    monitor._compile_rules()
    with connect(desk.target) as connection:
        ledger = Decisions(connection, "quarantine")
        ledger.judge_anew(Selection("air_quality"), discarded=False)
        assert 2 == ledger.replay("eve", "mended", "killed")
        connection.commit()
    monitor.discard(Selection("air_quality", row=2), why="wrong sensor")
    desk.build()

    assert [(2, "discarded", "discarded")] == desk.rows(
        "select source_row, rules, decision from quarantine.ledger where feed = 'air_quality'"
    )
    before = desk.state()
    desk.build(full_refresh=True)
    assert before == desk.state()


def delivery_of(desk: Desk, name: str) -> int:
    found = desk.rows(f"select delivery_id from monitoring.deliveries where name = '{name}'")
    return int(found[0][0])  # type: ignore[call-overload]
