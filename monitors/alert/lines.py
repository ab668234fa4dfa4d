"""What the on-call person reads: one greppable line per problem, and five that explain it."""

from __future__ import annotations

from datetime import datetime

from monitors.alert.topics import kind_of
from monitors.results import OF_A_CLAIM, CheckResult, Status, number_text

_DEFAULT_MATTERS = "Whoever reads {dataset} may draw the wrong conclusion."
_DEFAULT_DO = "See docs/checks.md, then run the check's query by hand: rampart db psql"
_NOBODY_LOOKED = "Nobody knows whether it holds: the check could not be evaluated."
_MEND_THE_CHECK = "Mend what the message names; `rampart doctor` reads every checks file."


def alert_line(what: str, why: str) -> str:
    """`!! ALERT: <WHAT> !! - <why>`, always one line."""
    return f"!! ALERT: {what.upper()} !! - {' '.join(why.split())}"


def result_line(result: CheckResult) -> str:
    """The alert line of one red check."""
    if result.check_id.startswith("landing.") and result.check_id.endswith(".mount"):
        return alert_line("mount failure", result.message)  # where comes first
    critical = " [critical]" if result.is_critical else ""
    rows = rows_text(result)
    counted = f", {rows}" if rows else ""
    why = f"{result.check_id} on {result.dataset}: {result.message}{counted}{critical}"
    return alert_line(kind_of(result).replace("_", " "), why)


def explain(result: CheckResult, since: tuple[datetime, str] | None, now: datetime) -> list[str]:
    """Five lines: what broke, since when, how many rows, why it matters, what to do."""
    attributes = result.attributes
    matters = attributes.get("matters") or _DEFAULT_MATTERS.format(dataset=result.dataset)
    do = attributes.get("do") or _DEFAULT_DO
    if result.status is Status.ERROR and result.suite_name != "dbt":
        matters, do = _NOBODY_LOOKED, _MEND_THE_CHECK
    claim = f"{OF_A_CLAIM[result.status.value]}: {result.check_name}"
    return [
        f"{claim}; {result.message} [{result.status.value}, {result.severity.value}]",
        f"since  {_since(since, now)}",
        f"rows   {rows_text(result) or 'not counted by this check'}",
        f"why    {' '.join(str(matters).split())}",
        f"do     {' '.join(str(do).split())}",
    ]


def _since(since: tuple[datetime, str] | None, now: datetime) -> str:
    if since is None or since[0] >= now:
        return "this scan; it was not red before"
    return f"{since[0]:%Y-%m-%d %H:%M} UTC, run {since[1]}"


def rows_text(result: CheckResult) -> str:
    """`2,908 of 49,966 rows (5.8%)`; blank where the check counts none."""
    if result.numerator is None:
        return ""
    if result.denominator is None:
        return f"{number_text(result.numerator)} rows"
    share = f" ({result.numerator / result.denominator:.1%})" if result.denominator else ""
    return f"{number_text(result.numerator)} of {number_text(result.denominator)} rows{share}"
