"""The composition of `rampart channels`: what there is, does it work, what is unheard."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timezone
from uuid import uuid4

from monitors.alert.channels import open_channel
from monitors.alert.message import Fact, Message, kind_text
from monitors.alert.routing import unheard
from monitors.config import Config
from monitors.config_channels import BaseChannel
from monitors.errors import ChannelError, UsageError
from monitors.results import Severity


def send_test(
    config: Config,
    name: str,
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
) -> None:
    """Send a test message, whatever the channel's routing and hours. Raises ChannelError."""
    if name not in config.channels:
        known = ", ".join(config.channels) or "none: there is no `channels:` in rampart.yml"
        raise UsageError(f"channel `{name}` is not configured; known: {known}")
    open_channel(name, config.channels[name]).send(test_message(name, config.environment, now()))


def test_message(name: str, environment: str, now: datetime) -> Message:
    """What a test says; each has a key of its own, so that no receiver takes it for a repeat."""
    return Message(
        key=f"test-{uuid4().hex}",
        event="test",
        incident_id=None,
        kind="test",
        severity=Severity.LOW,
        title=f"channel {name} works",
        lead=(
            Fact("what", f"Somebody typed `rampart channels test {name}`."),
            Fact("do", "Nothing. Alerts will look like this, and say what broke and what to do."),
        ),
        at=now,
        environment=environment,
    )


def faults_of(config: Config) -> dict[str, str | None]:
    """channel -> why it cannot be opened, or None. Nothing is sent or connected."""
    found: dict[str, str | None] = {}
    for name, settings in config.channels.items():
        try:
            open_channel(name, settings)
            found[name] = None
        except ChannelError as error:
            found[name] = str(error).removeprefix(f"channel `{name}`: ")
    return found


def unheard_of(config: Config) -> str | None:
    """Which urgent incidents no channel takes, in words; None when every one is heard."""
    gaps: defaultdict[Severity, set[str]] = defaultdict(set)
    for severity, kind, _layer in (found := unheard(config.channels, config.environment)):
        gaps[severity].add(kind_text(kind))
    if not found:
        return None
    said = "; ".join(
        f"{severity.value}: {', '.join(sorted(kinds))}" for severity, kinds in gaps.items()
    )
    layers = {layer or "no layer" for _severity, _kind, layer in found}
    return (
        f"no channel takes some urgent incidents ({said}; of {', '.join(sorted(layers))},"
        " without a known owner): widen an `only:`, or add a channel without one"
    )


def routing_text(settings: BaseChannel) -> str:
    """`only severity critical, high; quiet 22:00 to 07:00 Europe/Berlin; digest daily at 08:00`."""
    parts = []
    for field, values in settings.only.model_dump(mode="json").items():
        if values:
            parts.append(f"only {field} {', '.join(values)}")
    if quiet := settings.quiet_hours:
        hours = f"{quiet.start:%H:%M} to {quiet.end:%H:%M} {quiet.timezone}"
        exempt = ", ".join(severity.value for severity in quiet.exempt)
        parts.append(f"quiet {hours}" + (f" except {exempt}" if exempt else ""))
    if settings.digest:
        zone = settings.digest.timezone or (quiet.timezone if quiet else "UTC")
        parts.append(f"medium and low daily at {settings.digest.at:%H:%M} {zone}")
    if not settings.resolved:
        parts.append("not told of what is resolved")
    return "; ".join(parts) or "everything, at once"
