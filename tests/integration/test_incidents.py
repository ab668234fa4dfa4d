"""Verdicts, flips, incidents and what channels are told, on a real Postgres and real receivers."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from monitors.commands.incidents import IncidentDesk
from monitors.commands.notify import Notifier
from monitors.errors import UsageError
from monitors.results import Layer, Severity, Status
from monitors.store.migrate import migrate
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.alerting import Desk, verdict_of
from tests.receivers import HttpReceiver, http_receiver


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with http_receiver() as running:
        yield running


@pytest.fixture
def desk(
    warehouse: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receiver: HttpReceiver
) -> Desk:
    """A project with one webhook, `oncall`, that takes everything at once."""
    for name, value in warehouse.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ONCALL", f"{receiver.url}/200")
    return Desk(warehouse, tmp_path, {"channels": {"oncall": webhook("ONCALL")}})


def webhook(variable: str, **more: Any) -> dict[str, Any]:
    return {"type": "webhook", "url": {"env": variable}, "timeout": "1 second", **more}


def told(receiver: HttpReceiver) -> list[tuple[str, str]]:
    """[(event, title)] as they came in."""
    bodies = [json.loads(each.body) for each in receiver.received]
    return [(body["event"], body["title"]) for body in bodies]


def keys(receiver: HttpReceiver) -> list[str]:
    return [each.headers["Idempotency-Key"] for each in receiver.received]


def desk_of(desk: Desk) -> IncidentDesk:
    return IncidentDesk(desk.config, now=desk.clock)


RED = verdict_of("shop.a")
GREEN = verdict_of("shop.a", Status.PASS)


# ------------------------------------------------------------------------ flips


def test_a_red_check_that_stays_red_for_100_scans_is_told_once(
    desk: Desk, receiver: HttpReceiver
) -> None:
    """One alert, and one when it recovers."""
    for _ in range(100):
        desk.clock.move(hours=1)
        desk.scan(RED)
    before = told(receiver)
    desk.clock.move(hours=1)
    desk.scan(GREEN)

    assert [("opened", "shop.a on facts.fact_orders: value=7 (max 0)")] == before
    assert ["opened", "resolved"] == [event for event, _ in told(receiver)]
    assert [("red",), ("green",)] == desk.rows("select turned from monitoring.flips")


def test_a_thousand_checks_with_one_root_are_one_alert(desk: Desk, receiver: HttpReceiver) -> None:
    """One incident that holds them all, one message that names some and counts the rest."""
    desk.scan(*(verdict_of(f"shop.check_{n:04}") for n in range(1000)))
    body = json.loads(receiver.received[0].body)
    explained = next(s for s in body["sections"] if s["title"].startswith("Explained"))

    assert 1 == len(receiver.received)
    assert [(1000,)] == desk.rows("select count(*) from monitoring.incident_checks")
    assert "and 989 more" == explained["items"][-1]


def test_a_scan_with_nothing_wrong_writes_and_sends_nothing(
    desk: Desk, receiver: HttpReceiver
) -> None:
    """Not a row beside its verdicts, from the second scan on."""
    checks = [verdict_of(f"shop.{n}", Status.PASS) for n in range(50)]
    desk.scan(*checks)
    query = "select xmin::text, check_id from monitoring.check_states order by 2"
    before = desk.rows(query)
    desk.scan(*checks)

    assert before == desk.rows(query)
    assert [] == receiver.received
    assert [(0, 0)] == desk.rows(
        "select (select count(*) from monitoring.flips), (select count(*) from monitoring.outbox)"
    )


def test_flapping_is_damped_by_the_declared_rule(desk: Desk, receiver: HttpReceiver) -> None:
    """1 of 4: told at once, and over only when it was green four times; every verdict is kept."""
    desk.settings["alerts"] = {"flapping": {"red": 1, "of": 4}}
    for result in [RED, GREEN, RED, GREEN, RED, GREEN, GREEN, GREEN, GREEN]:
        desk.clock.move(hours=1)
        desk.scan(result)

    assert ["opened", "resolved"] == [event for event, _ in told(receiver)]
    assert [(9,)] == desk.rows("select count(*) from monitoring.data_quality_metrics")


def test_verdict_flip_incident_and_alert_commit_together(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the last of the four cannot be written, none is; the next scan has all of them."""
    desk.scan(GREEN)
    with connect(desk.target) as connection:
        connection.execute(
            "alter table monitoring.outbox add constraint no check (false) not valid"
        )
        connection.commit()
    with pytest.raises(psycopg.errors.CheckViolation):
        desk.scan(RED)
    counted = (
        "select (select count(*) from monitoring.data_quality_metrics where status = 'fail'),"
        " (select count(*) from monitoring.flips), (select count(*) from monitoring.incidents)"
    )
    torn = desk.rows(counted)
    with connect(desk.target) as connection:
        connection.execute("alter table monitoring.outbox drop constraint no")
        connection.commit()
    desk.scan(RED)

    assert [(0, 0, 0)] == torn
    assert [(1, 1, 1)] == desk.rows(counted)


