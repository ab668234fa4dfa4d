"""The health of the whole: one state from layers and severities, with the reason in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from monitors.results import Layer, Severity

State = Literal["healthy", "degraded", "down"]
NAMED = 3
"""How many checks a reason names; the rest is counted."""


@dataclass(frozen=True, slots=True)
class RedCheck:
    """A check that is red now, after damping; muted ones are none."""

    check_id: str
    layer: Layer
    severity: Severity


@dataclass(frozen=True, slots=True)
class HealthFacts:
    """What the store knows. `checks`: {layer: how many checks it has, red or not}."""

    red: Sequence[RedCheck]
    checks: Mapping[Layer, int]
    last_scan_at: datetime | None
    open_incidents: int = 0


@dataclass(frozen=True, slots=True)
class Health:
    """`down`: nobody may look at the numbers; `degraded`: a part of them, or of the watch, is off.

    `reasons` are in the order of weight; the first one is why the state is what it is.
    """

    state: State
    reasons: tuple[str, ...]
    open_incidents: int = 0

    @property
    def reason(self) -> str:
        return "; ".join(self.reasons)


def health_of(facts: HealthFacts, now: datetime, oldest_scan: timedelta | None = None) -> Health:
    """The state of the whole.

    Down: a critical check is red in any layer; a high one in gold, where people read; every check
    of a layer; or nothing was ever scanned, or not for `oldest_scan`. Degraded: anything else red.
    """
    down = [*_silence(facts, now, oldest_scan), *_stops(facts)]
    told = {check.check_id for check in facts.red if _stops_everything(check)}
    left = [check for check in facts.red if check.check_id not in told]
    degraded = [
        _said(f"{severity.value} in {layer.value}", found)
        for severity in Severity
        for layer in reversed(Layer)
        if (found := [c for c in left if (c.severity, c.layer) == (severity, layer)])
    ]
    reasons = (*down, *degraded)
    state: State = "down" if down else "degraded" if degraded else "healthy"
    return Health(state, reasons or ("no check is red",), facts.open_incidents)


def _silence(facts: HealthFacts, now: datetime, oldest_scan: timedelta | None) -> list[str]:
    if facts.last_scan_at is None:
        return ["no scan has been completed yet"]
    age = now - facts.last_scan_at
    if oldest_scan is not None and age > oldest_scan:
        hours = age.total_seconds() / 3600
        return [f"the last scan was completed {hours:,.1f} hours ago"]
    return []


def _stops(facts: HealthFacts) -> list[str]:
    critical = [check for check in facts.red if check.severity is Severity.CRITICAL]
    read = [
        check
        for check in facts.red
        if check.severity is Severity.HIGH and check.layer is Layer.GOLD
    ]
    found = [_said("critical", critical)] if critical else []
    found += [_said("high in gold", read)] if read else []
    for layer in Layer:
        red = sum(1 for check in facts.red if check.layer is layer)
        if red and red == facts.checks.get(layer, 0) and red > 1:
            found.append(f"all {red} checks of {layer.value} are red")
    return found


def _stops_everything(check: RedCheck) -> bool:
    return check.severity is Severity.CRITICAL or (
        check.severity is Severity.HIGH and check.layer is Layer.GOLD
    )


def _said(which: str, checks: Sequence[RedCheck]) -> str:
    """`2 checks red, high in gold: a, b`."""
    names = sorted(check.check_id for check in checks)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    counted = "1 check" if len(names) == 1 else f"{len(names):,} checks"
    return f"{counted} red, {which}: {', '.join(names[:NAMED])}{more}"
