"""One root cause, one incident: which red checks belong together, along the lineage.

Checks that turn red together are taken in the order in which causes come before consequences: a
failed job, a file that did not come, a model, rejected rows, broken rules; among equals the one
furthest upstream. Each joins the first cause that explains it: one that can bring such trouble
about (topics.EXPLAINS) and that stands at the same place or upstream. Who finds none is a cause.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from monitors.alert.places import Places
from monitors.alert.topics import (
    ABSENCE,
    EXPLAINS,
    LASTING,
    OF_ONE_FEED,
    Topic,
    severity_of,
    topic_of,
    urgency,
)
from monitors.results import CheckResult, Severity, Status
from monitors.store.incidents import Incident

SAME_RANK = {Topic.QUARANTINE, Topic.VOLUME, Topic.FRESHNESS, Topic.RULE, Topic.SCD}


@dataclass(slots=True)
class Group:
    """A cause among the checks that turned red together, and what it explains."""

    lead: CheckResult
    topic: Topic
    place: str
    members: list[CheckResult] = field(default_factory=list)

    @property
    def severity(self) -> Severity:
        return min((severity_of(each) for each in self.members), key=urgency)


@dataclass(frozen=True, slots=True)
class Grouped:
    """New causes, and checks that an incident known before explains."""

    groups: tuple[Group, ...]
    joining: tuple[tuple[Incident, CheckResult], ...]


def group(red: Iterable[CheckResult], places: Places, active: Sequence[Incident]) -> Grouped:
    """Every red check once: in a new group, or joining an active incident."""
    groups: list[Group] = []
    joining: list[tuple[Incident, CheckResult]] = []
    for result in sorted(red, key=lambda each: _order(each, places)):
        topic, place = topic_of(result), places.of(result)
        known = next((each for each in active if _goes_on(each, topic, place, places)), None)
        if known is not None:
            joining.append((known, result))
            continue
        found = next(
            (each for each in groups if _explains(each, result, topic, place, places)), None
        )
        if found is None:
            found = Group(result, topic, place)
            groups.append(found)
        found.members.append(result)
    return Grouped(tuple(groups), tuple(joining))


def _order(result: CheckResult, places: Places) -> tuple[int, int, int, int, str]:
    topic = topic_of(result)
    rank = min(each.rank for each in SAME_RANK) if topic in SAME_RANK else topic.rank
    return (
        rank,
        places.depth(places.of(result)),
        topic.rank,
        urgency(result.severity),
        result.check_id,
    )


def _explains(cause: Group, result: CheckResult, topic: Topic, place: str, places: Places) -> bool:
    if topic not in EXPLAINS[cause.topic]:
        return False
    if cause.topic in OF_ONE_FEED and places.is_about_another_feed(result, cause.lead):
        return False
    if places.is_below(place, cause.place):
        return True
    if cause.topic is Topic.CONSERVATION and topic in ABSENCE:
        return True  # it does not say where; what is old, few or empty in the same run does
    # without a place in common: what fails with the same words, or is silent together
    if cause.topic is Topic.ERROR and result.status is Status.ERROR:
        return same_words(cause.lead.message, result.message)
    return cause.topic is topic is Topic.MISSING and _silence(cause.lead) == _silence(result)


def _goes_on(incident: Incident, topic: Topic, place: str, places: Places) -> bool:
    """Whether a cause that is known already explains what turned red in a later run."""
    cause = Topic(incident.topic)
    if topic not in EXPLAINS[cause]:
        return False
    if cause in LASTING:
        return places.is_below(place, incident.place)
    return cause is topic and topic is not Topic.RULE and place == incident.place


def _silence(result: CheckResult) -> str:
    """What is silent together: all that dbt did not say, all that has nothing to measure."""
    if result.suite_name == "dbt":
        return "dbt"
    return _words(result.message.partition(" has no value")[2] or result.message)


def same_words(one: str, other: str) -> bool:
    """The same message, whatever numbers and names in quotes stand in it."""
    return _words(one) == _words(other)


def _words(message: str) -> str:
    return re.sub(r"\"[^\"]*\"|'[^']*'|`[^`]*`|\S+:\d+|\d+", "#", message)
