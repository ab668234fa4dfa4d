"""Who hears of what, and when: pure decisions, with clocks passed in."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from monitors.alert.message import Message
from monitors.alert.routing import Due, deliveries_for, end_of_quiet, is_unheard, unheard
from monitors.config_channels import BaseChannel, QuietHours
from monitors.config_channels import ChannelSettings as AnyChannel
from monitors.results import Severity
from tests.messages import message

UTC = timezone.utc
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SETTINGS: TypeAdapter[Any] = TypeAdapter(AnyChannel)


def channel(**given: Any) -> BaseChannel:
    found = SETTINGS.validate_python({"type": "log", **given})
    assert isinstance(found, BaseChannel)
    return found


def at(text: str) -> datetime:
    """A moment of UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def names(sent: Message, **channels: BaseChannel) -> list[str]:
    return [due.channel for due in deliveries_for(sent, channels, NOON)]


# -------------------------------------------------------------------- which


@pytest.mark.parametrize(
    ("only", "takes"),
    [
        ({}, True),
        ({"owner": "web-data"}, True),
        ({"owner": ["finance", "web-data"]}, True),
        ({"owner": "finance"}, False),
        ({"layer": ["silver", "gold"]}, True),
        ({"layer": "gold"}, False),
        ({"severity": ["critical", "high"]}, True),
        ({"severity": "medium"}, False),
        ({"kind": "data_quality_failure"}, True),
        ({"kind": ["job_failure"]}, False),
        ({"environment": "prod"}, True),
        ({"environment": ["dev", "ci"]}, False),
        ({"owner": "web-data", "layer": "gold"}, False),
        ({"owner": "web-data", "layer": "silver", "severity": "high"}, True),
    ],
)
def test_only_lets_through_what_all_of_its_filters_take(only: dict[str, Any], takes: bool) -> None:
    """A filter that is not given takes everything; those that are given must all hold."""
    assert (["ops"] if takes else []) == names(message(), ops=channel(only=only))


def test_what_a_message_does_not_know_no_filter_takes() -> None:
    """An incident without an owner or a layer is nobody's by name."""
    nobodys = message(owner=None, layer=None)

    assert [] == names(nobodys, a=channel(only={"owner": "x"}), b=channel(only={"layer": "gold"}))


def test_resolved_messages_can_be_left_out() -> None:
    """`resolved: false` is for channels that only wake people."""
    resolved = message(event="resolved")

    assert ["b"] == names(resolved, a=channel(resolved=False), b=channel())


def test_channels_come_in_the_order_of_the_file_and_none_means_none() -> None:
    """Without a channel there is only the alert line."""
    assert ["z", "a"] == names(message(), z=channel(), a=channel())
    assert [] == names(message())


def test_a_test_message_goes_out_at_once_whatever_is_filtered() -> None:
    """It is meant for the one who waits for it."""
    asleep = channel(only={"owner": "x"}, quiet_hours={"from": "00:00", "to": "23:59"},
                     digest="daily at 08:00")  # fmt: skip
    test = message(event="test", severity=Severity.LOW)

    assert [Due("ops", NOON, False)] == deliveries_for(test, {"ops": asleep}, NOON)


# -------------------------------------------------------------------- unheard


def test_urgent_incidents_that_no_channel_takes_are_found() -> None:
    """A filter by layer hears of no dead channel, since that belongs to no layer."""
    gaps = unheard({"gold": channel(only={"layer": "gold"})}, "prod")

    assert (Severity.HIGH, "monitoring_failure", None) in gaps
    assert (Severity.CRITICAL, "job_failure", "silver") in gaps
    assert not [gap for gap in gaps if gap[2] == "gold"]


@pytest.mark.parametrize(
    "channels",
    [
        {},
        {"a": channel()},
        {"a": channel(only={"layer": "gold"}), "b": channel()},
        {"a": channel(only={"severity": ["critical", "high"]})},
        {"a": channel(only={"severity": "critical"}), "b": channel(only={"severity": "high"})},
        {"a": channel(only={"environment": "ci"})},
    ],
)
def test_nothing_is_unheard_where_somebody_listens_or_nobody_is_meant_to(channels: Any) -> None:
    """Two halves make a whole; and a developer's trials may be meant for nobody."""
    assert [] == unheard(channels, "prod")
    assert not is_unheard(message(), channels)


def test_an_urgent_message_that_finds_no_taker_is_unheard() -> None:
    """A medium one may be; so may the end of one."""
    channels = {"gold": channel(only={"layer": "gold"})}

    assert is_unheard(message(), channels)
    assert not is_unheard(message(layer="gold"), channels)
    assert not is_unheard(message(severity=Severity.MEDIUM), channels)
    assert not is_unheard(message(event="resolved"), channels)


# -------------------------------------------------------------------- quiet hours

