"""Who hears of a message, and when: pure decisions over the settings of the channels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta, timezone
from itertools import product
from typing import NamedTuple, get_args
from zoneinfo import ZoneInfo

from monitors.alert.message import Message
from monitors.config_channels import BaseChannel, Digest, Kind, Only, QuietHours
from monitors.results import Layer, Severity

COLLECTED = (Severity.MEDIUM, Severity.LOW)
"""Severities that a digest collects."""
URGENT = (Severity.CRITICAL, Severity.HIGH)
"""Severities of which nothing may go unheard."""


class Due(NamedTuple):
    """A message for one channel."""

    channel: str
    due_at: datetime
    """UTC; not before it may this be sent."""
    as_digest: bool
    """Collected: everything of this channel that is due at that moment is one message."""


def deliveries_for(
    message: Message, channels: Mapping[str, BaseChannel], now: datetime
) -> list[Due]:
    """Where the message goes, in the order of rampart.yml; empty when no channel takes it.

    What is urgent never waits for a digest. Severity alone decides, not the event: were the end of
    an incident held back until morning, its return at night would have to wait behind it. A test
    message goes out at once, to whatever it was meant for.
    """
    return [
        _due(name, settings, message, now)
        for name, settings in channels.items()
        if takes(settings, message)
    ]


def takes(settings: BaseChannel, message: Message) -> bool:
    """Whether the message is for this channel at all."""
    if message.event == "test":
        return True
    if message.event == "resolved" and not settings.resolved:
        return False
    return message.event == "digest" or _lets_through(settings.only, message)


def unheard(
    channels: Mapping[str, BaseChannel], environment: str
) -> list[tuple[Severity, str, str | None]]:
    """(severity, kind, layer) of urgent incidents without a known owner that no channel takes.

    Empty when no channel is meant for this environment: then the `!! ALERT` line is what people
    read. Layer None is an incident that belongs to none, such as a dead channel.
    """
    meant = _meant_for(channels, environment)
    if not meant:
        return []
    layers = (None, *(layer.value for layer in Layer))
    return [
        (severity, kind, layer)
        for severity, kind, layer in product(URGENT, get_args(Kind), layers)
        if not any(
            _passes(settings.only, None, layer, severity.value, kind, environment)
            for settings in meant
        )
    ]


def is_unheard(message: Message, channels: Mapping[str, BaseChannel]) -> bool:
    """Whether an urgent message finds channels of its environment, and none of them takes it."""
    meant = _meant_for(channels, message.environment)
    return (
        bool(meant)
        and message.severity in URGENT
        and message.event != "resolved"
        and not any(takes(settings, message) for settings in meant)
    )


# -------------------------------------------------------------------- which


def _meant_for(channels: Mapping[str, BaseChannel], environment: str) -> list[BaseChannel]:
    return [
        settings
        for settings in channels.values()
        if not settings.only.environment or environment in settings.only.environment
    ]


def _lets_through(only: Only, message: Message) -> bool:
    return _passes(
        only,
        message.owner,
        message.layer,
        message.severity.value,
        message.kind,
        message.environment,
    )


def _passes(
    only: Only, owner: str | None, layer: str | None, severity: str, kind: str, environment: str
) -> bool:
    """Every filter that was given must hold; what a message does not know, no filter accepts."""
    return (
        (not only.owner or owner in only.owner)
        and (not only.layer or layer in [each.value for each in only.layer])
        and (not only.severity or severity in [each.value for each in only.severity])
        and (not only.kind or kind in only.kind)
        and (not only.environment or environment in only.environment)
    )


# -------------------------------------------------------------------- when


def _due(name: str, settings: BaseChannel, message: Message, now: datetime) -> Due:
    now = now.astimezone(timezone.utc)
    if message.event in ("test", "digest"):
        return Due(name, now, False)
    collected = settings.digest is not None and message.severity in COLLECTED
    due_at = next_digest(settings, now) if collected else now
    quiet = settings.quiet_hours
    if quiet is not None and message.severity not in quiet.exempt:
        due_at = end_of_quiet(quiet, due_at)
    return Due(name, due_at, collected)


def next_digest(settings: BaseChannel, now: datetime) -> datetime:
    """The next moment (UTC, after now) at which this channel's digest is made."""
    digest: Digest | None = settings.digest
    if digest is None:
        raise ValueError("a channel without a digest")
    quiet = settings.quiet_hours
    zone = digest.timezone or (quiet.timezone if quiet else "UTC")
    return _next_time(digest.at, ZoneInfo(zone), now)


def end_of_quiet(quiet: QuietHours, moment: datetime) -> datetime:
    """The moment itself (UTC) when nobody sleeps, or else the end of these quiet hours.

    The clock on the wall decides. Where it jumps over the end in spring, they end with the jump;
    where it shows the end twice in autumn, an hour that it repeats is quiet twice.
    """
    zone = ZoneInfo(quiet.timezone)
    if not _is_quiet(quiet, moment.astimezone(zone).time()):
        return moment.astimezone(timezone.utc)
    return _next_time(quiet.end, zone, moment)


def _is_quiet(quiet: QuietHours, clock: time) -> bool:
    if quiet.start < quiet.end:
        return quiet.start <= clock < quiet.end
    return clock >= quiet.start or clock < quiet.end


def _next_time(at: time, zone: ZoneInfo, now: datetime) -> datetime:
    """The first moment after now at which the clock on the wall shows `at` or jumps over it."""
    today = now.astimezone(zone).date()
    days = (today + timedelta(days=days) for days in range(3))
    return min(moment for day in days for moment in _moments(day, at, zone) if moment > now)


def _moments(day: date, at: time, zone: ZoneInfo) -> Iterator[datetime]:
    """When `at` comes on that day: once, twice in autumn, or with the jump in spring."""
    early, late = (
        datetime.combine(day, at, zone).replace(fold=fold).astimezone(timezone.utc)
        for fold in (0, 1)
    )
    if early <= late:
        yield from (early, late)
        return
    # a gap: read with the offset before it, `at` lies after the jump, and the other way round
    jumped = early.astimezone(zone).utcoffset()
    low, high = late, early
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        low, high = (
            (low, middle) if middle.astimezone(zone).utcoffset() == jumped else (middle, high)
        )
    yield high.replace(microsecond=0)
