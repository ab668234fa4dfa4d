"""A run: one pass of any command, with its run_id, its row in monitoring.runs and its exit code."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol, TypeVar

import psycopg

from monitors import log as logs
from monitors.alert.heartbeat import beat
from monitors.commands.journal import spool_folder, take_in_spool
from monitors.config import Config, load_config
from monitors.errors import ExitCode, first_line
from monitors.store.migrate import migrate
from monitors.store.postgres import RunContext, Store
from monitors.warehouse.connection import Connection, connect, resolve_target
from monitors.warehouse.target import Target
from monitors.warehouse.trouble import plainly
from monitors.warehouse.waits import told

log = logs.get_logger("Monitor")


class Outcome(Protocol):
    """What a recorded job gives back."""

    @property
    def exit_code(self) -> int: ...


OutcomeT = TypeVar("OutcomeT", bound=Outcome)


class Runner:
    """Configuration, clock and warehouse of one run.

    `config` is a Config, the path of a rampart.yml, or None for the one in the working folder.
    `now` is the clock, so that tests and replays can set it.
    """

    def __init__(
        self,
        config: Config | Path | str | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        quiet_dbt: bool = True,
    ) -> None:
        self.config = config if isinstance(config, Config) else load_config(_path(config))
        self.now = now
        self.quiet_dbt = quiet_dbt
        self.run_id = new_run_id(now())
        self._has_run = False
        logs.bind_run(self.run_id)

    @cached_property
    def target(self) -> Target:
        return resolve_target(self.config.root)

    def recorded(self, command: str, job: Callable[[Store], OutcomeT]) -> OutcomeT:
        """A run around a job: its row, its end and exit code, whatever happens."""
        if self._has_run:  # one object may run several commands; each is a run of its own
            self.run_id = new_run_id(self.now())
            logs.bind_run(self.run_id)
        self._has_run = True
        limit = milliseconds(self.config.run.lock_timeout)
        with (
            connect(self.target, lock_timeout=limit) as connection,
            told(self.target, connection.info.backend_pid),
        ):
            with plainly(started=False):
                migrate(connection)
                self._take_in_spool(connection)
                store = Store(connection, self.run_context())
                store.start_run(command)
                connection.commit()
            exit_code: int = ExitCode.RED
            try:
                with plainly():
                    verdict = job(store)
                exit_code = verdict.exit_code
            except (KeyboardInterrupt, SystemExit) as error:
                exit_code = int(getattr(error, "code", None) or ExitCode.INTERRUPTED)
                raise
            except Exception as error:
                exit_code = getattr(error, "exit_code", ExitCode.RED)
                raise
            finally:
                self._finish(store, exit_code)
                beat(self.config.heartbeat, command, int(exit_code))
        log.info("run finished", command=command, exit_code=int(exit_code))
        return verdict

    def _finish(self, store: Store, exit_code: int) -> None:
        """Note the end; where that is impossible the run stays open: the first error counts."""
        if store.connection.closed:
            return
        try:
            store.connection.rollback()
            store.finish_run(exit_code)
            store.connection.commit()
        except psycopg.Error as error:
            log.error("the end of the run could not be recorded", error_message=first_line(error))

    def _take_in_spool(self, connection: Connection) -> None:
        """Jobs that ran while the warehouse was away, and what their failures mean."""
        if not spool_folder(self.config.root).is_dir():
            return
        from monitors.commands.job_verdicts import teller

        take_in_spool(connection, self.config.root, teller(self))

    def run_context(self) -> RunContext:
        return context_of(self.run_id, self.config)


# -------------------------------------------------------------------- the pieces


def context_of(run_id: str, config: Config | None) -> RunContext:
    """What is noted with a run; `config` None: it has no project."""
    return RunContext(
        run_id=run_id,
        environment=config.environment if config else "dev",
        versions=_versions(),
        git_revision=_git_revision(config.root) if config else None,
    )


def milliseconds(duration: timedelta) -> int:
    """As Postgres counts its limits."""
    return int(duration.total_seconds() * 1000)


def new_run_id(now: datetime) -> str:
    """Sorts by time: `20261119T063000Z-3f9a1c`."""
    return f"{now.astimezone(timezone.utc):%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(3)}"


def _path(config: Path | str | None) -> Path | None:
    return Path(config) if config is not None else None


def _versions() -> dict[str, str]:
    found = {}
    for name in ("rampart", "dbt-core", "dbt-postgres", "soda-core-postgres"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _git_revision(root: Path) -> str | None:
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