def test_environments_do_not_hear_of_each_other(desk: Desk, receiver: HttpReceiver) -> None:
    """A trial in dev does not resolve what is red in prod."""
    desk.settings["environment"] = "prod"
    desk.scan(RED)
    desk.settings["environment"] = "dev"
    desk.scan(GREEN)

    assert ["opened"] == [event for event, _ in told(receiver)]
    assert [("prod", "open")] == desk.rows("select environment, state from monitoring.incidents")


# ------------------------------------------------------------------------ incidents


def test_what_recovers_and_comes_back_soon_is_the_same_incident(
    desk: Desk, receiver: HttpReceiver
) -> None:
    """Within `reopen_within` it is reopened; later it is a new one."""
    for hours, result in [(1, RED), (1, GREEN), (2, RED), (1, GREEN), (30, RED)]:
        desk.clock.move(hours=hours)
        desk.scan(result)

    assert [
        (1, "opened"), (1, "resolved"), (1, "reopened"), (1, "resolved"), (2, "opened"),
    ] == desk.events()  # fmt: skip
    assert 5 == len(receiver.received)


def test_one_check_of_two_recovers(desk: Desk, receiver: HttpReceiver) -> None:
    """The incident stays until the last one holds again; nobody is told in between."""
    other = verdict_of("shop.b")
    desk.scan(RED, other)
    desk.scan(GREEN, other)
    desk.scan(GREEN, verdict_of("shop.b", Status.PASS))

    assert [(1, "opened"), (1, "recovered"), (1, "resolved")] == desk.events()
    assert 2 == len(receiver.received)


def test_it_is_told_again_only_when_it_gets_worse(desk: Desk, receiver: HttpReceiver) -> None:
    """Critical after high is told, high after critical is not."""
    for severity in (Severity.HIGH, Severity.CRITICAL, Severity.HIGH):
        desk.scan(verdict_of("shop.a", severity=severity))

    assert ["opened", "worsened"] == [event for event, _ in told(receiver)]
    assert "critical" == json.loads(receiver.received[1].body)["severity"]


def test_a_muted_check_raises_nothing(desk: Desk) -> None:
    """It runs, it is recorded, and it neither opens nor resolves an incident."""
    desk.scan(verdict_of("shop.a", muted="until 2026-04-01: known (ada)"))

    assert [] == desk.events()


def test_a_person_acknowledges_snoozes_and_resolves(desk: Desk, receiver: HttpReceiver) -> None:
    """Each is a line of history with who and why; the end of a snooze is told, once."""
    desk.scan(RED)
    people = desk_of(desk)
    people.acknowledge(1, by="ada", why="looking")
    people.snooze(1, timedelta(hours=2), by="ada", why="vendor is asked")
    quiet = desk.notify()
    desk.clock.move(hours=3)
    desk.notify()
    desk.notify()
    people.resolve(1, by="ada", why="accepted")
    desk.notify()
    shown = people.show(1)

    assert 0 == quiet.sent
    assert ["opened", "snooze_ended", "resolved"] == [event for event, _ in told(receiver)]
    assert [
        ("opened", "rampart"), ("acknowledged", "ada"), ("snoozed", "ada"),
        ("snooze_ended", "rampart"), ("resolved", "ada"),
    ] == [(each.event, each.done_by) for each in shown.events]  # fmt: skip
    assert ("resolved", "ada") == (shown.incident.state, shown.incident.resolved_by)


