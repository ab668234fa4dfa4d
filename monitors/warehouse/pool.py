"""A small bounded pool of read-only connections for whoever answers many readers.

Each read is statements of its own (autocommit): nothing is ever idle in a transaction. A connection
that broke is replaced by itself, and a server that hangs costs a bounded time.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TypeVar

import psycopg

from monitors.errors import ConnectionFailed
from monitors.log import masked
from monitors.warehouse.connection import Connection, connect
from monitors.warehouse.target import Target

T = TypeVar("T")

CONNECT_SECONDS = 3
HUNG_SECONDS = 2.0
"""So long after the statement timeout a server that has not answered is given up."""


class ReadPool:
    """At most `size` connections, opened when needed and kept."""

    def __init__(
        self,
        target: Target,
        *,
        size: int = 4,
        statement_timeout: timedelta = timedelta(seconds=5),
    ) -> None:
        self._target = target
        self._timeout = statement_timeout.total_seconds()
        self._slots = threading.BoundedSemaphore(size)
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._closed = False

    def read(self, job: Callable[[Connection], T]) -> T:
        """What the job reads. It is done once more when a kept connection turns out to be dead.

        Raises ConnectionFailed: no server, no free connection, no answer in time, or no right or
        schema to read; the text says which.
        """
        if not self._slots.acquire(timeout=self._timeout):
            raise ConnectionFailed(
                f"no connection became free within {self._timeout:g} s: too many readers at once"
            )
        try:
            kept = self._take_idle()
            if kept is not None:
                try:
                    return self._do(kept, job)
                except _Lost as lost:
                    if lost.hung:
                        raise ConnectionFailed(str(lost)) from None
            try:
                return self._do(self._open(), job)
            except _Lost as lost:
                raise ConnectionFailed(str(lost)) from None
        finally:
            self._slots.release()

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _open(self) -> Connection:
        return connect(
            self._target,
            autocommit=True,
            read_only=True,
            statement_timeout=int(1000 * self._timeout),
            connect_timeout=CONNECT_SECONDS,
        )

    def _take_idle(self) -> Connection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _do(self, connection: Connection, job: Callable[[Connection], T]) -> T:
        """The job on this connection, which is kept afterwards when it is still sound."""
        keep = False
        try:
            with _hung_up_on(connection, self._timeout + HUNG_SECONDS) as hung:
                found = job(connection)
            keep = True
            return found
        except psycopg.Error as error:
            keep = _is_an_answer(error)
            said = _explained(error, self._timeout)
            if not keep:
                raise _Lost(
                    "the database hangs" if hung.is_set() else said, hung.is_set()
                ) from None
            raise ConnectionFailed(said) from None
        finally:
            self._put_back(connection, keep)

    def _put_back(self, connection: Connection, keep: bool) -> None:
        with self._lock:
            if keep and not connection.closed and not self._closed:
                self._idle.append(connection)
                return
        connection.close()


class _Lost(Exception):
    """The connection broke under a read."""

    def __init__(self, said: str, hung: bool) -> None:
        super().__init__(said)
        self.hung = hung


@contextmanager
def _hung_up_on(connection: Connection, seconds: float) -> Iterator[threading.Event]:
    """Ends a read that the server neither answers nor refuses: the socket is shut under it."""
    hung = threading.Event()

    def hang_up() -> None:
        hung.set()
        with (
            suppress(OSError, psycopg.Error),
            socket.socket(fileno=os.dup(connection.pgconn.socket)) as copy,
        ):
            copy.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield hung
    finally:
        timer.cancel()


def _is_an_answer(error: psycopg.Error) -> bool:
    """The server refused the statement, and the connection still stands."""
    if isinstance(error, psycopg.errors.QueryCanceled):
        return True
    return not isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))


def _explained(error: psycopg.Error, timeout: float) -> str:
    said = masked(next(iter(str(error).strip().splitlines()), "the connection broke"))
    if isinstance(error, psycopg.errors.QueryCanceled):
        return f"the database did not answer within {timeout:g} s"
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"{said}; `rampart db grant` gives the role rampart_reader what it needs"
    if isinstance(error, _OTHER_SCHEMA):
        return f"{said}; `rampart db migrate` brings the schema monitoring up to date"
    return said


_OTHER_SCHEMA = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.InvalidSchemaName,
)
