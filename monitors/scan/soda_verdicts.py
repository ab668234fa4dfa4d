"""What was found about a check, as a verdict that says why by itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from monitors.results import (
    Category,
    CheckResult,
    Layer,
    Severity,
    Status,
    bounds_text,
    number_text,
)
from monitors.scan.checks_files import Definition
from monitors.scan.soda_history import Asked

_STATUS = {
    "pass": Status.PASS,
    "blind": Status.BLIND,
    "warn": Status.WARN,
    "fail": Status.FAIL,
}
Rows = Callable[[str], "tuple[Any, ...] | None"]
"""Runs a query, gives its first row; raises what the driver raises."""


@dataclass(frozen=True)
class Found:
    """What a check gave: an outcome of Soda's, a number and the bounds in which it holds."""

    outcome: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    message: str = ""
    """What the number alone does not say."""
    column: str | None = None
    detectable: float | None = None
    judged: float | None = None
    """What `critical` is held against, when it is not the value itself: a change."""


def result_of(
    definition: Definition, status: Status, message: str = "", **more: Any
) -> CheckResult:
    """A verdict with all that its definition carries."""
    attributes = definition.attributes
    values: dict[str, Any] = {
        "check_id": definition.check_id,
        "check_name": definition.name,
        "suite_name": definition.suite,
        "dataset": definition.dataset,
        "segment": definition.segment,
        "status": status,
        "layer": Layer(attributes.get("layer", "gold")),
        "category": Category(attributes.get("category", "data_quality")),
        "severity": Severity(attributes.get("severity", "high")),
        "metric_name": _metric_of(definition) or None,
        "message": message,
        "attributes": attributes,
    }
    return CheckResult(**(values | more))


def judged(definition: Definition, found: Found) -> CheckResult:
    """The verdict on what was found. A number that is none is never a pass."""
    metric = _metric_of(definition)
    value = found.value
    if value is not None and not math.isfinite(value):
        said = f"{label_of(definition)} is {value}: not a number that can be judged"
        return result_of(definition, Status.ERROR, said, column_name=found.column)
    status = _STATUS.get(found.outcome, Status.ERROR)
    said = found.message or message(label_of(definition), value, found.low, found.high)
    if status is Status.FAIL and not found.message and value is not None and value == found.high:
        said = f"{label_of(definition)}={number_text(value)} (below {number_text(value)})"
    severity = Severity(definition.attributes.get("severity", "high"))
    measure = value if found.judged is None else found.judged
    critical = definition.attributes.get("critical")
    if status is Status.FAIL and _beyond(measure, critical, found.low, found.high):
        severity = Severity.CRITICAL
    return result_of(
        definition,
        status,
        said,
        severity=severity,
        column_name=found.column,
        metric_value=value,
        numerator=value if metric.endswith("count") or metric == "failed rows" else None,
        expected_min=found.low,
        expected_max=found.high,
        detectable_change=found.detectable,
    )


def nothing_to_measure(definition: Definition) -> CheckResult:
    said = f"{label_of(definition)} has no value: nothing to measure yet"
    return result_of(definition, Status.MISSING, said)


def not_evaluated(definition: Definition, why: str) -> CheckResult:
    where = "" if why.startswith(str(definition.path)) else f"{definition.where}: "
    return result_of(definition, Status.ERROR, f"not evaluated: {where}{why}")


def label_of(definition: Definition) -> str:
    return str(definition.attributes.get("label") or _metric_of(definition))


def _metric_of(definition: Definition) -> str:
    """`row_count` of `change avg last 7 percent for row_count` and of `row_count > 0`."""
    metric = definition.metric.split("(")[0].strip()
    return metric.split(" for ", 1)[-1] if metric.startswith("change ") else metric


def message(label: str, value: float | None, low: float | None, high: float | None) -> str:
    """`rate=0.0582 (max 0.05)`: the bound that is broken, or all of them when none is."""
    if value is None:
        return f"{label} has no value"
    if high is not None and value > high:
        low = None
    elif low is not None and value < low:
        high = None
    allowed = bounds_text(low, high)
    return f"{label}={number_text(value)}" + (f" ({allowed})" if allowed else "")