def test_what_was_resolved_by_hand_and_is_red_still_comes_back(
    desk: Desk, receiver: HttpReceiver
) -> None:
    """Saying that it is over does not silence the check."""
    desk.scan(RED)
    desk_of(desk).resolve(1, by="ada")
    desk.scan(RED)

    assert ["opened", "resolved", "reopened"] == [event for event, _ in told(receiver)]


def test_a_snooze_ends_when_it_gets_worse_and_silently_when_it_is_over(
    desk: Desk, receiver: HttpReceiver
) -> None:
    """Worse wakes at once; recovered is told as resolved and never as an ended snooze."""
    desk.scan(RED, verdict_of("crm.b", dataset="facts.users"))
    people = desk_of(desk)
    people.snooze(1, timedelta(hours=5))
    people.snooze(2, timedelta(hours=5))
    desk.scan(
        verdict_of("shop.a", severity=Severity.CRITICAL),
        verdict_of("crm.b", Status.PASS, dataset="facts.users"),
    )
    desk.clock.move(hours=6)
    desk.notify()

    assert Counter({"opened": 2, "worsened": 1, "resolved": 1}) == Counter(
        event for event, _ in told(receiver)
    )


def test_what_cannot_be_done_says_why(desk: Desk) -> None:
    """No such incident, resolved already, too long a snooze."""
    desk.scan(RED)
    desk.scan(GREEN)
    people = desk_of(desk)

    with pytest.raises(UsageError, match="there is no incident 99 in environment `dev`"):
        people.show(99)
    with pytest.raises(UsageError, match=r"incident 1 was resolved at .* by rampart"):
        people.acknowledge(1)
    with pytest.raises(UsageError, match="--for: allowed is up to 30 days"):
        people.snooze(1, timedelta(days=31))


# ------------------------------------------------------------------------ the outbox


