"""What a proposal is made from and what it is made of; names as SQL wants them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from monitors.scan.propose_columns import Clock, Roles
from monitors.scan.propose_marts import Mart
from monitors.warehouse.tables import Days, Measured, Table, Versions

PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_RESERVED = frozenset(
    (  # noqa: SIM905
        "all analyse analyze and any array as asc both case cast check collate column constraint"
        " create current_date current_time current_timestamp current_user default deferrable desc"
        " distinct do else end except false fetch for foreign from grant group having in initially"
        " intersect into lateral leading limit localtime localtimestamp not null offset on only or"
        " order placing primary references returning select session_user some symmetric table then"
        " to trailing true union unique user using variadic when where window with"
    ).split()
)


@dataclass(frozen=True, slots=True)
class Check:
    """One check of SodaCL. `active`: false for a suggestion; `notes`: comments above it."""

    text: str
    identity: str
    name: str
    attributes: dict[str, Any]
    query: str | None = None
    dataset: str | None = None
    """When it reads another dataset than the mart."""
    active: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VolumeEntry:
    """One entry of `volumes:` in rampart.yml."""

    dataset: str
    time: str
    every: str
    lateness: str
    active: bool
    notes: tuple[str, ...] = ()
    segments: tuple[tuple[str, int], ...] = ()
    """Columns to split by, and how many values each has."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a mart's table when its checks are proposed; `now` is the clock, in UTC."""

    mart: Mart
    table: Table
    roles: Roles
    now: datetime
    measured: Measured | None = None
    distinct: dict[str, int] = field(default_factory=dict)
    clock: Clock | None = None
    days: Days | None = None
    key_of_versions: tuple[str, ...] = ()
    versions: Versions | None = None
    unmeasured: str | None = None
    """Why something could not be measured."""


@dataclass(frozen=True, slots=True)
class MartProposal:
    """What is proposed for a mart, and in plain words what was guessed and what to look at."""

    mart: Mart
    suite: str
    checks: tuple[Check, ...]
    tested_by_dbt: tuple[str, ...]
    volume: VolumeEntry | None
    guesses: tuple[str, ...]
    look_at: tuple[str, ...]


def quoted(name: str) -> str:
    """An identifier as SQL wants it; words that Postgres reserves get quotes, too."""
    if PLAIN.fullmatch(name) and name not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def relation(mart: Mart) -> str:
    return f"{quoted(mart.schema)}.{quoted(mart.table)}"


def slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "column"


def counted(count: int, noun: str) -> str:
    """1 row, 1,240 rows."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
