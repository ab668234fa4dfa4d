"""The verdict on the admissions of a feed: red as long as a refused delivery has no answer."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TypedDict

from monitors.alert.lines import alert_line
from monitors.commands.runner import Runner
from monitors.config_feeds import Feed
from monitors.results import Category, CheckResult, Layer, Severity, Status
from monitors.scan.register import with_mutes
from monitors.store.history import History
from monitors.store.landing import LandingHistory, Refusal
from monitors.verdict import FeedLoad
from monitors.warehouse.connection import Connection


class Admission(TypedDict):
    """What a FeedLoad knows of the admissions of its feed."""

    open_refusals: tuple[Refusal, ...]
    admission: CheckResult


def admission_of(runner: Runner, connection: Connection, name: str) -> Admission:
    """Whether anything that a guard refused waits for a person, whenever it came."""
    refusals = LandingHistory(connection, name).open_refusals()
    mutes = History(connection, runner.config.environment).mutes(runner.now())
    (verdict,) = with_mutes([_verdict(name, runner.config.feed(name), refusals)], mutes)
    return Admission(open_refusals=refusals, admission=verdict)


def refusal_lines(each: FeedLoad) -> list[str]:
    """An alert line for each delivery that was refused now, or else one for those of before."""
    if each.admission is not None and each.admission.muted:
        return []
    now = [file.delivery for file in each.refused if file.delivery]
    said = [f"{new.name}: {new.why}; {_advice(each.feed, new.name)}" for new in now]
    if not now and each.admission is not None and each.admission.is_red:
        said = [each.admission.message]
    return [alert_line("delivery refused", f"{each.feed}: {why}") for why in said]


def _verdict(name: str, feed: Feed, refusals: Sequence[Refusal]) -> CheckResult:
    return CheckResult(
        check_id=f"arrival.{name}.admission",
        check_name=f"no delivery of {name} is refused",
        suite_name="arrival",
        dataset=feed.table,
        status=Status.FAIL if refusals else Status.PASS,
        layer=Layer.BRONZE,
        category=Category.INFRASTRUCTURE,
        severity=Severity.HIGH if feed.required else Severity.MEDIUM,
        metric_name="refused_deliveries",
        metric_value=len(refusals),
        expected_max=0,
        message=_message(name, refusals) if refusals else "nothing that was refused is open",
        attributes={
            "matters": "What was refused is in no mart, so the numbers lack it.",
            "do": _do(name, feed, refusals),
        },
    )


def _message(name: str, refusals: Sequence[Refusal]) -> str:
    """`1 delivery is refused since ...: a2.csv, by guard: dead letters: ...; what to do`."""
    newest = refusals[-1]
    count = "1 delivery is" if len(refusals) == 1 else f"{len(refusals)} deliveries are"
    which = newest.name if len(refusals) == 1 else f"the newest {newest.name}"
    since = f"{refusals[0].loaded_at:%Y-%m-%d %H:%M} UTC"
    return (
        f"{count} refused since {since}: {which}, by {newest.guard}: {newest.why};"
        f" {_advice(name, newest.name)}"
    )


def _do(name: str, feed: Feed, refusals: Sequence[Refusal]) -> str:
    is_full = feed.extract is not None and feed.extract.kind == "full"
    again = "a later full extract" if is_full else "a sound file under the same name"
    which = shlex.quote(refusals[-1].name) if refusals else "NAME"
    return (
        f"Ask the sender for {again}; if it is right as it is:"
        f" rampart deliveries let-through {name} {which} --why ..., then `rampart run`"
    )


def _advice(feed: str, name: str) -> str:
    return f"if it is right: rampart deliveries let-through {feed} {shlex.quote(name)} --why ..."
