"""What the on-call person reads: one greppable line per problem, and five that explain it."""

from __future__ import annotations

from datetime import datetime

from monitors.results import CheckResult, Status, number_text

_RUN_OF_DBT = (
    "dbt.model.", "dbt.snapshot.", "dbt.seed.", "dbt.operation.", "dbt.build", "dbt.artifacts"
)  # fmt: skip
_DEFAULT_MATTERS = "Whoever reads {dataset} may draw the wrong conclusion."
_DEFAULT_DO = "See docs/checks.md, then run the check's query by hand: rampart db psql"


def alert_line(what: str, why: str) -> str:
    """`!! ALERT: <WHAT> !! - <why>`, always one line."""
    return f"!! ALERT: {what.upper()} !! - {' '.join(why.split())}"


def kind_of(result: CheckResult) -> str:
    """The word in capitals: what sort of failure this is."""
    if result.status in (Status.ERROR, Status.MISSING) and result.suite_name != "dbt":
        return "MONITORING FAILURE"
    if result.check_id.startswith(_RUN_OF_DBT):
        return "DBT RUN FAILURE"
    if "scd" in result.suite_name or "scd" in result.check_id:
        return "SCD VALIDATION FAILURE"
    if result.suite_name == "dbt":
        return "DBT TEST FAILURE"
    return "DATA QUALITY FAILURE"


def result_line(result: CheckResult) -> str:
    """The alert line of one red check."""
    critical = " [critical]" if result.is_critical else ""
    why = f"{result.check_id} on {result.dataset}: {result.message}{_rows(result)}{critical}"
    return alert_line(kind_of(result), why)


def explain(result: CheckResult, since: tuple[datetime, str] | None, now: datetime) -> list[str]:
    """Five lines: what broke, since when, how many rows, why it matters, what to do."""
    attributes = result.attributes
    matters = str(attributes.get("matters") or _DEFAULT_MATTERS.format(dataset=result.dataset))
    do = str(attributes.get("do") or _DEFAULT_DO)
    return [
        f"{result.check_name}: {result.message} [{result.status.value}, {result.severity.value}]",
        f"since  {_since(since, now)}",
        f"rows   {_rows(result).lstrip(', ') or 'not counted by this check'}",
        f"why    {' '.join(matters.split())}",
        f"do     {' '.join(do.split())}",
    ]


def _since(since: tuple[datetime, str] | None, now: datetime) -> str:
    if since is None or since[0] >= now:
        return "this scan; it was not red before"
    return f"{since[0]:%Y-%m-%d %H:%M} UTC, run {since[1]}"


def _rows(result: CheckResult) -> str:
    if result.numerator is None:
        return ""
    if result.denominator is None:
        return f", {number_text(result.numerator)} rows"
    share = f" ({result.numerator / result.denominator:.1%})" if result.denominator else ""
    return f", {number_text(result.numerator)} of {number_text(result.denominator)} rows{share}"
