"""When a verdict is a change: red or green, held against what the check was before, and damped.

A check turns red when `red` of its last `of` verdicts are red. It turns green again when they are
fewer, and the last `red` of them are all green: what comes and goes is one alert, not many. Every
verdict is counted; only telling is damped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from monitors.alert.topics import urgency
from monitors.config_alerts import Flapping
from monitors.results import CheckResult
from monitors.store.incidents import CheckState, Flip


@dataclass(frozen=True, slots=True)
class Observed:
    """What one verdict does: the state after it, and the flip, if it is one."""

    state: CheckState
    flip: Flip | None = None
    worsened: bool = False
    """Red before and after, and more severe now."""


def observe(
    before: CheckState | None,
    result: CheckResult,
    rule: Flapping,
    moment: datetime,
    run_id: str,
) -> Observed | None:
    """None when the verdict says nothing: blocked by a parent, red but muted, or heard before."""
    if says_nothing(result) or _was_heard(before, result):
        return None
    recent = ((before.recent if before else "") + ("r" if result.is_red else "g"))[-rule.of :]
    was_red = before is not None and before.is_red
    is_red = _turns(was_red, recent, rule)
    turned = is_red != was_red
    worsened = (
        before is not None
        and was_red
        and is_red
        and result.is_red
        and urgency(result.severity) < urgency(before.severity)
    )
    state = CheckState(
        check_id=result.check_id,
        segment=result.segment or "",
        is_red=is_red,
        recent=recent,
        status=result.status,
        severity=result.severity,
        layer=result.layer,
        dataset=result.dataset,
        message=result.message,
        run_id=run_id,
        data_timestamp=result.data_timestamp,
        changed_at=moment if turned or before is None else before.changed_at,
    )
    flip = None
    if turned or worsened:
        flip = Flip(
            check_id=result.check_id,
            segment=state.segment,
            turned="red" if is_red else "green",
            old_status=before.status.value if before else None,
            new_status=result.status.value,
            reason=_reason(recent, rule, result, before) if turned else _worse(before, result),
        )
    return Observed(state, flip, worsened)


def is_written(before: CheckState | None, after: CheckState) -> bool:
    """Whether the state is worth a row: what stays as it was is not."""
    if before is None:
        return True
    same = replace(
        after, run_id=before.run_id, message=before.message, data_timestamp=before.data_timestamp
    )
    if not after.is_red:
        same = replace(same, status=before.status, severity=before.severity)
    return same != before


def says_nothing(result: CheckResult) -> bool:
    """Counted elsewhere, or not to be heard: neither red nor green."""
    return result.blocked_by is not None or (result.status.is_red and is_muted(result))


def is_muted(result: CheckResult) -> bool:
    return bool(getattr(result, "muted", False))


def _was_heard(before: CheckState | None, result: CheckResult) -> bool:
    """dbt's results stay where they are until the next build: a scan may read them twice."""
    return (
        before is not None
        and result.suite_name == "dbt"
        and result.data_timestamp is not None
        and result.data_timestamp == before.data_timestamp
        and result.status is before.status
    )


def _turns(was_red: bool, recent: str, rule: Flapping) -> bool:
    if recent.count("r") >= rule.red:
        return True
    settled = recent[-rule.red :] == "g" * rule.red
    return was_red and not settled


def _reason(recent: str, rule: Flapping, result: CheckResult, before: CheckState | None) -> str:
    said = result.message if result.is_red else f"{result.status.value}: {result.message}"
    if rule.of == 1:
        return said
    return f"{recent.count('r')} of the last {len(recent)} red; {said}"


def _worse(before: CheckState | None, result: CheckResult) -> str:
    was = before.severity.value if before else "green"
    return f"severity rose from {was} to {result.severity.value}: {result.message}"
