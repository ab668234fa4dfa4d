"""The same as JSON: what a page shows, for machines. Keys are a contract; times are UTC."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime, timezone
from enum import Enum
from typing import Any

from monitors.owners import Owner
from monitors.show.page_state import DatasetRow
from monitors.show.page_views import CheckRow, DatasetView, Facts, IncidentView
from monitors.store.incidents import Incident
from monitors.store.pages import WORDS


def status(facts: Facts) -> dict[str, Any]:
    """The answer, and what it is made of."""
    last = facts.scans[0] if facts.scans else None
    return {
        "environment": facts.environment,
        "at": facts.now,
        "state": facts.answer.state,
        "headline": facts.answer.headline,
        "lines": [line.text for line in facts.answer.lines],
        "in_doubt": [row.name for row in facts.answer.in_doubt],
        "checks": facts.counts,
        "scores": facts.scores,
        "datasets": len(facts.rows),
        "open_incidents": len(facts.active_incidents),
        "last_scan": last,
    }


def datasets(facts: Facts, rows: Sequence[DatasetRow]) -> list[dict[str, Any]]:
    return [_dataset_row(row) for row in rows]


def dataset(facts: Facts, view: DatasetView) -> dict[str, Any]:
    return {
        **_dataset_row(view.row),
        "feeds": view.feeds,
        "checks_of_it": [_check(row) for row in view.checks],
        "checks_about_it": [_check(row) for row in view.related],
        "volumes": [
            {**asdict(each.verdict), "every": each.every, "latest": each.latest}
            for each in view.volumes
        ],
        "known_bad_periods": view.periods,
        "quarantine": [
            {
                "feed": each.feed,
                "limit": each.limit,
                "rates": each.rates,
                "reasons": [
                    {
                        **asdict(row.reason),
                        "per_day": {str(day): rows for day, rows in row.reason.per_day.items()},
                    }
                    for row in each.reasons
                ],
                "is_unread": each.is_unread,
            }
            for each in view.quarantine
        ],
        "scd2_integrity": view.integrity,
        "incidents": [incident_row(facts, each) for each in view.incidents],
        "feed_runs": view.feed_runs,
    }


def incident(facts: Facts, view: IncidentView) -> dict[str, Any]:
    return {
        **incident_row(facts, view.incident),
        "checks": view.checks,
        "events": view.events,
        "message": view.message,
    }


def incident_row(facts: Facts, each: Incident) -> dict[str, Any]:
    names = (
        "incident_id", "kind", "severity", "state", "title", "feed", "dataset", "layer",
        "lead_check_id", "opened_at", "changed_at", "snoozed_until", "resolved_at", "resolved_by",
    )  # fmt: skip
    return {name: getattr(each, name) for name in names} | _owner(facts.owner_of(each))


def muted(facts: Facts) -> list[dict[str, Any]]:
    return [{**asdict(each.mute), "status": each.word or None} for each in facts.muted]


def as_bytes(value: Any) -> bytes:
    """UTF-8 JSON with a line end."""
    return (json.dumps(value, default=_plain, ensure_ascii=False, indent=1) + "\n").encode()


def _dataset_row(row: DatasetRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "status": row.word,
        "layer": row.layer,
        **_owner(row.owner),
        "checks": row.counts,
        "note": row.note or None,
        "judged_at": row.judged_at,
        "since": row.since,
        "scans": [None if rank is None else WORDS[rank] for rank in row.ranks],
    }


def _owner(owner: Owner | None) -> dict[str, Any]:
    return {
        "owner": owner.name if owner else None,
        "owner_is_reader": owner.is_reader if owner else None,
    }


def _check(row: CheckRow) -> dict[str, Any]:
    history = row.history
    return {
        **asdict(row.check),
        "shown_as": row.word,
        "muted_until": row.mute.muted_until if row.mute else None,
        "history": None
        if history is None
        else [
            {"at": moment, "value": value, "min": low, "max": high, "status": WORDS[rank]}
            for moment, value, low, high, rank in zip(
                history.moments, history.values, history.lows, history.highs, history.ranks,
                strict=True,
            )
        ],
    }  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat()
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (tuple, set)):
        return list(value)
    return str(value)