def bounds(conditions: Any) -> tuple[float | None, float | None]:
    """(min, max) that still hold, from the conditions under which Soda calls it a failure.

    A strict bound on whole numbers is written as the number that holds: `> 0` is at least 1.
    """
    low, high = conditions.get("lessThan"), conditions.get("greaterThan")
    if low is None and (strict := conditions.get("lessThanOrEqual")) is not None:
        low = strict + 1 if float(strict).is_integer() else strict
    if high is None and (strict := conditions.get("greaterThanOrEqual")) is not None:
        high = strict
    low, high = number(low), number(high)
    if low is not None and high is not None and low > high:
        return None, None  # `!= 0` and the like: what holds is no range
    return low, high


def number(value: Any) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def _beyond(value: float | None, limit: Any, low: float | None, high: float | None) -> bool:
    if value is None or limit is None:
        return False
    return value > float(limit) if high is not None else low is not None and value < float(limit)


# -------------------------------------------------------------------- what a check carries


def with_blindness(result: CheckResult, asked: Asked | None) -> CheckResult:
    """A pass is worth as much as what would have failed."""
    if result.status is not Status.PASS:
        return result
    if asked is not None and not asked.is_enough:
        return replace(result, status=Status.BLIND, message=f"{result.message}; {asked.said()}")
    smallest = result.attributes.get("smallest_change")
    seen = result.detectable_change
    if smallest is None:
        return result
    if asked is not None and seen is None and result.metric_value is not None and asked.numbers:
        said = f"{result.message}; no change can be seen against a history of 0"
        return replace(result, status=Status.BLIND, message=said)
    if seen is not None and seen > float(smallest):
        said = (
            f"{result.message}; sees a change of {number_text(seen)}"
            f" or more, {number_text(float(smallest))} is asked for"
        )
        return replace(result, status=Status.BLIND, message=said)
    return result


def with_counts(result: CheckResult, rows: Rows) -> tuple[CheckResult, str]:
    """The count and its base by the check's `counts:` query, one column is the base alone;
    and why there is none."""
    query = result.attributes.get("counts")
    if not query:
        return result, ""
    try:
        row = rows(str(query))
    except Exception as error:
        return result, " ".join(str(error).split())
    values = row or (None, None)
    numerator, denominator = values[:2] if len(values) > 1 else (result.metric_value, values[0])
    return result.with_counts(number(numerator), number(denominator)), ""


def with_evidence(result: CheckResult, rows: Rows) -> CheckResult:
    """What the check's `evidence:` query says: value, expected_min, expected_max,
    detectable_change, message and, if there is a sixth column, state."""
    query = result.attributes.get("evidence")
    if not query or result.status is Status.ERROR:
        return result
    try:
        row = rows(str(query))
    except Exception as error:
        return _without_evidence(result, " ".join(str(error).split()))
    if row is None:
        return _without_evidence(result, "it gave no row")
    if len(row) not in (5, 6):
        return _without_evidence(result, f"it gave {len(row)} columns, needed are 5 or 6")
    value, low, high, seen, said = row[:5]
    words = " ".join(str(said or "").split())
    if value is not None:  # its bounds are those of this value, also when there are none
        measured, least, most = number(value), number(low), number(high)
        label = str(result.attributes.get("label") or result.metric_name)
        words = words or message(label, measured, least, most)
        result = replace(result, metric_value=measured, expected_min=least, expected_max=most)
    elif low is not None or high is not None:
        result = replace(result, expected_min=number(low), expected_max=number(high))
    result = replace(
        result,
        detectable_change=result.detectable_change if seen is None else number(seen),
        message=words or result.message,
    )
    state = row[5] if len(row) == 6 else None
    if state == "not modelled":
        severity = Severity(result.attributes.get("severity", "high"))
        return replace(result, status=Status.MISSING, severity=severity)
    if state == "blind" and result.status is Status.PASS:
        why = "too little is known to fail"
        if result.detectable_change is not None:
            why = f"sees a change of {number_text(result.detectable_change)} or more"
        if result.detectable_change is not None and result.detectable_change >= 1:
            why = "even an outage might not have shown"
        return replace(result, status=Status.BLIND, message=f"{result.message}; {why}")
    return result


def _without_evidence(result: CheckResult, why: str) -> CheckResult:
    """A pass of which nobody can say what it is worth is none."""
    status = Status.ERROR if result.status in (Status.PASS, Status.BLIND) else result.status
    return replace(result, status=status, message=f"{result.message}; no evidence: {why}")
