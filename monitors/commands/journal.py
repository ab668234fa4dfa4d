"""Writing down what ran, also while the warehouse is away: a job must not wait for its watcher.

A record that cannot be written lies in `.rampart/spool/` as one JSON file, whole or not at all. The
next command that reaches the warehouse takes it in; killed in between, it does so once more, to the
same effect.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg

from monitors import log as logs
from monitors.errors import RampartError
from monitors.store.journal import RunRecord, put_record
from monitors.store.migrate import migrate
from monitors.warehouse.connection import Connection, connect, resolve_target, state_folder
from monitors.warehouse.target import configured_target

log = logs.get_logger("Journal")

Tell = Callable[[Connection, RunRecord], None]


class Journal:
    """Where records of runs go: the warehouse of a project, or its spool.

    `root` None: there is no project; records go to a configured warehouse, or nowhere. `tell` is
    called with each record within its transaction, and may commit it.
    """

    def __init__(self, root: Path | None, tell: Tell | None = None) -> None:
        self.root = root
        self.tell = tell

    def write(self, record: RunRecord) -> str | None:
        """Write a record; a later one of the same run completes it. Why it could not be written
        into the warehouse, or None. Never raises: what is watched goes on."""
        try:
            target = configured_target(self.root or Path.cwd())
            if target is None and self.root is None:
                return "there is no rampart.yml and no warehouse is configured"
            with connect(target or resolve_target(self.root or Path.cwd())) as connection:
                migrate(connection)
                put_record(connection, record)
                if self.tell is not None:
                    self.tell(connection, record)
                connection.commit()
        except (RampartError, psycopg.Error, OSError) as error:
            return self._set_aside(record, logs.masked(str(error).splitlines()[0]))
        self._forget(record)
        return None

    def _set_aside(self, record: RunRecord, why: str) -> str:
        if self.root is None:
            return why
        path = spool_folder(self.root) / f"{record.run_id}.json"
        try:
            _write_whole(path, record.to_json())
        except OSError as error:
            reason = f"{why}; and it cannot be kept in {path.parent}: {error.strerror}"
            log.error("record lost", recorded_run=record.run_id, reason=reason)
            return reason
        log.warning("record waits for the warehouse", spool_file=str(path), reason=why)
        return why

    def _forget(self, record: RunRecord) -> None:
        if self.root is not None:
            (spool_folder(self.root) / f"{record.run_id}.json").unlink(missing_ok=True)


def take_in_spool(connection: Connection, root: Path, tell: Tell | None = None) -> int:
    """Write what waits in the spool; commits. How many records; one that is none is set aside."""
    folder = spool_folder(root)
    if not folder.is_dir():
        return 0
    taken = 0
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.taken")]):
        claimed = path.with_name(f"{path.name}.{os.getpid()}.taken")
        try:
            path.rename(claimed)  # what its job writes from now on is a new file
            record = RunRecord.from_json(claimed.read_text(encoding="utf-8"))
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
        except psycopg.Error as error:
            connection.rollback()
            with suppress(FileNotFoundError):  # another command has taken it meanwhile
                claimed.rename(folder / f"{record.run_id}.late.json")
            log.warning("record still waits", reason=str(error).splitlines()[0])
            continue
        claimed.unlink(missing_ok=True)
        taken += 1
    if taken:
        log.info("records taken in", count=taken)
    return taken


def spool_folder(root: Path) -> Path:
    return state_folder(root) / "spool"


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