NIGHT = {"from": "22:00", "to": "07:00", "timezone": "Europe/Berlin", "except": ["critical"]}


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-11-21T20:59", "2026-11-21T20:59"),  # 21:59 in Berlin
        ("2026-11-21T21:00", "2026-11-22T06:00"),  # 22:00
        ("2026-11-21T23:30", "2026-11-22T06:00"),
        ("2026-11-22T05:59", "2026-11-22T06:00"),
        ("2026-11-22T06:00", "2026-11-22T06:00"),  # 07:00
        ("2026-07-01T21:30", "2026-07-02T05:00"),  # summer time
        ("2026-10-24T21:00", "2026-10-25T06:00"),  # the night of 25 hours: asleep at 23:00 CEST
        ("2027-03-27T22:00", "2027-03-28T05:00"),  # the night of 23 hours
        ("2026-12-31T22:30", "2027-01-01T06:00"),
    ],
)
def test_quiet_hours_postpone_to_their_end(now: str, due: str) -> None:
    """Over midnight, the year, and both nights on which clocks change; not a minute earlier."""
    quiet = {"ops": channel(quiet_hours=NIGHT)}

    assert [Due("ops", at(due), False)] == deliveries_for(message(), quiet, at(now))


def test_quiet_hours_do_not_hold_back_what_is_exempt() -> None:
    """By default nothing that is urgent waits."""
    night = at("2026-11-21T23:30")
    default = channel(quiet_hours={"from": "22:00", "to": "07:00"})
    for night_rule, severity, waits in (
        (channel(quiet_hours=NIGHT), Severity.CRITICAL, False),
        (channel(quiet_hours=NIGHT), Severity.HIGH, True),
        (default, Severity.HIGH, False),
        (default, Severity.MEDIUM, True),
    ):
        (due,) = deliveries_for(message(severity=severity), {"ops": night_rule}, night)

        assert waits is (due.due_at > night)


def test_quiet_hours_within_a_day() -> None:
    """From noon to one, every day."""
    lunch = {"ops": channel(quiet_hours={"from": "12:00", "to": "13:00"})}
    dues = [
        deliveries_for(message(severity=Severity.LOW), lunch, at(f"2026-11-21T{clock}"))[0].due_at
        for clock in ("11:59", "12:00", "12:59", "13:00")
    ]

    assert ["11:59", "13:00", "13:00", "13:00"] == [f"{due:%H:%M}" for due in dues]


def test_an_end_that_the_clock_jumps_over_comes_with_the_jump() -> None:
    """02:30 does not exist on 28 March 2027 in Berlin: at 03:00, right after 01:59, it is over."""
    quiet = QuietHours.model_validate({"from": "22:00", "to": "02:30", "timezone": "Europe/Berlin"})

    assert at("2027-03-28T01:00") == end_of_quiet(quiet, at("2027-03-28T00:30"))


def test_an_end_that_comes_twice_ends_twice() -> None:
    """02:30 on 25 October 2026: the hour from two to three is there again, and quiet again."""
    quiet = QuietHours.model_validate({"from": "22:00", "to": "02:30", "timezone": "Europe/Berlin"})

    assert at("2026-10-25T00:30") == end_of_quiet(quiet, at("2026-10-24T22:00"))
    assert at("2026-10-25T00:45") == end_of_quiet(quiet, at("2026-10-25T00:45"))
    assert at("2026-10-25T01:30") == end_of_quiet(quiet, at("2026-10-25T01:10"))


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
TIMES = st.times().map(lambda clock: clock.replace(second=0, microsecond=0))


@settings(max_examples=300, deadline=None)
@given(
    TIMES,
    TIMES,
    st.sampled_from(ZONES),
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),
)
def test_quiet_hours_end_where_the_clock_says_so(
    start: Any, end: Any, zone: str, now: datetime
) -> None:
    """Never before now, never more than a day and an hour away, never at a quiet moment."""
    if start == end:
        return
    quiet = QuietHours(**{"from": start, "to": end, "timezone": zone})
    found = end_of_quiet(quiet, now)
    clock = found.astimezone(ZoneInfo(zone)).time()
    is_quiet = start <= clock < end if start < end else clock >= start or clock < end

    assert now <= found <= now + timedelta(hours=25)
    assert not is_quiet
    assert found == end_of_quiet(quiet, found)


# -------------------------------------------------------------------- digests


@pytest.mark.parametrize(
    ("digest", "now", "due"),
    [
        ("daily at 08:00", "2026-11-21T07:59", "2026-11-21T08:00"),
        ("daily at 08:00", "2026-11-21T08:00", "2026-11-22T08:00"),
        ("daily at 8:00 Europe/Berlin", "2026-11-21T06:59", "2026-11-21T07:00"),
        ("daily at 08:00 Europe/Berlin", "2026-10-24T12:00", "2026-10-25T07:00"),
        ("daily at 02:30 Europe/Berlin", "2027-03-27T12:00", "2027-03-28T01:00"),
    ],
)
def test_a_digest_collects_medium_and_low(digest: str, now: str, due: str) -> None:
    """Until its next moment, which is always after now; what is urgent does not wait for it."""
    channels = {"ops": channel(digest=digest)}
    for severity in (Severity.MEDIUM, Severity.LOW):
        collected = deliveries_for(message(severity=severity), channels, at(now))

        assert [Due("ops", at(due), True)] == collected
    assert [Due("ops", at(now), False)] == deliveries_for(message(), channels, at(now))


def test_a_digest_in_quiet_hours_waits_for_their_end() -> None:
    """And takes their time zone when it names none."""
    settings = channel(digest="daily at 06:00", quiet_hours={**NIGHT, "except": []})
    (due,) = deliveries_for(
        message(severity=Severity.LOW), {"ops": settings}, at("2026-11-21T12:00")
    )

    assert Due("ops", at("2026-11-22T06:00"), True) == due
