"""The composition of `rampart init`: read a project and its tables, propose, write what is new."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

import psycopg

from monitors import log as logs
from monitors.config import FILE_NAME, Config, load_config
from monitors.errors import ModelsError, UsageError
from monitors.scan.propose import propose, without_volume
from monitors.scan.propose_columns import natural_key, pick_clock, roles_of
from monitors.scan.propose_facts import Facts, MartProposal
from monitors.scan.propose_marts import Choice, Mart, choose_marts
from monitors.scan.propose_text import checks_text, configuration_text, volumes_lines
from monitors.warehouse import tables
from monitors.warehouse.connection import Connection, connect, resolve_target
from monitors.warehouse.manifest import parse_project
from monitors.warehouse.packages import ensure_packages
from monitors.warehouse.target import Target

log = logs.get_logger("Init")

CHECKS_FOLDER = "checks"
PROD_TARGETS = ("prod", "production", "prd", "live")
TIME_LIMIT = "60s"
"""So long may one measuring statement take; what takes longer is proposed without its figure."""

T = TypeVar("T")


class Tried(Protocol):
    """Runs a look into the database; None when the database refused it."""

    def __call__(self, look: Callable[[], T]) -> T | None: ...


@dataclass(frozen=True, slots=True)
class File:
    """A file that is proposed. `is_new`: false when one of that name was there already."""

    path: Path
    text: str
    is_new: bool
    proposal: MartProposal | None = None


@dataclass(frozen=True, slots=True)
class Proposed:
    """What `rampart init` proposes for a project."""

    root: Path
    target: Target
    files: tuple[File, ...]
    unbuilt: tuple[Mart, ...]
    left_out: dict[str, str]
    missing_volumes: tuple[str, ...]
    """Lines for an existing rampart.yml that lacks them."""
    unwatched: tuple[str, ...]
    """Globs of an existing rampart.yml that miss the proposed files."""

    @property
    def proposals(self) -> tuple[MartProposal, ...]:
        return tuple(file.proposal for file in self.files if file.proposal)


def propose_project(config_path: Path | None, now: datetime) -> Proposed:
    """Read the project of this folder (or the one named) and propose; nothing of it is written.

    Raises UsageError without a dbt project, ModelsError when dbt cannot parse it, ConfigError and
    ConnectionFailed when its database cannot be reached.
    """
    root = _root(config_path)
    if not (root / "dbt_project.yml").is_file():
        raise UsageError(
            f"{root}: no dbt_project.yml: go into the folder of a dbt project, or name it:"
            " rampart --config FOLDER init"
        )
    config = load_config(root / FILE_NAME) if (root / FILE_NAME).exists() else None
    target = resolve_target(root)
    with connect(target, autocommit=True, read_only=True) as connection:
        if message := ensure_packages(root):
            log.info(message)
        choice = choose_marts(parse_project(target, root))
        if not choice.marts:
            raise ModelsError(f"{root}: no mart in the project: it has no model that people read")
        connection.execute(f"set statement_timeout = '{TIME_LIMIT}'")
        facts = [_facts(connection, mart, now) for mart in choice.marts]
    return _proposed(root, target, config, choice, [each for each in facts if each], now)


def write_new(proposed: Proposed) -> Proposed:
    """Write what is not there yet, each file whole; what appeared meanwhile is left, too."""
    files = []
    for file in proposed.files:
        if file.is_new:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with file.path.open("x", encoding="utf-8") as opened:
                    opened.write(file.text)
            except FileExistsError:
                file = replace(file, is_new=False)
            except OSError as error:
                raise UsageError(f"{file.path}: cannot be written ({error.strerror})") from None
        files.append(file)
    return replace(proposed, files=tuple(files))


# -------------------------------------------------------------------- what is known of a mart


def _facts(connection: Connection, mart: Mart, now: datetime) -> Facts | None:
    """What the catalog and a look into the table say; None when there is no table."""
    table = tables.read_table(connection, mart.schema, mart.table)
    if table is None:
        return None
    roles = roles_of(table)
    facts = Facts(mart, table, roles, now)
    failed: list[str] = []

    def tried(look: Callable[[], T]) -> T | None:
        """A look that takes too long, or is not allowed, leaves a note and no figure."""
        try:
            return look()
        except psycopg.Error as error:
            said = " ".join(str(error).split()) or type(error).__name__
            failed.append(f"{said[:200]} (the limit is {TIME_LIMIT})")
            return None

    moments = [each.name for each in roles.moments]
    measured = tried(
        lambda: tables.measure(
            connection,
            table,
            nulls=[*moments, *roles.money],
            negatives=roles.money,
            moments=moments,
        )
    )
    if measured is not None:
        facts = replace(facts, measured=measured)
        facts = _with_clock(facts, connection, tried)
        columns = (*roles.ids, *roles.segments)
        facts = replace(
            facts, distinct=tried(lambda: tables.count_distinct(connection, table, columns)) or {}
        )
        facts = _with_versions(facts, connection, tried)
    return replace(facts, unmeasured=failed[0] if failed else None)


def _with_clock(facts: Facts, connection: Connection, tried: Tried) -> Facts:
    assert facts.measured is not None  # noqa: S101 - the caller has measured
    clock = pick_clock(facts.table, facts.roles, facts.measured, facts.now.timestamp())
    newest = facts.measured.newest.get(clock.column) if clock else None
    if clock is None or newest is None:
        return facts
    days = tried(lambda: tables.read_days(connection, facts.table, clock.column, newest))
    return replace(facts, clock=clock, days=days)


def _with_versions(facts: Facts, connection: Connection, tried: Tried) -> Facts:
    history = facts.roles.history
    if history is None:
        return facts
    current = tried(
        lambda: tables.count_current(
            connection, facts.table, valid_to=history.valid_to, is_current=history.is_current
        )
    )
    names = {each.name for each in facts.table.columns}
    key = natural_key(facts.mart, history, current, facts.distinct)
    if not key or not set(key) <= names:
        return facts
    versions = tried(
        lambda: tables.read_versions(
            connection,
            facts.table,
            key=key,
            valid_from=history.valid_from,
            valid_to=history.valid_to,
            is_current=history.is_current,
        )
    )
    return replace(facts, key_of_versions=key, versions=versions)


# -------------------------------------------------------------------- files


def _proposed(
    root: Path,
    target: Target,
    config: Config | None,
    choice: Choice,
    facts: list[Facts],
    now: datetime,
) -> Proposed:
    folder, watched = _checks_folder(root, config)
    suites = _suites([each.mart for each in facts])
    proposals = [propose(each, suite) for each, suite in zip(facts, suites, strict=True)]
    known = set(config.volumes) if config else set()
    entries = [each.volume for each in proposals if each.volume]
    absent = [each for each in entries if each.active and each.dataset not in known]
    if config is not None:
        # a check that reads a verdict which nobody gives would pass for ever
        proposals = [without_volume(each, known) for each in proposals]
    day = now.date()
    files = [
        _file(
            root / FILE_NAME,
            configuration_text(
                entries,
                environment="prod" if target.name in PROD_TARGETS else "dev",
                day=day,
                where=folder.as_posix(),
            ),
        )
    ]
    for proposal in proposals:
        path = root / folder / f"{proposal.suite}.yml"
        files.append(_file(path, checks_text(proposal, day), proposal))
    built = {each.mart.dataset for each in facts}
    return Proposed(
        root=root,
        target=target,
        files=tuple(files),
        unbuilt=tuple(each for each in choice.marts if each.dataset not in built),
        left_out=dict(choice.left_out),
        missing_volumes=tuple(volumes_lines(absent)) if config and absent else (),
        unwatched=() if watched else config.scan.checks if config else (),
    )


def _file(path: Path, text: str, proposal: MartProposal | None = None) -> File:
    return File(path, text, not path.exists() and not path.is_symlink(), proposal)


def _checks_folder(root: Path, config: Config | None) -> tuple[Path, bool]:
    """Where the checks go: where the configuration looks for them; whether it will find them."""
    if config is None:
        return Path(CHECKS_FOLDER), True
    for pattern in config.scan.checks:
        path = Path(pattern)
        if path.name == "*.yml" and not set("*?[") & set(path.parent.as_posix()):
            return path.parent, True
    return Path(CHECKS_FOLDER), False


def _suites(marts: list[Mart]) -> list[str]:
    """Names of files: the table's, with its schema where two have the same."""
    names = [re.sub(r"[^a-z0-9_]+", "_", each.table.lower()) for each in marts]
    counts = Counter(names)
    return [
        name if counts[name] == 1 else re.sub(r"[^a-z0-9_]+", "_", f"{mart.schema}_{name}".lower())
        for mart, name in zip(marts, names, strict=True)
    ]


def _root(config_path: Path | None) -> Path:
    """The folder of the project: that of the rampart.yml which is there or will be."""
    path = config_path or Path(os.environ.get("RAMPART_CONFIG") or ".")
    return (path if path.is_dir() or not path.suffix else path.parent).resolve()
