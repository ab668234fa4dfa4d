"""The claims of SCD2 on a dimension that was never seen, as queries that count what breaks them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from monitors.scan.propose_columns import History
from monitors.scan.propose_facts import Facts, quoted, relation
from monitors.warehouse.tables import FAR_AWAY

INCLUSIVE_STEPS = (86400, 60, 1, 0.001, 0.000001)
"""Seconds from the end of a version to the next beginning, where an end is its last moment."""


def version_checks(facts: Facts, history: History, key: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The four claims of SCD2, as queries that count what breaks them."""
    table = relation(facts.mart)
    keys = ", ".join(map(quoted, key))
    begin, end = quoted(history.valid_from), quoted(history.valid_to)
    forever = facts.versions is not None and facts.versions.ends_for_ever
    is_open = f"({end} is null or {end} >= '{FAR_AWAY}')" if forever else f"{end} is null"
    current = quoted(history.is_current) if history.is_current else is_open
    chain = (
        f"    select\n        {end} as ends,\n        lead({begin}) over (partition by {keys}"
        f" order by {begin}) as next_begins\n    from {table}\n"
    )
    names = " and ".join(key)
    rebuild = f"then `rampart build --select {facts.mart.model}`"
    yield {
        "text": "keys_with_several_current = 0",
        "short": "one_current_version",
        "name": f"one current version per {names}",
        "query": f"select count(*) from (\n    select {keys}\n    from {table}\n"
        f"    where {current}\n    group by {keys}\n    having count(*) > 1\n) as several",
        "label": "keys",
        "matters": "Every join to the current version counts these more than once.",
        "do": f"select {keys}, count(*) from {table} where {current} group by {keys}"
        f" having count(*) > 1; {rebuild}.",
    }
    yield {
        "text": "versions_overlapping = 0",
        "short": "no_overlap",
        "name": "no version is still valid when the next one begins",
        "query": f"select count(*) from (\n{chain}) as versions\n"
        "where next_begins is not null and (ends is null or ends > next_begins)",
        "label": "versions",
        "matters": "A question about a moment finds two versions.",
        "do": f"select * from {table} order by {keys}, {begin}; {rebuild}.",
    }
    step = (facts.versions.usual_step if facts.versions else None) or 0
    inclusive = step in INCLUSIVE_STEPS
    reach = f"ends + interval '{step:g} seconds'" if inclusive else "ends"
    gaps = facts.versions.gaps if facts.versions else 0
    notes = (f"an end is the last moment of a version: {step:g} s before the next",) * inclusive
    some = gaps > 0 and not inclusive
    if some:
        notes += (f"today: {gaps:,} gaps; they are right where something comes back after a while",)
    yield {
        "text": "versions_with_gap = 0",
        "short": "no_gap",
        "name": "each version begins when the one before it ends",
        "query": f"select count(*) from (\n{chain}) as versions\nwhere {reach} < next_begins",
        "label": "versions",
        "severity": "medium",
        "matters": "A question about a moment in between finds no version.",
        "do": f"select * from {table} order by {keys}, {begin}; {rebuild}.",
        "active": not some,
        "notes": notes,
    }
    yield {
        "text": "versions_turned = 0",
        "short": "valid_from_before_valid_to",
        "name": f"{history.valid_from} lies before {history.valid_to}",
        "query": f"select count(*) from {table}\nwhere {end} {'<' if inclusive else '<='} {begin}",
        "label": "versions",
        "matters": "A version that ends before it begins is valid at no moment.",
        "do": f"select * from {table} where {end} <= {begin}; {rebuild}.",
    }
