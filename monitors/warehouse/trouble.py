"""What the database may do to a job that is no fault of ours, said in one line with the way out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from monitors import log as logs
from monitors.errors import WarehouseFailed, first_line

AGAIN = "nothing is half written: mend it, then start the same command again"

SAID: tuple[tuple[tuple[type[psycopg.Error], ...], str], ...] = (
    ((errors.DiskFull, errors.IoError), "the disk of the warehouse is full or broken: {said}"),
    (
        (errors.ReadOnlySqlTransaction,),
        "the warehouse takes no writes ({said}): is it a standby, or is"
        " default_transaction_read_only set",
    ),
    (
        (errors.LockNotAvailable,),
        "another session held a lock for too long ({said}); the log says which one",
    ),
    ((errors.DeadlockDetected, errors.SerializationFailure), "two sessions collided: {said}"),
    ((errors.QueryCanceled,), "a statement was cancelled: {said}"),
    ((errors.InsufficientPrivilege,), "the role may not do this: {said}; see `rampart db grant`"),
    ((errors.InsufficientResources,), "the warehouse has not enough resources: {said}"),
)
"""Classes of SQLSTATE and what they mean for a person; the first that fits."""
LOST = "the connection to the warehouse was lost: {said}"


def said_of(error: psycopg.Error) -> str | None:
    """One line about an error that is the database's state; None when it is about a statement."""
    first = first_line(error)
    for kinds, text in SAID:
        if isinstance(error, kinds):
            return f"{text.format(said=first)}; {AGAIN}"
    if _is_lost(error):
        return f"{LOST.format(said=first)}; {AGAIN}"
    return None


@contextmanager
def plainly(*, started: bool = True) -> Iterator[None]:
    """Raise WarehouseFailed instead of psycopg's error where the database is in trouble.

    `started`: whether the job had begun; before that the exit code is 2.
    """
    try:
        yield
    except psycopg.Error as error:
        text = said_of(error)
        if text is None:
            raise
        raise WarehouseFailed(text, started=started) from error


def _is_lost(error: psycopg.Error) -> bool:
    """Shut down, crashed, cut off; errors of the client library have no SQLSTATE."""
    state = error.sqlstate or ""
    if state.startswith(("08", "57P")):
        return True
    return isinstance(error, psycopg.OperationalError) and not state


logs.expect(lambda error: isinstance(error, psycopg.Error) and said_of(error) is not None)
