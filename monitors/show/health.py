"""`/health`: the state of the whole as one JSON object, for load balancers and people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from monitors.health import HealthFacts, State, health_of

CODES: dict[State, tuple[str, int]] = {
    "healthy": ("healthy", 200),
    "degraded": ("degraded", 200),
    "down": ("unhealthy", 503),
}


@dataclass(frozen=True, slots=True)
class HealthLook:
    """What was seen of the store at a moment, or why nothing was."""

    now: datetime
    facts: HealthFacts | None = None
    newest_data_at: datetime | None = None
    reason: str | None = None


def health_answer(look: HealthLook, scan_within: timedelta | None) -> tuple[int, dict[str, Any]]:
    """(HTTP status, body): 200 for healthy and degraded, 503 for unhealthy."""
    if look.facts is None:
        unknown = {"status": "unknown"}
        return 503, {
            "status": "unhealthy",
            "reason": look.reason,
            "reasons": [look.reason],
            "checks": {
                "database": {"status": "down", "reason": look.reason},
                "data_freshness": unknown,
                "last_scan": unknown,
            },
            "timestamp": _text(look.now),
        }
    health = health_of(look.facts, look.now, scan_within)
    status, code = CODES[health.state]
    return code, {
        "status": status,
        "reason": health.reason,
        "reasons": list(health.reasons),
        "open_incidents": health.open_incidents,
        "checks": {
            "database": {"status": "up"},
            "data_freshness": _moment("newest_data_at", look.newest_data_at, look.now, None),
            "last_scan": _moment("completed_at", look.facts.last_scan_at, look.now, scan_within),
        },
        "timestamp": _text(look.now),
    }


def _moment(
    name: str, moment: datetime | None, now: datetime, within: timedelta | None
) -> dict[str, Any]:
    """`known`, `late` (older than it may be) or `never`."""
    if moment is None:
        return {"status": "never", name: None, "age_seconds": None}
    age = now - moment
    status = "late" if within is not None and age > within else "known"
    return {
        "status": status,
        name: _text(moment),
        "age_seconds": round(max(0.0, age.total_seconds()), 1),
    }


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}Z"
