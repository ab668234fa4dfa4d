"""What a run's verdicts do to states, flips and incidents: pure, the store commits it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from monitors.alert.flips import Observed, is_written, observe
from monitors.alert.grouping import Group, group
from monitors.alert.places import Places
from monitors.alert.topics import kind_of, most_urgent, severity_of, topic_of
from monitors.config_alerts import Flapping
from monitors.owners import stated
from monitors.results import CheckResult, Severity, Status
from monitors.store.incidents import Change, CheckKey, CheckState, Decision, Incident, Known


@dataclass(frozen=True, slots=True)
class Decider:
    """Decides about the verdicts of one run; `places` is only asked for when something is red."""

    results: Collection[CheckResult]
    rule: Flapping
    moment: datetime
    run_id: str
    places: Callable[[], Places]

    def __call__(self, known: Known) -> Decision:
        observed: list[tuple[CheckResult, Observed]] = []
        states = dict(known.states)
        for result in self.results:
            key = key_of(result)
            if key in known.steady and not result.status.is_red:
                continue
            before = states.get(key) or _steady(result, known.steady.get(key), self)
            seen = observe(before, result, self.rule, self.moment, self.run_id)
            if seen is not None:
                states[seen.state.key] = seen.state
                observed.append((result, seen))
        flips = [seen.flip for _, seen in observed if seen.flip is not None]
        changed = tuple(
            seen.state
            for _, seen in observed
            if is_written(known.states.get(seen.state.key), seen.state)
        )
        if not flips:
            return Decision(changed)
        turned_red = [
            result for result, seen in observed
            if seen.flip is not None and seen.flip.turned == "red" and not seen.worsened
        ]  # fmt: skip
        worse = [result for result, seen in observed if seen.worsened]
        green = {(f.check_id, f.segment) for f in flips if f.turned == "green"}
        changes = [
            *_turned_red(turned_red, known, self.places),
            *_worsened(worse, known),
            *_turned_green(green, known, {key_of(each) for each in turned_red}),
        ]
        return Decision(changed, tuple(flips), tuple(changes))


def _steady(result: CheckResult, status: str | None, decider: Decider) -> CheckState | None:
    """What a steady check was, as far as a flip asks; None when it was never heard."""
    if status is None:
        return None
    return CheckState(
        check_id=result.check_id,
        segment=result.segment or "",
        is_red=False,
        recent="g" * decider.rule.of,
        status=Status(status),
        severity=result.severity,
        layer=result.layer,
        dataset=result.dataset,
        message="",
        run_id=decider.run_id,
        data_timestamp=None,
        changed_at=decider.moment,
    )


def key_of(result: CheckResult) -> CheckKey:
    return result.check_id, result.segment or ""


# -------------------------------------------------------------------- red


def _turned_red(
    red: list[CheckResult], known: Known, places_of: Callable[[], Places]
) -> Iterable[Change]:
    if not red:
        return
    again, new = _back(red, known)
    for incident, results in again:
        if incident.is_active:
            yield from _join(incident, results)
        else:
            yield _reopen(incident, results)
    if not new:
        return
    places = places_of()
    # an incident that comes back in this run explains like one that never went
    active = [each for each in known.incidents if each.is_active]
    active += [incident for incident, _ in again if not incident.is_active]
    grouped = group(new, places, active)
    joining: dict[int, tuple[Incident, list[CheckResult]]] = {}
    for incident, result in grouped.joining:
        joining.setdefault(incident.incident_id, (incident, []))[1].append(result)
    for incident, results in joining.values():
        yield from _join(incident, results)
    for each in grouped.groups:
        yield _open(each, places)


def _back(
    red: list[CheckResult], known: Known
) -> tuple[list[tuple[Incident, list[CheckResult]]], list[CheckResult]]:
    """Checks of an incident that is active, or was resolved not long ago; and all others."""
    owner: dict[CheckKey, Incident] = {}
    for incident in sorted(known.incidents, key=lambda each: (each.is_active, each.incident_id)):
        owner.update(dict.fromkeys((*incident.red, *incident.recovered), incident))
    back: dict[int, tuple[Incident, list[CheckResult]]] = {}
    new = []
    for result in red:
        incident_of = owner.get(key_of(result))
        if incident_of is None:
            new.append(result)
        else:
            back.setdefault(incident_of.incident_id, (incident_of, []))[1].append(result)
    return list(back.values()), new


def _open(each: Group, places: Places) -> Change:
    lead = each.lead
    owner = stated(lead.attributes)
    return Change(
        event="opened",
        incident_id=None,
        kind=kind_of(lead),
        severity=each.severity,
        topic=each.topic.value,
        place=each.place,
        feed=places.feed_of(lead),
        dataset=lead.dataset,
        layer=lead.layer,
        owner=owner.name if owner else None,
        lead=key_of(lead),
        title=f"{lead.check_id}: {lead.message}",
        red=tuple(each.members),
        why=_count(each.members),
    )


def _join(incident: Incident, results: list[CheckResult]) -> Iterable[Change]:
    severity = most_urgent(incident.severity, *(severity_of(each) for each in results))
    if severity is incident.severity:
        yield _change(incident, "joined", incident.severity, results, _ids(results))
    else:
        why = f"{incident.severity.value} before; {_ids(results)}"
        yield _change(incident, "worsened", severity, results, why)


def _reopen(incident: Incident, results: list[CheckResult]) -> Change:
    severity = most_urgent(incident.severity, *(severity_of(each) for each in results))
    return _change(incident, "reopened", severity, results, f"{_ids(results)} red again")


def _worsened(worse: list[CheckResult], known: Known) -> Iterable[Change]:
    """A check that is red already and more severe now."""
    for incident in (each for each in known.incidents if each.is_active):
        mine = [each for each in worse if key_of(each) in incident.red]
        severity = most_urgent(incident.severity, *(severity_of(each) for each in mine))
        if mine and severity is not incident.severity:
            why = f"{incident.severity.value} before; {_ids(mine)}"
            yield _change(incident, "worsened", severity, mine, why)


# -------------------------------------------------------------------- green


def _turned_green(
    green: set[CheckKey], known: Known, turned_red: set[CheckKey]
) -> Iterable[Change]:
    for incident in (each for each in known.incidents if each.is_active):
        recovered = tuple(key for key in incident.red if key in green)
        if not recovered:
            continue
        back = set(incident.recovered) & turned_red
        over = len(recovered) == len(incident.red) and not back
        names = ", ".join(sorted({check_id for check_id, _ in recovered})[:5])
        yield Change(
            event="resolved" if over else "recovered",
            incident_id=incident.incident_id,
            kind=incident.kind,
            severity=incident.severity,
            topic=incident.topic,
            place=incident.place,
            feed=incident.feed,
            dataset=incident.dataset,
            layer=incident.layer,
            owner=incident.owner,
            lead=(incident.lead_check_id, incident.lead_segment),
            title=incident.title,
            recovered=recovered,
            why=f"all {len(incident.red) + len(incident.recovered)} of its checks hold again"
            if over and len(incident.red) + len(incident.recovered) > 1
            else f"{names} holds again",
        )


# -------------------------------------------------------------------- the pieces


def _change(
    incident: Incident, event: str, severity: Severity, results: list[CheckResult], why: str
) -> Change:
    return Change(
        event=event,  # type: ignore[arg-type]
        incident_id=incident.incident_id,
        kind=incident.kind,
        severity=severity,
        topic=incident.topic,
        place=incident.place,
        feed=incident.feed,
        dataset=incident.dataset,
        layer=incident.layer,
        owner=incident.owner,
        lead=(incident.lead_check_id, incident.lead_segment),
        title=incident.title,
        red=tuple(results),
        why=why,
    )


def _ids(results: list[CheckResult]) -> str:
    names = sorted({each.check_id for each in results})
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _count(results: list[CheckResult]) -> str:
    topics = sorted({topic_of(each).value for each in results})
    said = "1 check" if len(results) == 1 else f"{len(results):,} checks"
    return f"{said} red ({', '.join(topics)})"