def test_two_senders_at_once_send_nothing_twice(desk: Desk, receiver: HttpReceiver) -> None:
    """Claimed before sending: 60 alerts, four senders, 60 requests with 60 keys."""
    desk.settings["channels"] = {}
    desk.scan(GREEN)
    desk.settings["channels"] = {"oncall": webhook("ONCALL", only={"severity": "high"})}
    with connect(desk.target) as connection:
        _fill_outbox(connection, desk, 60)
    threads = [threading.Thread(target=desk.notify) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert 60 == len(receiver.received)
    assert 60 == len(set(keys(receiver)))
    assert [("sent", 60)] == desk.rows("select state, count(*) from monitoring.outbox group by 1")


def _fill_outbox(connection: Any, desk: Desk, count: int) -> None:
    from monitors.alert.message import Fact, Message
    from monitors.store.outbox import NewAlert, Outbox

    message = Message(
        key="k", event="opened", incident_id=None, kind="job_failure", severity=Severity.HIGH,
        title="t", lead=(Fact("what", "t"),), at=desk.clock(), environment="dev",
    )  # fmt: skip
    alerts = [
        NewAlert(
            f"k{n}", None, "opened", "oncall", message.for_key(f"k{n}").as_json(), desk.clock()
        )
        for n in range(count)
    ]
    Outbox(connection, "dev").add(alerts, desk.clock())
    connection.commit()


def test_a_channel_that_fails_is_tried_again_later_under_the_same_key(
    desk: Desk, receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 30 seconds, then twice as long each time; then it goes through."""
    monkeypatch.setenv("ONCALL", f"{receiver.url}/500")
    desk.scan(RED)
    at_once = desk.notify()
    desk.clock.move(seconds=40)
    desk.notify()
    too_early = desk.notify()
    monkeypatch.setenv("ONCALL", f"{receiver.url}/200")
    desk.clock.move(seconds=80)
    desk.notify()

    assert (0, 0) == (at_once.failed, too_early.failed)
    assert 3 == len(receiver.received)
    assert 1 == len(set(keys(receiver)))
    assert [("failed",), ("failed",), ("sent",)] == desk.rows(
        "select outcome from monitoring.outbox_attempts order by attempt_id"
    )


def test_retry_after_is_respected(
    desk: Desk, receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """429 with Retry-After: 900 is not asked again for a quarter of an hour."""
    receiver.retry_after = "900"
    monkeypatch.setenv("ONCALL", f"{receiver.url}/429")
    desk.scan(RED)
    desk.clock.move(minutes=14)
    desk.notify()
    early = len(receiver.received)
    desk.clock.move(minutes=2)
    desk.notify()

    assert (1, 2) == (early, len(receiver.received))


def test_later_events_of_an_incident_wait_for_the_earlier_ones(
    desk: Desk, receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`resolved` never overtakes `opened`; another incident does not wait."""
    monkeypatch.setenv("ONCALL", f"{receiver.url}/500")
    desk.scan(RED)
    monkeypatch.setenv("ONCALL", f"{receiver.url}/200")
    receiver.received.clear()
    desk.scan(GREEN, verdict_of("crm.b", dataset="facts.users"))
    at_once = [event for event, _ in told(receiver)]
    desk.clock.move(minutes=2)
    desk.notify()

    assert ["opened"] == at_once, "only the one of the other incident"
    assert ["opened", "opened", "resolved"] == [event for event, _ in told(receiver)]


def test_what_a_channel_refuses_for_good_is_parked_and_the_others_hear_of_it(
    desk: Desk, receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """404 is no use to try again: an incident about the channel, told by the others at once."""
    monkeypatch.setenv("BROKEN", f"{receiver.url}/404")
    desk.settings["channels"]["broken"] = webhook("BROKEN")
    desk.scan(RED)
    working = [each for each in receiver.received if each.path == "/200"]
    titles = [json.loads(each.body)["title"] for each in working]

    assert [("parked",)] == desk.rows("select state from monitoring.outbox where channel='broken'")
    assert 2 == len(working)
    assert titles[1].startswith("alerts.channel.broken: 1 alert parked"), titles
    assert "monitoring_failure" == json.loads(working[1].body)["kind"]

    monkeypatch.setenv("BROKEN", f"{receiver.url}/200")
    sent = desk.notify(retry_parked=True)
    desk.notify()

    assert 0 == sent.exit_code
    assert ("resolved", titles[1]) in told(receiver)


def test_a_channel_that_hangs_holds_up_neither_the_others_nor_the_scan(
    desk: Desk, receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one is told; the scan ends after the channel's timeout, and the next at once."""
    monkeypatch.setenv("HANGS", f"{receiver.url}/hang")
    desk.settings["channels"]["hangs"] = webhook("HANGS")
    desk.scan(RED)
    desk.scan(RED)

    assert Counter({"/200": 1, "/hang": 1}) == Counter(each.path for each in receiver.received)
    assert [("pending", 1)] == desk.rows(
        "select state, tries from monitoring.outbox where channel = 'hangs'"
    )


def test_medium_waits_for_the_digest_unless_it_becomes_urgent(
    desk: Desk, receiver: HttpReceiver
) -> None:
    """Three of them are one message in the morning; the one that got worse was told before."""
    desk.settings["channels"]["oncall"]["digest"] = "daily at 08:00"
    medium = {"severity": Severity.MEDIUM}
    names = ["shop.a", "crm.b", "hr.c"]
    desk.scan(*(verdict_of(name, dataset=f"facts.{name[:2]}", **medium) for name in names))
    at_night = list(receiver.received)
    desk.scan(verdict_of("shop.a", dataset="facts.sh", severity=Severity.CRITICAL))
    desk.clock.move(hours=3)
    desk.notify()
    desk.notify()

    assert [] == at_night
    assert ["worsened", "digest"] == [event for event, _ in told(receiver)]
    assert "2 incidents in 2 datasets" == told(receiver)[1][1]
    assert [("digested", 3), ("sent", 2)] == desk.rows(
        "select state, count(*) from monitoring.outbox group by 1 order by 1"
    )


def test_without_channels_there_are_incidents_and_no_alerts(
    desk: Desk, receiver: HttpReceiver
) -> None:
    """`rampart incidents` works for who has configured nothing."""
    desk.settings["channels"] = {}
    desk.scan(RED)

    assert [(1, "opened")] == desk.events()
    assert [(0,)] == desk.rows("select count(*) from monitoring.outbox")


def test_a_channel_that_is_not_configured_any_more_parks_its_rows(
    desk: Desk, receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are kept, and raise no incident: somebody meant it."""
    monkeypatch.setenv("ONCALL", f"{receiver.url}/500")
    desk.scan(RED)
    desk.settings["channels"] = {}
    desk.clock.move(hours=1)
    sent = desk.notify()

    assert (1, 0) == (sent.parked, sent.exit_code)
    assert [(1, "opened")] == desk.events()


# ------------------------------------------------------------------------ jobs


def test_a_job_that_fails_is_an_incident_until_it_works_again(
    desk: Desk, receiver: HttpReceiver
) -> None:
    """By the same mechanism as a check; a mistyped name is nobody's alert."""
    from monitors.commands.watched import watched
    from monitors.verdict import Verdict

    def run(error: Exception | None) -> None:
        runner = Notifier(desk.config, now=desk.clock)

        def job(_store: Any) -> Verdict:
            if error is not None:
                raise error
            return Verdict(runner.run_id)

        runner.recorded("build", lambda store: watched(runner, store, "build", job))

    for error in (UsageError("no such feed"), RuntimeError("disk full"), RuntimeError("still")):
        with pytest.raises(type(error)):
            run(error)
    run(None)
    run(None)

    assert [(1, "opened"), (1, "resolved")] == desk.events()
    assert ("opened", "job.build: disk full") == told(receiver)[0]
    assert [("fail",), ("fail",), ("pass",)] == desk.rows(
        "select status from monitoring.data_quality_metrics order by status"
    )


# ------------------------------------------------------------------------ who may


def test_the_monitor_writes_alerts_and_the_reader_reads_them(
    desk: Desk, receiver: HttpReceiver
) -> None:
    """Least privilege: a whole scan as rampart_monitor; rampart_reader cannot resolve anything."""
    from monitors.store.roles import grant_roles

    with connect(desk.target) as connection:
        migrate(connection)
        grant_roles(connection, {})
    desk.target = Target(
        desk.target.host, desk.target.port, "rampart_monitor", desk.target.dbname, "environment",
        "", "prod",
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, value in desk.target.environment().items():
            patch.setenv(name, value)
        desk.scan(RED)
        desk.scan(GREEN)
    with connect(desk.target) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("delete from monitoring.flips")

    assert ["opened", "resolved"] == [event for event, _ in told(receiver)]


def test_health_follows_the_incidents(desk: Desk) -> None:
    """Healthy, degraded, down, and healthy again, with the reason in words."""
    high_gold = {"layer": Layer.GOLD}
    states = [
        desk.scan(GREEN).health,
        desk.scan(RED).health,
        desk.scan(verdict_of("shop.a", **high_gold), GREEN_B).health,
        desk.scan(GREEN).health,
    ]

    assert ["healthy", "degraded", "down", "healthy"] == [s.state for s in states if s]
    assert states[1] is not None
    assert "1 check red, high in silver: shop.a" == states[1].reason


GREEN_B = verdict_of("shop.b", Status.PASS)
