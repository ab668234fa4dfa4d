"""The composition of `rampart checks`, `periods` and `volumes`: what is expected, muted, usual."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitors.commands.runner import Runner
from monitors.errors import UsageError
from monitors.scan.checks_files import find_files, read_checks
from monitors.store.history import BadPeriod, History, Mute
from monitors.store.migrate import migrate
from monitors.store.postgres import LatestVerdict, Store
from monitors.store.volumes import Volumes, VolumeVerdict
from monitors.warehouse.connection import connect

LONGEST_MUTE = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class ExpectedCheck:
    """A check of the register: where it stands, what it said last, whether it is muted."""

    check_id: str
    where: str | None
    """file:line; None for a test of dbt, which stands in the dbt project."""
    latest: LatestVerdict | None
    mute: Mute | None


class Desk(Runner):
    """What people decide about checks: configure, look, decide."""

    def checks(self) -> list[ExpectedCheck]:
        """Every check of the files, and every other that reported within seven days."""
        places = self._places()
        with self._store() as store:
            latest = {each.check_id: each for each in store.latest_verdicts()}
            mutes = self._history(store).mutes(self.now())
        return [
            ExpectedCheck(name, places.get(name), latest.get(name), mutes.get(name))
            for name in sorted({*places, *latest})
        ]

    def mute(self, check_id: str, until: datetime, why: str, by: str) -> None:
        """Let a check run without turning a scan red. Raises UsageError."""
        if not why.strip():
            raise UsageError("--why: a check that is muted needs a reason")
        now = self.now()
        if not now < until <= now + LONGEST_MUTE:
            raise UsageError(
                f"--until: found {until:%Y-%m-%d %H:%M} UTC, allowed is a moment in the next"
                f" {LONGEST_MUTE.days} days"
            )
        with self._store() as store:
            self._refuse_unknown(check_id, store)
            self._history(store).mute(check_id, until, why, by)
            store.connection.commit()

    def unmute(self, check_id: str, by: str) -> bool:
        """Let it count again at once; whether it was muted."""
        with self._store() as store:
            was_muted = self._history(store).lift_mutes(check_id, self.now(), by)
            store.connection.commit()
        return was_muted

    def periods(self, dataset: str | None) -> list[BadPeriod]:
        """Known-bad periods in force."""
        with self._store() as store:
            return self._history(store).bad_periods(dataset)

    def add_period(
        self, starts_at: datetime, ends_at: datetime, why: str, by: str, dataset: str | None
    ) -> int:
        """Name a period that says nothing about what is usual; its number. Raises UsageError."""
        if ends_at <= starts_at:
            raise UsageError(
                f"--until: found {ends_at:%Y-%m-%d %H:%M} UTC, allowed is later than --since"
            )
        if not why.strip():
            raise UsageError("--why: a known-bad period needs a reason")
        if dataset is not None and dataset not in self.config.volumes:
            known = ", ".join(self.config.volumes) or "none: there is no `volumes:`"
            raise UsageError(f"`{dataset}` is not under `volumes:` in rampart.yml; known: {known}")
        with self._store() as store:
            number = self._history(store).add_bad_period(starts_at, ends_at, why, by, dataset)
            store.connection.commit()
        return number

    def withdraw_period(self, number: int, by: str) -> None:
        """Let it count again as usual. Raises UsageError."""
        with self._store() as store:
            if not self._history(store).withdraw_bad_period(number, by):
                raise UsageError(
                    f"there is no known-bad period {number} in force; `rampart periods list`"
                )
            store.connection.commit()

    def volumes(self, dataset: str | None) -> list[VolumeVerdict]:
        """What the latest buckets of each series say."""
        with self._store() as store:
            return Volumes(store.connection, store.run.environment).verdicts(dataset)

    # ---------------------------------------------------------------- the pieces

    @contextmanager
    def _store(self) -> Iterator[Store]:
        with connect(self.target) as connection:
            migrate(connection)
            yield Store(connection, self.run_context())

    def _history(self, store: Store) -> History:
        return History(store.connection, store.run.environment)

    def _places(self) -> dict[str, str]:
        files = find_files(self.config.root, self.config.scan.checks)
        return {
            each.check_id: f"{each.path.relative_to(self.config.root)}:{each.line}"
            for each in read_checks(files).definitions
        }

    def _refuse_unknown(self, check_id: str, store: Store) -> None:
        known = {*self._places(), *(each.check_id for each in store.latest_verdicts())}
        if check_id not in known:
            near = difflib.get_close_matches(check_id, known, n=3)
            meant = (
                f"; did you mean {' or '.join(near)}?" if near else "; see `rampart checks list`"
            )
            raise UsageError(f"there is no check `{check_id}`{meant}")
