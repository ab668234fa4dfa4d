"""Connections: opened here, wrapped once, so that a person reads one line and never a traceback."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import psycopg

from monitors.errors import ConnectionFailed
from monitors.warehouse.embedded import EmbeddedPostgres
from monitors.warehouse.target import Target, configured_target

# psycopg warns of what it cannot tidy on a lost connection; the error itself is said anyway
logging.getLogger("psycopg").addHandler(logging.NullHandler())

Connection = psycopg.Connection[tuple[Any, ...]]


def state_folder(project_dir: Path) -> Path:
    """Where Rampart keeps what is not for git: `.rampart/`, or `RAMPART_HOME`."""
    return Path(os.environ.get("RAMPART_HOME") or project_dir / ".rampart").expanduser()


def resolve_target(project_dir: Path) -> Target:
    """The configured database, or the embedded one, which is started when it does not run."""
    configured = configured_target(project_dir)
    if configured is not None:
        return configured
    return EmbeddedPostgres(state_folder(project_dir)).start()


def connect(
    target: Target,
    *,
    autocommit: bool = False,
    read_only: bool = False,
    statement_timeout: int = 0,
    lock_timeout: int = 0,
    connect_timeout: int = 10,
) -> Connection:
    """A connection in UTC; the limits of statements and locks in milliseconds, 0 is none;
    `connect_timeout` in seconds.

    Raises ConnectionFailed: where, as whom, and what the server said.
    """
    options = f"-c timezone=UTC -c statement_timeout={statement_timeout}"
    options += f" -c lock_timeout={lock_timeout}"
    if read_only:
        options += " -c default_transaction_read_only=on"
    extra = {key: value for key, value in target.extra if key.startswith("ssl")}
    try:
        return psycopg.connect(
            host=target.host,
            port=target.port,
            user=target.user,
            password=target.password or None,
            dbname=target.dbname,
            connect_timeout=connect_timeout,
            application_name="rampart",
            options=options,
            autocommit=autocommit,
            **extra,
        )
    except psycopg.OperationalError as error:
        said = " ".join(str(error).split()).rsplit("FATAL: ", 1)[-1].strip()
        raise ConnectionFailed(
            f"cannot connect to {target} (from {target.origin}): {said}"
        ) from None
