"""The text of an incident, built once: what a person needs, the five most important lines first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from monitors.alert.advice import DO, DO_ELSE, LIKELY, MATTERS, MATTERS_ELSE, STEPS
from monitors.alert.facts import Facts, Finding
from monitors.alert.lines import rows_text
from monitors.alert.message import Event, Fact, Link, Message, Section, Table, moment_text
from monitors.alert.topics import JOBS, Topic, topic_of
from monitors.results import CheckResult
from monitors.store.incidents import Change, Incident

SHOWN = 10
"""How many reasons, changes, checks and exposures are named; the rest is counted."""
CELL = 100
"""How much of a sample's value is shown."""


@dataclass(frozen=True, slots=True)
class About:
    """Which incident, and where its text is read."""

    incident_id: int
    environment: str
    run_id: str
    runbook_url: str | None = None


def explain(change: Change, about: About, lead: CheckResult, facts: Facts, at: datetime) -> Message:
    """The message of an event that speaks of what is broken; `lead` is the check that leads it."""
    topic = topic_of(lead)
    words = _words(change, about, lead)
    cause = likeliest(topic, facts.findings)
    title = _title(lead, cause)
    if change.event in ("worsened", "reopened") and change.title:
        title = change.title
    attributes = lead.attributes
    do = str(attributes.get("do") or DO.get(topic, DO_ELSE).format_map(words))
    matters = str(attributes.get("matters") or MATTERS.get(topic, MATTERS_ELSE).format_map(words))
    what = f"{_title(lead, cause)} [{lead.status.value}, {change.severity.value}]"
    if change.event == "worsened":
        what = f"worse: {change.why}; {what}"
    return Message(
        key=f"incident-{about.incident_id}",
        event=_told(change.event),
        incident_id=about.incident_id,
        kind=change.kind,
        severity=change.severity,
        title=title,
        lead=(
            Fact("what", _one_line(what)),
            Fact("since", _since(facts, about)),
            Fact("rows", rows_text(lead) or "not counted by this check"),
            Fact("why", _one_line(matters)),
            Fact("do", _one_line(do)),
        ),
        sections=tuple(_sections(change, lead, facts, words)),
        links=tuple(_links(about, lead)),
        at=at,
        environment=about.environment,
        dataset=change.dataset,
        owner=change.owner,
        layer=change.layer.value,
    )


def over(incident: Incident, about: About, by: str, why: str, at: datetime) -> Message:
    """The message that it is over."""
    checks = len(incident.red) + len(incident.recovered)
    return Message(
        key=f"incident-{about.incident_id}",
        event="resolved",
        incident_id=about.incident_id,
        kind=incident.kind,
        severity=incident.severity,
        title=incident.title,
        lead=(
            Fact("what", _one_line(f"over: {incident.title}")),
            Fact("since", f"{moment_text(incident.opened_at)}, run {incident.opened_run_id}"),
            Fact("took", _duration((at - incident.opened_at).total_seconds())),
            Fact("why", _one_line(f"resolved by {by}: {why or 'its checks hold again'}")),
            Fact("do", f"nothing; {_counted(checks, 'check')} of it are watched as before"),
        ),
        at=at,
        environment=about.environment,
        dataset=incident.dataset,
        owner=incident.owner,
        layer=incident.layer.value,
    )


def still_there(incident: Incident, message: Message, at: datetime) -> Message:
    """The message that a snooze has ended: what was said, and that it still is so."""
    what = Fact("what", _one_line(f"snooze over, still broken: {incident.title}"))
    return Message(
        key=message.key,
        event="snooze_ended",
        incident_id=incident.incident_id,
        kind=incident.kind,
        severity=incident.severity,
        title=incident.title,
        lead=(what, *(fact for fact in message.lead if fact.label != "what")),
        sections=message.sections,
        links=message.links,
        at=at,
        environment=message.environment,
        dataset=incident.dataset,
        owner=incident.owner,
        layer=incident.layer.value,
    )


def likeliest(topic: Topic, findings: Sequence[Finding]) -> Finding | None:
    """The cause to name first: the likeliest sort for this topic that was found."""
    for cause in LIKELY[topic]:
        found = next((each for each in findings if each.cause is cause), None)
        if found is not None:
            return found
    return None


# -------------------------------------------------------------------- the five lines


def _title(lead: CheckResult, cause: Finding | None) -> str:
    said = lead.message.removeprefix("not evaluated: ")
    own = lead.dataset.startswith("monitoring.") or lead.suite_name == JOBS
    named = own or lead.dataset in f"{lead.check_id} {said}"
    on = "" if named else f" on {lead.dataset}"
    because = f"; {cause.text}" if cause and cause.text not in said else ""
    return _one_line(f"{lead.check_id}{on}: {said}{because}")


