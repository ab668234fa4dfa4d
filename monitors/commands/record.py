"""Verdicts, flips, incidents and alerts, written in one commit: the one place where they meet.

The store writes the verdicts, holds the state lock and asks alert/ to decide; what was decided gets
its text here, and a row in the outbox for every channel that takes it. Nothing is sent: that is for
`send_due`, after the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache

from monitors import log as logs
from monitors.alert.explain import About, explain, over
from monitors.alert.incidents import Decider, key_of
from monitors.alert.message import Message
from monitors.alert.places import Places
from monitors.alert.routing import deliveries_for
from monitors.alert.topics import JOBS
from monitors.commands.evidence import Investigation, places_of
from monitors.commands.runner import Runner
from monitors.lineage import Lineage
from monitors.owners import stated
from monitors.results import Category, CheckResult, Layer, Severity, Status
from monitors.store.incidents import Changed, Incidents
from monitors.store.outbox import NewAlert, Outbox
from monitors.store.postgres import Store

log = logs.get_logger("Alerts")

TOLD = ("opened", "worsened", "reopened", "resolved")


def record_results(
    runner: Runner, store: Store, results: Sequence[CheckResult], executed_at: datetime
) -> None:
    """Append verdicts and what follows from them; commits. Nothing of it, or all of it."""
    places = cache(lambda: places_of(runner))
    results = with_owners(results, lambda: places().lineage)
    store.add_results(results, executed_at)
    raise_alerts(runner, store, results, places)
    store.connection.commit()


def with_owners(
    results: Sequence[CheckResult], lineage: Callable[[], Lineage]
) -> list[CheckResult]:
    """The same results; one that names no owner gets that of its dataset, where dbt knows it."""

    def owned(result: CheckResult) -> CheckResult:
        if stated(result.attributes) or not (owner := lineage().owner_of_relation(result.dataset)):
            return result
        return replace(result, attributes={**result.attributes, **owner.attributes})

    return [owned(each) for each in results]


def raise_alerts(
    runner: Runner, store: Store, results: Collection[CheckResult], places: Callable[[], Places]
) -> None:
    """Flips, incidents and outbox rows of these verdicts, in the caller's transaction."""
    if not results:
        return
    now = runner.now()
    settings = runner.config.alerts
    incidents = Incidents(store.connection, runner.config.environment, runner.run_id)
    decider = Decider(results, settings.flapping, now, runner.run_id, places)
    changed = incidents.change(
        results,
        now,
        decider,
        steady="g" * settings.flapping.of,
        since=now - settings.reopen_within,
    )
    told = [each for each in changed if each.change.event in TOLD]
    if not told:
        return
    with Investigation(runner, places(), results).open() as investigation:
        for each in told:
            message = _message(runner, incidents, investigation, each, now)
            enqueue(runner, store, message, each.event_id, now)


def enqueue(runner: Runner, store: Store, message: Message, event_id: int, now: datetime) -> int:
    """A row for every channel that takes the message, in the caller's transaction; how many."""
    due = deliveries_for(message, runner.config.channels, now)
    alerts = []
    for each in due:
        if message.dataset == channel_dataset(each.channel):
            continue  # that it does not work is for the others to tell
        key = f"{message.key}-event-{event_id}-{each.channel}"
        text = message.for_key(key).as_json()
        alerts.append(
            NewAlert(
                key, message.incident_id, message.event, each.channel, text, each.due_at,
                each.as_digest,
            )
        )  # fmt: skip
    Outbox(store.connection, runner.config.environment).add(alerts, now)
    return len(alerts)


def _message(
    runner: Runner,
    incidents: Incidents,
    investigation: Investigation,
    each: Changed,
    now: datetime,
) -> Message:
    change = each.change
    about = About(
        each.incident_id,
        runner.config.environment,
        runner.run_id,
        runner.config.alerts.runbook_url,
    )
    incident = incidents.get(each.incident_id)
    assert incident is not None  # noqa: S101 - it was written a moment ago, under the lock
    if change.event == "resolved":
        return over(incident, about, "rampart", change.why, now)
    known = {key_of(result): result for result in (*investigation.results, *change.red)}
    # the check that led it may not be among the verdicts of this run
    lead = known.get(change.lead) or change.red[0]
    message = explain(change, about, lead, investigation.facts(change, lead, now), now)
    incidents.describe(each.incident_id, message.title, message.as_json())
    log.info(
        "incident changed",
        incident_event=change.event,
        incident_id=each.incident_id,
        kind=change.kind,
        severity=change.severity.value,
        title=message.title,
    )
    return message


# -------------------------------------------------------------------- jobs


def channel_dataset(name: str) -> str:
    """What stands for the dataset of an incident about a channel."""
    return f"channel {name}"


def job_result(
    check_id: str,
    name: str,
    why: str | None,
    *,
    dataset: str = "rampart",
    layer: Layer = Layer.BRONZE,
    severity: Severity = Severity.HIGH,
    owner: str | None = None,
) -> CheckResult:
    """The verdict on a job: it failed because of `why`, or did what it should."""
    return CheckResult(
        check_id=check_id,
        check_name=name,
        suite_name=JOBS,
        dataset=dataset,
        status=Status.PASS if why is None else Status.FAIL,
        layer=layer,
        category=Category.INFRASTRUCTURE,
        severity=severity,
        message=" ".join((why or "done").split()),
        attributes={"owner": owner} if owner else {},
    )


def record_jobs(runner: Runner, store: Store, jobs: Sequence[CheckResult]) -> None:
    """Failed jobs, and those that work again; one that works as before leaves no verdict."""
    incidents = Incidents(store.connection, runner.config.environment, runner.run_id)
    red = incidents.red_check_ids(each.check_id for each in jobs)
    said = [each for each in jobs if each.is_failed or each.check_id in red]
    if said:
        record_results(runner, store, said, runner.now())
