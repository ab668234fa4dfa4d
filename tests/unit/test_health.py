"""One state for the whole, with its reason in words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from monitors.health import HealthFacts, RedCheck, health_of
from monitors.results import Layer, Severity
from tests.alerting import MORNING

MANY = {Layer.BRONZE: 10, Layer.SILVER: 10, Layer.GOLD: 10}


def red(layer: Layer, severity: Severity, count: int = 1) -> list[RedCheck]:
    return [RedCheck(f"{layer.value}.{severity.value}_{n}", layer, severity) for n in range(count)]


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ([], "healthy"),
        (red(Layer.SILVER, Severity.HIGH), "degraded"),
        (red(Layer.GOLD, Severity.MEDIUM), "degraded"),
        (red(Layer.GOLD, Severity.HIGH), "down"),
        (red(Layer.BRONZE, Severity.CRITICAL), "down"),
        (red(Layer.BRONZE, Severity.LOW, 10), "down"),
    ],
)
def test_the_state_follows_layer_and_severity(checks: list[RedCheck], expected: str) -> None:
    """Critical anywhere, high where people read, a whole layer: down. Anything else: degraded."""
    assert expected == health_of(HealthFacts(checks, MANY, MORNING), MORNING).state


def test_the_reason_names_the_worst_first() -> None:
    """What is down, then what else is red, each once; long lists are counted."""
    checks = [*red(Layer.SILVER, Severity.LOW, 5), *red(Layer.GOLD, Severity.HIGH)]
    health = health_of(HealthFacts(checks, MANY, MORNING, 2), MORNING)

    assert (
        "1 check red, high in gold: gold.high_0;"
        " 5 checks red, low in silver: silver.low_0, silver.low_1, silver.low_2 and 2 more"
    ) == health.reason
    assert 2 == health.open_incidents


def test_silence_is_down() -> None:
    """Never scanned, or too long ago: nobody knows whether anything holds."""
    never = health_of(HealthFacts([], {}, None), MORNING)
    facts = HealthFacts([], MANY, MORNING - timedelta(hours=30))

    assert ("down", "no scan has been completed yet") == (never.state, never.reason)
    assert "down" == health_of(facts, MORNING, timedelta(hours=26)).state
    assert "healthy" == health_of(facts, MORNING).state