def _since(facts: Facts, about: About) -> str:
    if facts.since is None:
        moment = f"run {about.run_id}"
    else:
        moment = f"{moment_text(facts.since[0])}, run {facts.since[1]}"
    if facts.last_green is None:
        return f"{moment}; it was never green before"
    return f"{moment}; last green {moment_text(facts.last_green[0])}"


# -------------------------------------------------------------------- what follows


def _sections(
    change: Change, lead: CheckResult, facts: Facts, words: Mapping[str, str]
) -> list[Section]:
    found = []
    if facts.reasons:
        found.append(Section("Top reasons", items=_named([each.text for each in facts.reasons])))
    if facts.samples or facts.samples_note:
        table = _table(facts.samples) if facts.samples else None
        found.append(Section("Sample rows", text=facts.samples_note, table=table))
    since = "since the last green run" if facts.last_green else "lately"
    changed = _named([each.text for each in facts.changes])
    nothing = "" if changed else f"Nothing that Rampart knows of changed {since}."
    found.append(Section(f"What changed {since}", text=nothing, items=changed))
    if facts.also_red or facts.blocked:
        items = [f"{each.check_id}: {each.message}" for each in facts.also_red]
        if facts.blocked:
            items.append(f"{_counted(facts.blocked, 'model or test', 'models and tests')} skipped")
        found.append(Section("Explained by the same cause", items=_named(items)))
    readers = [
        f"{each.name} ({each.kind})" + (f", {each.owner}" if each.owner else "")
        for each in facts.downstream
    ]
    nobody = "" if readers else "No exposure in the dbt project names who reads it."
    found.append(Section("Downstream", text=nobody, items=_named(readers)))
    if facts.statement:
        found.append(Section("Look at it", statement=facts.statement))
    topic = topic_of(lead)
    actions = (
        DO.get(topic, DO_ELSE).format_map(words),
        f"`rampart incidents ack {words['incident_id']}` when you are on it,"
        f" `rampart incidents snooze {words['incident_id']} --for '4 hours'` when it can wait",
    )
    found.append(Section("Recommended actions", items=actions))
    steps = tuple(step.format_map(words) for step in STEPS.get(topic.value, STEPS[change.kind]))
    found.append(Section("Investigation", items=steps, numbered=True))
    if facts.unreadable:
        found.append(Section("Could not be looked at", items=_named(facts.unreadable)))
    return found


def _links(about: About, lead: CheckResult) -> list[Link]:
    links = []
    if about.runbook_url:
        section = "dbt" if lead.suite_name == "dbt" else lead.check_id
        links.append(Link("docs/checks.md", f"{about.runbook_url}#{section}"))
    own = str(lead.attributes.get("runbook") or "")
    if own.startswith(("https://", "http://")):
        links.append(Link("runbook", own))
    return links


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    return Table(columns, tuple(tuple(_cell(row.get(name)) for name in columns) for row in rows))


def _cell(value: Any) -> str:
    text = "null" if value is None else _one_line(str(value))
    return text if len(text) <= CELL else f"{text[:CELL]}..."


def _named(lines: Sequence[str]) -> tuple[str, ...]:
    more = [f"and {len(lines) - SHOWN:,} more"] if len(lines) > SHOWN else []
    return (*(_one_line(line) for line in lines[:SHOWN]), *more)


def _words(change: Change, about: About, lead: CheckResult) -> dict[str, str]:
    """What advice may name."""
    return {
        "incident_id": str(about.incident_id),
        "run_id": about.run_id,
        "dataset": change.dataset,
        "name": change.dataset.rsplit(".", 1)[-1],
        "feed": change.feed or "FEED",
        "check_id": lead.check_id,
    }


def _told(event: str) -> Event:
    told: dict[str, Event] = {"worsened": "worsened", "reopened": "reopened"}
    return told.get(event, "opened")


def _duration(seconds: float) -> str:
    """`3 days 4 hours`, `12 minutes`."""
    minutes = int(seconds // 60)
    days, hours = divmod(minutes // 60, 24)
    parts = [(days, "day"), (hours, "hour"), (minutes % 60, "minute")]
    said = [_counted(number, word) for number, word in parts if number][:2]
    return " ".join(said) or "less than a minute"


def _counted(number: int, one: str, many: str | None = None) -> str:
    return f"1 {one}" if number == 1 else f"{number:,} {many or one + 's'}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
