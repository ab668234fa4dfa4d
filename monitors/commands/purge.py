"""`rampart purge`: delete what retention says nobody needs any more, a transaction per kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

import psycopg

from monitors import log as logs
from monitors.commands.runner import Runner
from monitors.errors import ExitCode, PipelineFailed, UsageError
from monitors.scan.buckets import LOOKED_AT
from monitors.store.postgres import Store
from monitors.store.purge import Purge, Purged

log = logs.get_logger("Purge")

RAW_STAYS = (
    "raw rows are not purged: {why}. A file may be deleted once it is loaded; to give up a feed,"
    " drop its raw table and its marts by hand"
)


@dataclass(frozen=True, slots=True)
class PurgeOutcome:
    """What went, or would go."""

    run_id: str
    dry_run: bool
    purged: tuple[Purged, ...]
    open_dead_letters: int = 0
    """Old enough to go; they stay until somebody decides about them."""
    exit_code: int = ExitCode.OK


class Cleaner(Runner):
    """Configure retention in rampart.yml, purge."""

    def purge(self, *, dry_run: bool = False) -> PurgeOutcome:
        """Delete by the retention of rampart.yml; with `dry_run` say what would go.

        Raises PipelineFailed when the role may not delete.
        """
        return self.recorded("purge", lambda store: self._purge(store, dry_run))

    def refuse_raw(self, name: str) -> None:
        """Why raw rows of a feed stay; always raises UsageError."""
        feed = self.config.feed(name)
        why = (
            f"`{name}` is a register, and its SCD2 dimension is built anew from every extract"
            if feed.extract is not None
            else f"a full refresh builds the marts of `{name}` from them"
        )
        raise UsageError(RAW_STAYS.format(why=why))

    def _purge(self, store: Store, dry_run: bool) -> PurgeOutcome:
        purge = Purge(store.connection, self.now())
        keep = self.config.retention
        steps: list[Callable[[], Iterable[Purged]]] = [
            lambda: [purge.logs(keep.logs)],
            lambda: purge.metrics(keep.metrics, self._buckets()),
            lambda: purge.alerts(keep.metrics),
            lambda: [purge.dead_letters(keep.dead_letters)],
            lambda: [purge.runs(max(keep.logs, keep.metrics, keep.dead_letters))],
        ]
        purged: list[Purged] = []
        for step in steps:
            purged += self._one(store, step, dry_run)
        waiting = purge.open_dead_letters(keep.dead_letters)
        counts = {each.kind: each.rows for each in purged}
        log.info("purged", dry_run=dry_run, open_dead_letters=waiting, **counts)
        return PurgeOutcome(self.run_id, dry_run, tuple(purged), waiting)

    def _one(
        self, store: Store, step: Callable[[], Iterable[Purged]], dry_run: bool
    ) -> list[Purged]:
        try:
            found = list(step())
        except psycopg.errors.InsufficientPrivilege as error:
            store.connection.rollback()
            said = str(error).splitlines()[0]
            raise PipelineFailed(
                f"purge needs a role that may delete, such as the owner of monitoring: {said}"
            ) from None
        if dry_run:
            store.connection.rollback()
        else:
            store.connection.commit()
        return found

    def _buckets(self) -> timedelta:
        """How long the volume model looks back, and what a series wants to remember."""
        wanted = [each.remembered for each in self.config.volumes.values()]
        return max([*LOOKED_AT.values(), *wanted])
