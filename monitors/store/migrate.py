"""Numbered migrations of `monitoring` and of the quarantine decisions."""

from __future__ import annotations

from importlib.resources import files

import psycopg

from monitors.errors import RampartError
from monitors.log import get_logger
from monitors.warehouse.connection import Connection

log = get_logger("Migrations")


class MigrationError(RampartError):
    """The schema `monitoring` cannot be brought to the version that this Rampart needs."""


def available() -> list[tuple[int, str, str]]:
    """(number, name, sql) of every migration, in order."""
    folder = files("monitors.store") / "migrations"
    found = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [
        (int(name.split("_")[0]), name, (folder / name).read_text(encoding="utf-8"))
        for name in found
    ]


def migrate(connection: Connection) -> list[str]:
    """Apply what is not applied yet; commits. Names of the migrations applied, often none.

    Two commands at once take turns. Raises MigrationError when the database is newer than this
    Rampart, or when the role may not create what is needed.
    """
    try:
        if _version(connection) == (latest := available()[-1][0]):
            connection.rollback()
            return []
        connection.execute("select pg_advisory_xact_lock(hashtextextended('rampart.migrate', 0))")
        connection.execute("create schema if not exists monitoring")
        connection.execute(
            "create table if not exists monitoring.migrations ("
            " number integer primary key, name text not null,"
            " applied_at timestamptz not null default now())"
        )
        done = _version(connection)
        if done > latest:
            raise MigrationError(
                f"monitoring is at migration {done}, this Rampart knows {latest}: update Rampart"
            )
        applied = [_apply(connection, *each) for each in available() if each[0] > done]
        connection.commit()
    except psycopg.Error as error:
        connection.rollback()
        first = str(error).splitlines()[0]
        raise MigrationError(f"the schema monitoring cannot be migrated: {first}") from error
    return applied


def _version(connection: Connection) -> int:
    exists = connection.execute("select to_regclass('monitoring.migrations')").fetchone()
    if not exists or exists[0] is None:
        return 0
    found = connection.execute("select coalesce(max(number), 0) from monitoring.migrations")
    return int((found.fetchone() or (0,))[0])


def _apply(connection: Connection, number: int, name: str, sql: str) -> str:
    connection.execute(sql.encode())
    connection.execute(
        "insert into monitoring.migrations (number, name) values (%s, %s)", (number, name)
    )
    log.info("migration applied", migration=name)
    return name
