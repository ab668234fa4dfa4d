"""Soda's check objects, judged on the values of their metrics.

Most are judged as Soda does; where Soda would fetch rows, or take any change of groups for a pass,
it is done here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from soda.common.undefined_instance import undefined

from monitors.results import bounds_text, number_text
from monitors.scan.soda_history import Asked, bounds_of
from monitors.scan.soda_verdicts import Found, bounds

SKEW = timedelta(minutes=5)
"""How far a clock may be ahead; a row from further in the future hides that nothing arrives."""


def found_by(check: Any, asked: Asked | None, now: datetime) -> Found | None:
    """What one of Soda's checks says of its metrics' values; None when it says nothing.

    Raises ValueError with the reason when the values cannot be judged.
    """
    kind = type(check).__name__
    evaluate = _EVALUATED_HERE.get(kind)
    if evaluate is not None:
        return evaluate(check, asked, now)
    history = {key: asked.answer() for key in check.historic_descriptors} if asked else {}
    check.evaluate(dict(check.metrics), history)
    if check.outcome is None:
        return None
    value = getattr(check, "check_value", None)
    low, high = _limits_of(check.check_cfg)
    return Found(
        check.outcome.value,
        None if value is None else _as_float(value),
        low,
        high,
        _SAYS.get(kind, lambda _: "")(check),
        column=check.column.column_name if hasattr(check.column, "column_name") else None,
    )


def _limits_of(cfg: Any) -> tuple[float | None, float | None]:
    threshold = getattr(cfg, "fail_threshold_cfg", None) or getattr(cfg, "warn_threshold_cfg", None)
    return bounds(threshold.to_soda_cloud_diagnostics_json()) if threshold else (None, None)


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"expected a number, found `{value}`") from None


def _change(check: Any, asked: Asked | None, _: datetime) -> Found | None:
    """The bounds are written in the unit of the metric, where a person can compare them."""
    assert asked is not None  # noqa: S101 - every check of change has a descriptor
    value = asked.metric.value
    if value is None or value is undefined:
        return None
    now_value = _as_float(value)
    if not math.isfinite(now_value):
        return Found("error", now_value)
    check.evaluate(dict(check.metrics), {key: asked.answer() for key in check.historic_descriptors})
    change = check.check_value
    low, high = _limits_of(check.check_cfg)
    limits = bounds_of(asked, low, high)
    label = str(check.check_cfg.metric_name)
    column = check.column.column_name if check.column is not None else None
    if why := _why_incomparable(check, asked):
        said = f"{label}={number_text(now_value)}, {why}"
        return Found("blind", now_value, message=said, column=column)
    unit = " %" if asked.percent else ""
    shown = number_text(round(change, 1) if asked.percent else change)
    moved = f"{'+' if change > 0 else ''}{shown}{unit}"
    allowed = bounds_text(low, high)
    said = (
        f"{label}={number_text(now_value)}, {moved} against {number_text(asked.level)}"
        f" ({_basis(asked)}; allowed {allowed}{unit})"
    )
    return Found(
        check.outcome.value, now_value, limits.low, limits.high, said, column,
        limits.detectable, judged=float(change),
    )  # fmt: skip


def _why_incomparable(check: Any, asked: Asked) -> str:
    """Why nothing could have failed; empty when something could."""
    if asked.percent and asked.level == 0:
        return "0 before: nothing is a percentage of nothing"
    return asked.said() if check.outcome is None else ""


def _basis(asked: Asked) -> str:
    if asked.same_weekday:
        return "the same day last week"
    if asked.count == 1:
        return f"{asked.used[0].data_timestamp:%Y-%m-%d %H:%M} UTC"
    words = {"avg": "average", "min": "lowest", "max": "highest"}
    return f"{words[asked.aggregation]} of {len(asked.used)} values"


def _freshness(check: Any, _: Asked | None, now: datetime) -> Found | None:
    newest = check.metrics["max_column_timestamp"].value
    if newest is None:
        return None
    check.evaluate(dict(check.metrics), {})
    age = check.freshness_values.get("freshness")
    if check.outcome is None or age is None:
        raise ValueError(f"max({check.check_cfg.column_name}) is no timestamp: `{newest}`")
    if age < -SKEW:
        raise ValueError(
            f"the newest {check.check_cfg.column_name} is {newest}, later than now,"
            f" {now:%Y-%m-%d %H:%M} UTC: as long as it is there, no row can be too old"
        )
    limit = check.check_cfg.fail_freshness_threshold or check.check_cfg.warn_freshness_threshold
    most = limit.total_seconds() if limit is not None else None
    said = f"the newest {check.check_cfg.column_name} is {_hours(age)} old"
    said += f" (max {_hours(limit)})" if limit is not None else ""
    return Found(
        check.outcome.value, age.total_seconds(), None, most, said, check.check_cfg.column_name
    )


def _hours(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    if hours < 1:
        return f"{age.total_seconds() / 60:.0f} min"
    return f"{hours:.1f} h".replace(".0 h", " h") if hours < 48 else f"{hours / 24:.1f} days"


def _schema(check: Any, asked: Asked | None, _: datetime) -> Found | None:
    history = {key: asked.answer() for key in check.historic_descriptors} if asked else {}
    check.evaluate(dict(check.metrics), history)
    columns = len(check.measured_schema or [])
    if check.outcome is None:
        said = f"{columns} columns; {asked.said() if asked else 'nothing to compare with'}"
        return Found("blind", float(columns), message=said)
    events = [
        said for each in (check.fail_result, check.warn_result) if each for said in _events(each)
    ]
    said = "; ".join(dict.fromkeys(events)) or f"{columns} columns as they should be"
    return Found(check.outcome.value, float(len(set(events))), None, 0.0, said)


def _events(result: Any) -> list[str]:
    """What is not as it should be, in words."""
    found = [f"column {name} is gone" for name in result.column_deletions]
    found += [f"column {name} is new" for name in result.column_additions]
    found += [
        f"column {name} was {each['previous_type']}, is {each['new_type']}"
        for name, each in result.column_type_changes.items()
    ]
    found += [
        f"column {name} moved from place {each['previous_index'] + 1} to {each['new_index'] + 1}"
        for name, each in result.column_index_changes.items()
    ]
    found += [f"column {name} is missing" for name in result.missing_column_names]
    found += [f"column {name} is there" for name in result.present_column_names]
    found += [
        f"column {name} is {each['actual_type']}, not {each['expected_type']}"
        for name, each in result.column_type_mismatches.items()
    ]
    found += [
        f"column {name} is at place {each['actual_index'] + 1}, not {each['expected_index'] + 1}"
        for name, each in result.column_index_mismatches.items()
    ]
    return found


def _groups(check: Any, asked: Asked | None, _: datetime) -> Found | None:
    """Soda 3.5 takes every change of groups for a pass: they are compared here."""
    cfg = check.check_cfg
    groups = [str(each) for each in check.metrics["groups measured"].value or []]
    past = asked.used[0].payload if asked and asked.used else None
    if cfg.has_change_validations() and past is None:
        return Found(
            "blind",
            float(len(groups)),
            message=f"{len(groups)} groups; {asked.said() if asked else ''}",
        )
    outcome, events = "pass", []
    for name, rules in (("warn", cfg.warn_validations), ("fail", cfg.fail_validations)):
        broken = _group_events(rules, groups, [str(each) for each in past or groups])
        outcome = name if broken else outcome
        events += broken
    said = "; ".join(dict.fromkeys(events)) or f"{len(groups)} groups as they should be"
    return Found(outcome, float(len(set(events))), None, 0.0, said)


def _group_events(rules: Any, groups: list[str], past: list[str]) -> list[str]:
    if rules is None:
        return []
    found = [
        f"group {each} is missing"
        for each in rules.required_group_names or []
        if str(each) not in groups
    ]
    for pattern in rules.forbidden_group_names or []:
        shape = re.compile(str(pattern).replace("%", ".*").replace("*", ".*"))
        found += [f"group {each} is there" for each in groups if shape.fullmatch(each)]
    if rules.is_group_addition_forbidden:
        found += [f"group {each} is new" for each in groups if each not in past]
    if rules.is_group_deletion_forbidden:
        found += [f"group {each} is gone" for each in past if each not in groups]
    return found


def _failed_rows(check: Any, _: Asked | None, __: datetime) -> Found | None:
    """As Soda judges them, without fetching a single one of the rows."""
    value = next(iter(check.metrics.values())).value
    cfg = check.check_cfg
    low, high = _limits_of(cfg)
    if value is None:
        return None
    if cfg.fail_threshold_cfg or cfg.warn_threshold_cfg:
        outcome = "pass"
        if cfg.fail_threshold_cfg and cfg.fail_threshold_cfg.is_bad(value):
            outcome = "fail"
        elif cfg.warn_threshold_cfg and cfg.warn_threshold_cfg.is_bad(value):
            outcome = "warn"
    else:
        outcome, high = ("fail" if value > 0 else "pass"), 0.0
    return Found(outcome, float(value), low, high)


def _metric(check: Any, _: Asked | None, __: datetime) -> Found | None:
    value = next(iter(check.metrics.values())).value
    if value is None or value is undefined:  # Soda leaves the null of a query as it was
        return None
    found = _as_float(value)
    if not math.isfinite(found):
        return Found("error", found)
    check.evaluate(dict(check.metrics), {})
    low, high = _limits_of(check.check_cfg)
    column = check.column.column_name if check.column is not None else None
    outcome = check.outcome.value if check.outcome else "error"
    if outcome == "pass" and (check.formula_values or {}).get("row_count") == 0:
        said = f"{check.check_cfg.metric_name}: there are no rows of which it could be a share"
        return Found("blind", found, low, high, said, column)
    return Found(outcome, found, low, high, column=column)


def _rows_differ(check: Any) -> str:
    ours, theirs = check.metrics["row_count"].value, check.metrics["other_row_count"].value
    other = check.other_partition.table.table_name
    return f"{number_text(ours)} rows, {other} has {number_text(theirs)}"


def _group_by(check: Any) -> str:
    bad = [
        each.name
        for each in check.data_source_scan.scan._checks
        if each.outcome and each.outcome.value == "fail"
    ]
    return f"{len(bad)} groups fail: {', '.join(bad[:5])}" if bad else "every group holds"


_EVALUATED_HERE: dict[str, Callable[[Any, Asked | None, datetime], Found | None]] = {
    "MetricCheck": _metric,
    "ChangeOverTimeMetricCheck": _change,
    "FreshnessCheck": _freshness,
    "SchemaCheck": _schema,
    "GroupEvolutionCheck": _groups,
    "UserDefinedFailedRowsCheck": _failed_rows,
    "UserDefinedFailedRowsExpressionCheck": _failed_rows,
}
_SAYS: dict[str, Callable[[Any], str]] = {
    "RowCountComparisonCheck": _rows_differ,
    "GroupByCheck": _group_by,
}
