"""What a digest says: everything that waited for it, by dataset, the most severe first."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from monitors.alert.message import Fact, Link, Message, Section, moment_text
from monitors.results import Severity

NOWHERE = "no dataset"
SHOWN = 10
"""How many links to incidents a digest carries."""


def digest_of(messages: Sequence[Message]) -> Message:
    """All of them as one message; its key and its text depend on nothing but them.

    Of one incident only the newest is told: one that was opened and resolved since the last
    digest is over. Raises ValueError when there are none.
    """
    if not messages:
        raise ValueError("a digest of nothing")
    told = sorted(_newest(messages), key=_order)
    key = hashlib.sha256("\n".join(sorted(message.key for message in messages)).encode())
    still_open = [message for message in told if message.event != "resolved"]
    worst = min((message.severity for message in still_open or told), key=_rank)
    newest = max(messages, key=lambda message: message.at)
    datasets = {message.dataset for message in told if message.dataset}
    return Message(
        key=f"digest-{key.hexdigest()[:32]}",
        event="digest",
        incident_id=None,
        kind="digest",
        severity=worst,
        title=_counted(len(told), "incident")
        + (f" in {_counted(len(datasets), 'dataset')}" if datasets else ""),
        lead=(
            Fact("what", _summary(told)),
            Fact("since", moment_text(min(message.at for message in told))),
            Fact("do", "rampart incidents list; rampart incidents show ID"),
        ),
        sections=tuple(_sections(told)),
        links=_links(told),
        at=newest.at,
        environment=newest.environment,
    )


def _newest(messages: Sequence[Message]) -> list[Message]:
    found: dict[object, Message] = {}
    for message in sorted(messages, key=lambda message: message.at):
        found[message.key if message.incident_id is None else message.incident_id] = message
    return list(found.values())


def _sections(told: Sequence[Message]) -> list[Section]:
    """One per dataset, in the order of the worst that each of them has."""
    worst: dict[str, tuple[bool, int]] = {}
    for message in told:
        worst.setdefault(message.dataset or NOWHERE, _order(message)[:2])
    by_dataset = sorted(
        told, key=lambda each: (worst[each.dataset or NOWHERE], each.dataset or NOWHERE)
    )
    return [
        Section(title=dataset, items=tuple(_line(message) for message in group))
        for dataset, group in groupby(by_dataset, key=lambda each: each.dataset or NOWHERE)
    ]


def _line(message: Message) -> str:
    said = "resolved" if message.event == "resolved" else message.severity.value.upper()
    number = "" if message.incident_id is None else f" (incident {message.incident_id})"
    do = next((fact.text for fact in message.lead if fact.label == "do"), "")
    what = f"{said}: {message.title}{number}"
    return what if message.event == "resolved" or not do else f"{what}\n{do}"


def _links(told: Sequence[Message]) -> tuple[Link, ...]:
    links = {link.url: link for message in told for link in message.links}
    return tuple(links.values())[:SHOWN]


def _summary(told: Sequence[Message]) -> str:
    """`2 medium, 1 low, 1 resolved`."""
    counts = Counter(
        "resolved" if each.event == "resolved" else each.severity.value for each in told
    )
    order = [*(severity.value for severity in Severity), "resolved"]
    return ", ".join(f"{counts[word]} {word}" for word in order if counts[word])


def _order(message: Message) -> tuple[bool, int, str, str]:
    """What is still open first, the most severe of it first."""
    return message.event == "resolved", _rank(message.severity), message.dataset or "", message.key


def _rank(severity: Severity) -> int:
    return list(Severity).index(severity)


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
