"""The report of a backtest as text for a terminal; it takes the object that `--json` prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from monitors.results import bounds_text, number_text

Object = Mapping[str, Any]

SHOWN_ALARMS = 12
_EVIDENCE = {"lasting": "several together", "repeat": "the same count again"}
"""Where the value itself lies within its bounds."""
_UNITS = {"day": "days", "hour": "hours", "run": "runs"}


def text_of(report: Object) -> str:
    """Checks that have something to say, one block each; the others by name; then the budget."""
    checks: Sequence[Object] = report["checks"]
    quiet = [each for each in checks if len(checks) > 1 and _is_quiet(each)]
    blind = [each for each in checks if len(checks) > 1 and each["status"] == "blind"]
    blocks = [each for each in checks if each not in quiet and each not in blind]
    lines: list[str] = []
    for each in blocks:
        lines += [*_block(each, report["max_alarms_per_month"]), ""]
    lines += _names("never fired", [each["check_id"] for each in quiet])
    lines += _names(
        "too little history",
        [f"{each['check_id']} ({each['judged']} over {each['days']:.0f} days)" for each in blind],
    )
    for why in dict.fromkeys(report["not_replayed"].values()):
        lines += _names(why, [name for name, of in report["not_replayed"].items() if of == why])
    if lines and lines[-1]:
        lines.append("")
    return "\n".join([*lines, budget_line(report["budget"])]) + "\n"


def budget_line(budget: Object) -> str:
    """How many alarms the set is expected to raise by chance."""
    unknown = budget["unknown"]
    more = f"; {_count(unknown, 'check')} without enough history to say" if unknown else ""
    if not budget["known"]:
        return f"budget  unknown: {_count(unknown, 'check')} without enough history to say"
    days = budget["days_between"]
    between = f"{days:.0f} days" if days >= 2 else f"{24 * days:.0f} hours"
    return (
        f"budget  {_count(budget['known'], 'check')} together: {rate_text(budget['per_month'])}"
        f" false alarms a month by chance (95 %: {rate_text(budget['low'])} to"
        f" {rate_text(budget['high'])}), one in {between}{more}"
    )


def rate_text(rate: float) -> str:
    """Alarms a month: 0, 0.08, 2.4, 17."""
    return f"{rate:.2f}".rstrip("0").rstrip(".") if rate < 10 else f"{rate:.0f}"


def percent_text(share: float) -> str:
    return f"{100 * share:.0f} %"


def delay_text(injection: Object, step: str) -> str:
    """How long after its start a fault is found, by the median."""
    delay = injection["median_delay"]
    if delay is None:
        return "-"
    if not delay:
        return "at once"
    unit = step if delay == 1 else _UNITS[step]
    return f"after {number_text(delay)} {unit}"


def moment_text(moment: str, step: str) -> str:
    """`2026-03-01`, or with the minute where a day has more than one."""
    return moment[:10] if step == "day" else moment[:16].replace("T", " ")


def alarm_text(alarm: Object, check: Object) -> str:
    """`312 rows, expected 1,122 (1,040 to 1,210), red for 2 days`."""
    unit = " rows" if check["kind"] == "volume" else ""
    said = f"{number_text(alarm['value'])}{unit}"
    ends = alarm["lower"], alarm["upper"]
    if check["kind"] == "volume":  # bounds of a volume are no whole rows
        ends = _whole(alarm["lower"]), _whole(alarm["upper"])
    allowed = bounds_text(*ends)
    if alarm["expected"] is not None:
        said += f", expected {number_text(round(alarm['expected']))} ({allowed})"
    elif allowed:
        said += f" ({allowed})"
    if alarm["kind"] in _EVIDENCE:
        said += f", {_EVIDENCE[alarm['kind']]}"
    if alarm["lasted"] > 1:
        said += f", red for {alarm['lasted']} {_UNITS[check['step']]}"
    if alarm["is_known_bad"]:
        said += ", in a known-bad period"
    return f"{alarm['segment']}: {said}" if alarm["segment"] else said


# -------------------------------------------------------------------- the pieces


def _is_quiet(check: Object) -> bool:
    """Nothing to read: it never fired, and no fault was put in."""
    tried = any(each["tried"] for each in check["injections"])
    return check["status"] != "blind" and not check["alarms"] and not tried


def _block(check: Object, allowed: float) -> list[str]:
    lines = [f"{check['check_id']}  {check['threshold']}"]
    if check["read_by"]:
        lines.append(f"  read by     {', '.join(check['read_by'])}")
    judged = f"{number_text(check['judged'])} {_UNITS[check['step']]}"
    over = "" if check["step"] == "day" else f" over {number_text(round(check['days']))} days"
    lines.append(f"  judged      {judged}{over}{_since(check)}")
    lines += _alarm_lines(check, allowed)
    lines += _injection_lines(check)
    lines += _recommendation_lines(check["recommendation"])
    return lines


def _since(check: Object) -> str:
    tested = [
        start
        for series in check["series"]
        for start, is_tested in zip(series["starts"], series["tested"], strict=True)
        if is_tested
    ]
    bad = sum(
        is_bad and is_tested
        for series in check["series"]
        for is_bad, is_tested in zip(series["known_bad"], series["tested"], strict=True)
    )
    if not tested:
        return ""
    first, last = (moment_text(each, check["step"]) for each in (min(tested), max(tested)))
    return f", {first} to {last}" + (f"; {bad} known as bad left out" if bad else "")


def _alarm_lines(check: Object, allowed: float) -> list[str]:
    alarms = check["alarms"]
    known = sum(each["is_known_bad"] for each in alarms)
    said = f"  alarms      {check['false_alarms']}"
    if check["alarms_per_month"] is not None:
        low, high = check["alarms_per_month_interval"]
        said += (
            f", {rate_text(check['alarms_per_month'])} a month (95 %: {rate_text(low)} to"
            f" {rate_text(high)}), allowed {rate_text(allowed)}"
        )
        said += "  EXCEEDED" if check["status"] == "exceeded" else ""
    else:
        said += "; " + check["recommendation"]["why"]
    if known:
        said += f"; and {known} in known-bad periods"
    lines = [said]
    for alarm in alarms[-SHOWN_ALARMS:]:
        when = moment_text(alarm["moment"], check["step"])
        lines.append(f"              {when}  {alarm_text(alarm, check)}")
    if len(alarms) > SHOWN_ALARMS:
        lines.append(f"              and {len(alarms) - SHOWN_ALARMS} before; --json has them all")
    return lines


def _injection_lines(check: Object) -> list[str]:
    injections = check["injections"]
    if injections and all(each["detected"] is None for each in injections):
        return [f"  injected    {injections[0]['why_not']}"]
    lines = []
    for number, each in enumerate(injections):
        head = "  injected    " if number == 0 else " " * 14
        if each["detected"] is None:
            lines.append(f"{head}{each['injection']:<15} {each['why_not']}")
            continue
        low, high = each["interval"]
        within = each["within"]
        unit = check["step"] if within == 1 else _UNITS[check["step"]]
        lines.append(
            f"{head}{each['injection']:<15} {percent_text(each['detected']):>5} found within"
            f" {within} {unit} (95 %: {percent_text(low)} to {percent_text(high)}),"
            f" {delay_text(each, check['step'])}; {each['tried']} of {each['eligible']} starts"
        )
    return lines


def _recommendation_lines(recommendation: Object) -> list[str]:
    now, then = recommendation["now"], recommendation["then"]
    if now is None:
        return []  # said with the alarms
    if then is None:
        return [f"  recommended as it is: {recommendation['why']}"]
    change = (
        f"{rate_text(now['alarms_per_month'])} -> {rate_text(then['alarms_per_month'])} a month"
    )
    if then["detected"] is not None:
        change += f", {percent_text(now['detected'])} -> {percent_text(then['detected'])} detected"
    hint = "an alarm that was right is none by chance: name its days, `rampart periods add`"
    is_milder = then["alarms_per_month"] < now["alarms_per_month"]
    lines = [f"  recommended {then['threshold']}: {recommendation['why']} ({change})"]
    lines += [f"    {hint}"] if is_milder else []
    if recommendation["diff"]:
        lines += [f"    {line}" for line in recommendation["diff"].splitlines()]
    else:
        lines.append("    its threshold stands in no line that could be shown as a diff")
    return lines


def _names(what: str, names: Iterable[str]) -> list[str]:
    names = list(names)
    if not names:
        return []
    more = f" and {len(names) - 6} more; --json has them all" if len(names) > 7 else ""
    shown = ", ".join(names[:6] if more else names)
    return [f"{what}  {_count(len(names), 'check')}: {shown}{more}"]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _whole(value: float | None) -> float | None:
    return None if value is None else round(value)
