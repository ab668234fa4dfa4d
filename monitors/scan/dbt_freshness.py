"""sources.json as verdicts: how old the newest row of each source was when dbt last looked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from monitors.lineage import Lineage, Node, meta_of, relation_of
from monitors.results import Category, CheckResult, Severity, Status
from monitors.scan.dbt_artifacts import Artifact, moment_of, parse_moment
from monitors.scan.dbt_nodes import SUITE, attributes_of, layer_of, word_of

_STATUS = {
    "pass": Status.PASS,
    "warn": Status.WARN,
    "error": Status.FAIL,
    "runtime error": Status.ERROR,
}
"""For a source dbt says `error` when it is late; what could not be queried is a `runtime error`."""
_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
_NEVER = "0001-01-01"
"""The newest moment of a table without rows, as dbt writes it."""


def read_freshness(sources: Artifact, lineage: Lineage, now: datetime) -> list[CheckResult]:
    """Verdicts of `dbt source freshness`.

    dbt leaves a table out whose query failed, and does not say which ones it was asked for: a table
    with limits is missing when dbt reported on others of its source. A pass holds
    until the source would be late if nothing had arrived since; from then on it is missing.
    """
    looked = moment_of(sources)
    reported = {str(each["unique_id"]): each for each in sources["results"]}
    results = [
        _of_source(each, lineage.nodes[unique_id], lineage, now)
        for unique_id, each in reported.items()
        if unique_id in lineage.nodes
    ]
    groups = {_source_name(lineage.nodes[each]) for each in reported if each in lineage.nodes}
    results += [
        _absent(node, lineage, looked)
        for unique_id, node in sorted(lineage.nodes.items())
        if unique_id not in reported
        and node.get("resource_type") == "source"
        and _has_limits(node)
        and (not groups or _source_name(node) in groups)
    ]
    return results


def _of_source(each: Mapping[str, Any], node: Node, lineage: Lineage, now: datetime) -> CheckResult:
    status = _STATUS.get(str(each.get("status")), Status.ERROR)
    criteria = each.get("criteria") or {}
    warn, late = _seconds(criteria.get("warn_after")), _seconds(criteria.get("error_after"))
    limit = late or warn
    newest = str(each.get("max_loaded_at") or "")
    age = each.get("max_loaded_at_time_ago_in_s")
    looked = parse_moment(each.get("snapshotted_at"))
    is_empty = newest.startswith(_NEVER)
    message = f"age {_span(age)}{_limits(warn, late)}"
    if status is Status.ERROR:
        message = " ".join(str(each.get("error") or "could not be queried").split())[:300]
    elif is_empty:
        status, age, message = Status.MISSING, None, "no row yet, so it has no age"
    elif _is_outdated(status, age, limit, looked, now):
        message = (
            f"nobody has looked since {looked:%Y-%m-%d %H:%M} UTC, when it was {_span(age)} old"
            f"{_limits(warn, late)}; run `dbt source freshness`"
        )
        status, age = Status.MISSING, None
    return _result(
        node,
        lineage,
        status=status,
        metric_value=age,
        expected_max=limit,
        data_timestamp=None if is_empty or status is Status.ERROR else parse_moment(newest),
        message=message,
        looked=looked,
    )


def _absent(node: Node, lineage: Lineage, looked: datetime | None) -> CheckResult:
    when = f" of {looked:%Y-%m-%d %H:%M} UTC" if looked else ""
    return _result(
        node,
        lineage,
        status=Status.MISSING,
        message=f"`dbt source freshness`{when} gave no answer: its query failed, or it was not"
        " selected",
        looked=looked,
    )


def _result(node: Node, lineage: Lineage, *, looked: datetime | None, **found: Any) -> CheckResult:
    attributes = attributes_of(node, lineage)
    if looked:
        attributes["measured_at"] = looked.isoformat()
    return CheckResult(
        check_id=f"dbt.source.{_source_name(node)}.{node['name']}.freshness",
        check_name=f"{_source_name(node)}.{node['name']} is fresh",
        suite_name=SUITE,
        dataset=relation_of(node),
        layer=layer_of(node),
        category=word_of(Category, node, "category", Category.INFRASTRUCTURE),
        severity=word_of(Severity, node, "severity", Severity.MEDIUM),
        metric_name="age_seconds",
        attributes=attributes,
        **found,
    )


def _is_outdated(
    status: Status, age: float | None, limit: float | None, looked: datetime | None, now: datetime
) -> bool:
    """Whether a source that was fresh might be late by now, if nothing has arrived since."""
    if status not in (Status.PASS, Status.WARN) or not limit or looked is None or age is None:
        return False
    return age + (now - looked).total_seconds() > limit


def _has_limits(node: Node) -> bool:
    freshness = node.get("freshness") or {}
    limits = (freshness.get("warn_after"), freshness.get("error_after"))
    return any(_seconds(each) for each in limits)


def _seconds(limit: Mapping[str, Any] | None) -> float | None:
    if not limit or not limit.get("count"):
        return None
    return float(limit["count"]) * _SECONDS[str(limit.get("period", "day"))]


def _limits(warn: float | None, late: float | None) -> str:
    said = [
        f"{word} after {_span(limit)}" for word, limit in (("warns", warn), ("late", late)) if limit
    ]
    return f" ({', '.join(said)})" if said else ""


def _span(seconds: float | None) -> str:
    """`45 min`, `6.5 h`, `3.0 days`."""
    if seconds is None:
        return "unknown"
    span = timedelta(seconds=seconds)
    if span < timedelta(hours=1):
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if span < timedelta(days=2) else f"{seconds / 86400:.1f} days"


def _source_name(node: Node) -> str:
    return str(node.get("source_name") or meta_of(node).get("source") or "source")
