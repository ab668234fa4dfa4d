"""Writing down what ran, also while the warehouse is away: a job must not wait for its watcher.

A record that cannot be written lies in `.rampart/spool/` as one JSON file, whole or not at all. The
next command that reaches the warehouse takes it in; killed in between, it does so once more, to the
same effect. A record whose content the database refuses lies in `.rampart/spool/refused/`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg

from monitors import log as logs
from monitors.errors import RampartError, first_line
from monitors.store.journal import RunRecord, put_record, storable
from monitors.store.migrate import migrate
from monitors.warehouse.connection import Connection, connect, resolve_target, state_folder
from monitors.warehouse.target import configured_target

log = logs.get_logger("Journal")

Tell = Callable[[Connection, RunRecord], None]

REFUSALS = (psycopg.DataError, psycopg.IntegrityError)
"""What a database says of content; it will say so for ever."""


class Journal:
    """Where records of runs go: the warehouse of a project, or its spool.

    `root` None: there is no project; records go to a configured warehouse, or nowhere. `tell` is
    called with each record within its transaction, and may commit it.
    """

    def __init__(self, root: Path | None, tell: Tell | None = None) -> None:
        self.root = root
        self.tell = tell
        self.waits = False
        """Whether the record that was written last lies in the spool."""

    def write(self, record: RunRecord) -> str | None:
        """Write a record; a later one of the same run completes it. Why it could not be written
        into the warehouse, or None. Never raises: what is watched goes on. Before the end of a
        run goes what waits: an older failure must not be told after it."""
        record = storable(record)
        self.waits = False
        try:
            target = configured_target(self.root or Path.cwd())
            if target is None and self.root is None:
                return "there is no rampart.yml and no warehouse is configured"
            with connect(target or resolve_target(self.root or Path.cwd())) as connection:
                migrate(connection)
                connection.commit()
                if record.ended_at is not None:
                    self._take_in_others(connection)
                put_record(connection, record)
                if self.tell is not None:
                    self.tell(connection, record)
                connection.commit()
                self._forget(record)
        except (RampartError, psycopg.Error, OSError) as error:
            refused = isinstance(error, REFUSALS)
            return self._set_aside(record, logs.masked(first_line(error)), refused=refused)
        return None

    def _take_in_others(self, connection: Connection) -> None:
        """Whatever goes wrong here is no fault of the record that is to be written."""
        if self.root is None:
            return
        try:
            take_in_spool(connection, self.root, self.tell)
        except (RampartError, psycopg.Error, OSError) as error:
            if not connection.closed:
                connection.rollback()
            log.warning("records still wait", reason=logs.masked(first_line(error)))

    def _set_aside(self, record: RunRecord, why: str, *, refused: bool) -> str:
        if self.root is None:
            return why
        folder = spool_folder(self.root)
        path = (folder / "refused" if refused else folder) / f"{record.run_id}.json"
        try:
            _write_whole(path, record.to_json())
        except OSError as error:
            reason = f"{why}; and it cannot be kept in {path.parent}: {error.strerror}"
            log.error("record lost", recorded_run=record.run_id, reason=reason)
            return reason
        said = "record refused" if refused else "record waits for the warehouse"
        log.warning(said, spool_file=str(path), reason=why)
        self.waits = not refused
        return why

    def _forget(self, record: RunRecord) -> None:
        if self.root is not None:
            with suppress(OSError):
                (spool_folder(self.root) / f"{record.run_id}.json").unlink(missing_ok=True)


def take_in_spool(connection: Connection, root: Path, tell: Tell | None = None) -> int:
    """Write what waits in the spool; commits. How many records.

    A file that is no record is set aside, and so is one that the database refuses.
    """
    folder = spool_folder(root)
    if not folder.is_dir():
        return 0
    taken = 0
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.taken")]):
        claimed = path.with_name(f"{path.name}.{os.getpid()}.taken")
        try:
            path.rename(claimed)  # what its job writes from now on is a new file
            record = storable(RunRecord.from_json(claimed.read_text(encoding="utf-8")))
        except FileNotFoundError:
            continue  # another command was faster
        except (ValueError, KeyError, TypeError):
            bad = claimed.rename(path.with_suffix(".unreadable"))
            log.warning("no record of a run", spool_file=str(bad))
            continue
        try:
            put_record(connection, record)
            if tell is not None:
                tell(connection, record)
            connection.commit()
        except REFUSALS as error:
            connection.rollback()
            _refuse(claimed, folder / "refused" / f"{record.run_id}.json", error)
            continue
        except psycopg.Error as error:
            connection.rollback()
            with suppress(FileNotFoundError):  # another command has taken it meanwhile
                claimed.rename(folder / f"{record.run_id}.late.json")
            log.warning("record still waits", reason=logs.masked(first_line(error)))
            continue
        claimed.unlink(missing_ok=True)
        taken += 1
    if taken:
        log.info("records taken in", count=taken)
    return taken


def spool_folder(root: Path) -> Path:
    return state_folder(root) / "spool"


def _refuse(claimed: Path, refused: Path, error: psycopg.Error) -> None:
    refused.parent.mkdir(exist_ok=True)
    with suppress(FileNotFoundError):  # another command has refused it meanwhile
        claimed.rename(refused)
        log.warning(
            "record refused", spool_file=str(refused), reason=logs.masked(first_line(error))
        )


def _write_whole(path: Path, text: str) -> None:
    """Whole or not at all, also after a power cut. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with staged.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)
