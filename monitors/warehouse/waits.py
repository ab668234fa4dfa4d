"""For whom a job waits: one that is held up by another session's lock says so while it waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from monitors.errors import RampartError
from monitors.log import get_logger
from monitors.warehouse.connection import Connection, connect
from monitors.warehouse.target import Target

log = get_logger("Locks")

FIRST = 2.0
"""Seconds before the first look: most commands are over by then and need no second connection."""
EVERY = 10.0
REPEAT = 6
"""A wait that goes on is said again after so many looks."""

# No text of a statement: it may hold what nobody should read.
QUERY = b"""
select waiting.pid, blocking.pid, blocking.usename, blocking.application_name, blocking.state,
    host(blocking.client_addr), blocking.xact_start
from pg_stat_activity as waiting
cross join lateral unnest(pg_blocking_pids(waiting.pid)) as blockers (pid)
left join pg_stat_activity as blocking on blocking.pid = blockers.pid
where
    waiting.datname = current_database()
    and (waiting.pid = %(own)s or waiting.application_name = 'dbt')
"""


@contextmanager
def told(target: Target, own: int) -> Iterator[None]:
    """While the block runs, log for whom session `own`, or dbt, waits. Never raises by itself."""
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(target, own, ended), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join(timeout=EVERY)


def _watch(target: Target, own: int, ended: threading.Event) -> None:
    if ended.wait(FIRST):
        return
    try:
        with connect(target, autocommit=True, read_only=True, statement_timeout=5000) as connection:
            said: dict[tuple[int, int], int] = {}
            while True:
                said = _look(connection, own, said)
                if ended.wait(EVERY):
                    return
    except (psycopg.Error, RampartError) as error:
        log.debug("locks are not watched", reason=str(error))


def _look(
    connection: Connection, own: int, said: dict[tuple[int, int], int]
) -> dict[tuple[int, int], int]:
    """Say each wait that is new, or old enough to be said again; how often each was seen."""
    seen: dict[tuple[int, int], int] = {}
    for waiting, blocking, *about in connection.execute(QUERY, {"own": own}).fetchall():
        times = said.get((waiting, blocking), 0)
        seen[waiting, blocking] = times + 1
        if times % REPEAT == 0:
            log.warning(
                "waits for another session",
                waiting="this command" if waiting == own else "dbt",
                waits_for=_described(blocking, *about),
            )
    return seen


def _described(
    pid: int | None, user: str | None, application: str | None, state: str | None,
    client: str | None, since: Any,
) -> str:  # fmt: skip
    parts = [f"session {pid}" if pid else "a prepared transaction"]
    parts += [f"of {user}"] if user else []
    parts += [f"({application})"] if application else []
    parts += [f"from {client}"] if client else []
    parts += [f"{state}"] if state else []
    parts += [f"since {since:%Y-%m-%d %H:%M:%S} UTC"] if since else []
    return " ".join(parts)
