"""What a backtest found, as one plain object: the contract of `rampart backtest --json`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from monitors.scan.backtest import (
    Alarm,
    Backtest,
    Detection,
    Floats,
    Point,
    Recommendation,
    Settings,
)
from monitors.scan.chance import DAYS_A_MONTH, AlarmBudget, AlarmRate, expected_alarms

NO_HISTORY = "no history yet"
NO_BOUNDS = "no bounds, so no alarm by chance"
UNREADABLE = "not to be evaluated, `rampart scan` says why"


@dataclass(frozen=True)
class Report:
    """Backtests of a set of checks."""

    environment: str
    settings: Settings
    backtests: Sequence[Backtest]
    not_replayed: Mapping[str, str] = field(default_factory=dict)
    """{check_id: why it cannot be replayed}."""
    diffs: Mapping[str, str] = field(default_factory=dict)
    """{check_id: the recommended change as a unified diff}."""

    @property
    def exceeded(self) -> list[Backtest]:
        return [each for each in self.backtests if each.is_exceeded]

    @property
    def budget(self) -> AlarmBudget:
        """Alarms that all of them together are expected to raise by chance."""
        unknown = [why for why in self.not_replayed.values() if why != NO_BOUNDS]
        return budget_of(self.backtests, len(unknown))

    def as_object(self) -> dict[str, Any]:
        """Plain values only; moments as ISO 8601, numbers that are none as null."""
        budget = self.budget
        return {
            "environment": self.environment,
            "max_alarms_per_month": self.settings.most_per_month,
            "seed": self.settings.seed,
            "budget": {**asdict(budget), "days_between": budget.days_between},
            "exceeded": [each.check.check_id for each in self.exceeded],
            "not_replayed": dict(self.not_replayed),
            "checks": [
                _check(each, self.diffs.get(each.check.check_id)) for each in self.backtests
            ],
        }


def budget_of(backtests: Sequence[Backtest], not_replayed: int = 0) -> AlarmBudget:
    """The budget of a set of checks; those that are blind, or were not replayed, are unknown."""
    rates: list[AlarmRate | None] = [each.rate for each in backtests]
    return expected_alarms([*rates, *[None] * not_replayed])


def _check(found: Backtest, diff: str | None) -> dict[str, Any]:
    check = found.check
    rate = found.rate
    return {
        "check_id": check.check_id,
        "dataset": check.dataset,
        "kind": check.kind,
        "step": check.step,
        "read_by": list(check.read_by),
        "threshold": check.wording(check.strictness),
        "status": "blind" if rate is None else "exceeded" if found.is_exceeded else "within",
        "judged": found.judged,
        "days": _number(found.months * DAYS_A_MONTH),
        "false_alarms": found.false_alarms,
        "alarms_per_month": rate and _number(rate.per_month),
        "alarms_per_month_interval": rate and [_number(end) for end in rate.interval],
        "alarms": [_alarm(each) for each in found.alarms],
        "injections": [_detection(each) for each in found.detections],
        "recommendation": _recommendation(found.recommendation, diff),
        "sweep": [_point(each) for each in found.sweep],
        "series": [
            {
                "segment": history.segment,
                "starts": [str(start) for start in history.starts],
                "values": _numbers(history.values),
                "expected": _numbers(replayed.expected),
                "lower": _numbers(replayed.lower),
                "upper": _numbers(replayed.upper),
                "tested": tested.tolist(),
                "known_bad": history.known_bad.tolist(),
            }
            for history, replayed, tested in zip(
                check.histories, found.replayed, found.tested, strict=True
            )
        ],
    }


def _alarm(alarm: Alarm) -> dict[str, Any]:
    return {
        "segment": alarm.segment,
        "moment": str(alarm.moment),
        "value": _number(alarm.value),
        "expected": _number(alarm.expected),
        "lower": _number(alarm.lower),
        "upper": _number(alarm.upper),
        "kind": alarm.kind,
        "lasted": alarm.values,
        "is_known_bad": alarm.is_known_bad,
    }


def _detection(detection: Detection) -> dict[str, Any]:
    share = detection.share
    return {
        "injection": str(detection.injection),
        "what": detection.injection.changes,
        "detected": share.value,
        "interval": list(share.interval) if share.tries else None,
        "found": share.hits,
        "tried": share.tries,
        "eligible": detection.eligible,
        "median_delay": detection.median_delay,
        "within": detection.within,
        "why_not": detection.why_not,
    }


def _recommendation(recommendation: Recommendation, diff: str | None) -> dict[str, Any]:
    return {
        "change": recommendation.change,
        "why": recommendation.why,
        "now": recommendation.now and _point(recommendation.now),
        "then": recommendation.then and _point(recommendation.then),
        "diff": diff,
    }


def _point(point: Point) -> dict[str, Any]:
    return {
        "threshold": point.threshold,
        "alarms_per_month": _number(point.alarms_per_month),
        "red_share": _number(point.red_share),
        "detected": point.detected,
    }


def _numbers(values: Floats) -> list[float | None]:
    return [_number(each) for each in values.tolist()]


def _number(value: float | np.floating[Any]) -> float | None:
    """JSON knows neither NaN nor infinity; six digits are more than anybody reads."""
    if not math.isfinite(value):
        return None
    return float(f"{value:.10g}") if value != int(value) else int(value)
