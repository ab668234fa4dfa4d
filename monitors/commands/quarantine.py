"""The composition of `rampart quarantine`: look into the ledger, replay its rows, discard them.

A decision is a row in quarantine.decisions and holds from the moment it is committed; the models
act on it in the build that follows. Killed in between, nothing is lost: the next build takes it.
"""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass, replace
from typing import Any

from monitors import log as logs
from monitors.commands.build import build_models, prepare_dbt, take_turn
from monitors.commands.runner import Runner
from monitors.errors import ExitCode, ModelsError, UsageError
from monitors.mask import mask_row
from monitors.store.decisions import (
    Decision,
    Decisions,
    LedgerGroup,
    LedgerRow,
    Outcome,
    Selection,
    Violation,
)
from monitors.store.migrate import migrate
from monitors.store.postgres import Store
from monitors.warehouse.connection import Connection, connect
from monitors.warehouse.dbt import run_dbt
from monitors.warehouse.target import PLAIN_SCHEMA_TARGETS

log = logs.get_logger("Quarantine")


@dataclass(frozen=True, slots=True)
class Row:
    """One row that arrived: its text, what it breaks, what was decided."""

    feed: str
    delivery: int
    source_row: int
    raw: dict[str, Any]
    ledger: tuple[LedgerRow, ...]
    violations: tuple[Violation, ...]
    history: tuple[Decision, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """What `replay` or `discard` did, or would do."""

    run_id: str
    dry_run: bool
    outcomes: tuple[Outcome, ...]
    decided: int = 0
    left: int = 0
    alerts: tuple[str, ...] = ()
    build_exit_code: int | None = None
    exit_code: int = ExitCode.OK

    def count(self, outcome: str) -> int:
        return sum(each.rows for each in self.outcomes if each.outcome == outcome)


class Quarantine(Runner):
    """The ledger: configure, choose rows, decide."""

    def groups(self, selection: Selection, decision: str | None = "open") -> list[LedgerGroup]:
        """The chosen rows of the ledger, counted by feed, rule and delivery."""
        self._check(selection)
        with connect(self.target) as connection:
            return self._ledger(connection).groups(selection, decision)

    def show(self, feed: str, delivery: int, row: int) -> Row:
        """One row. Raises UsageError when nothing of that number arrived."""
        settings = self.config.arrival(feed)
        table = settings.table
        with connect(self.target) as connection:
            ledger = self._ledger(connection)
            raw = ledger.raw_row(table, delivery, row)
            if raw is None:
                raise UsageError(f"{feed}: delivery {delivery} has no row {row} in {table}")
            return Row(
                feed=feed,
                delivery=delivery,
                source_row=row,
                raw=mask_row(raw, settings.personal),
                ledger=tuple(ledger.ledger_rows(feed, delivery, row)),
                violations=tuple(ledger.violations(feed, delivery, row)),
                history=tuple(ledger.history(feed, delivery, row)),
            )

    def replay(
        self,
        selection: Selection,
        *,
        why: str = "passes the rules of today",
        by: str | None = None,
        discarded: bool = False,
        dry_run: bool = False,
    ) -> Decided:
        """Let into the marts what passes by the rules of now; discarded rows only when asked."""
        self._check(selection)

        def job(store: Store) -> Decided:
            prepare_dbt(self, store)
            take_turn(self, store)
            self._compile_rules()
            ledger = self._ledger(store.connection, needed="replayable")
            found = tuple(ledger.judge_anew(selection, discarded=discarded))
            done = Decided(self.run_id, dry_run, found)
            if dry_run:
                store.connection.rollback()
                return done
            decided = ledger.replay(by or user_name(), why, self.run_id)
            store.connection.commit()
            log.info("replay decided", rows=decided, waiting=done.count("waits"))
            if not decided and not done.count("waits"):
                return done
            verdict = build_models(self, store, (), False)
            left = ledger.left_in_ledger(self.run_id)
            return replace(
                done,
                decided=decided,
                left=left,
                alerts=verdict.alerts,
                build_exit_code=verdict.build_exit_code,
                exit_code=verdict.exit_code,
            )

        return self.recorded("quarantine replay", job)

    def discard(
        self, selection: Selection, *, why: str, by: str | None = None, dry_run: bool = False
    ) -> Decided:
        """Keep the chosen rows out for good; they still count as rejected."""
        self._check(selection)
        if not why.strip():
            raise UsageError("--why: a row that is kept out for good needs a reason")
        if selection.is_everything:
            raise UsageError("say which rows: --feed, --rule, --delivery or --row")

        def job(store: Store) -> Decided:
            ledger = self._ledger(store.connection)
            found = ledger.discard(selection, by or user_name(), why, self.run_id)
            done = Decided(self.run_id, dry_run, tuple(found))
            if dry_run:
                store.connection.rollback()
                return done
            store.connection.commit()
            log.info("discard decided", rows=done.count("discarded"))
            return replace(done, decided=done.count("discarded"))

        return self.recorded("quarantine discard", job)

    # ---------------------------------------------------------------- the pieces

    def _check(self, selection: Selection) -> None:
        if selection.feed is not None:
            self.config.arrival(selection.feed)

    def _ledger(self, connection: Connection, needed: str = "ledger") -> Decisions:
        """Raises UsageError when dbt has not built what is needed."""
        migrate(connection)
        target = self.target
        plain = target.name in PLAIN_SCHEMA_TARGETS
        ledger = Decisions(connection, "quarantine" if plain else f"{target.schema}_quarantine")
        if not ledger.exists(needed):
            raise UsageError(
                f"there is no {ledger.schema}.{needed}: `rampart build` makes it, where the project"
                f" has a model {needed} (docs/checks.md, The ledger)"
            )
        return ledger

    def _compile_rules(self) -> None:
        """Rules, and the staging views they read, as they stand in the files now; no table."""
        views = ["--select", "+replayable", "--exclude", "config.materialized:incremental"]
        views += ["--no-write-json"]  # the next scan still finds the artifacts of the build
        if run_dbt(self.target, self.config.root, "run", *views, quiet=self.quiet_dbt):
            raise ModelsError("the rules cannot be compiled; see logs/dbt.log or `dbt parse`")


def user_name() -> str:
    """Who decides, unless --by names somebody: the account on this machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
