"""Least privilege: who may do what, as roles of the database."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg import sql

from monitors.errors import ConfigError, RampartError
from monitors.store.sql import statements
from monitors.warehouse.connection import Connection

ROLES = {
    "rampart_loader": "writes raw, deliveries, dead letters and logs",
    "rampart_builder": "reads raw, owns what dbt builds",
    "rampart_monitor": "reads everything, writes verdicts and logs",
    "rampart_reader": "reads marts, quality models and verdicts; writes nothing",
}


class GrantError(RampartError):
    """The roles cannot be made."""


def read_passwords(path: Path) -> dict[str, str]:
    """`role: password` lines. Raises ConfigError with file and line."""
    found: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        role, separator, password = (part.strip() for part in line.partition(":"))
        if not separator or role not in ROLES or not password:
            raise ConfigError(
                f"{path}:{number}: allowed is `ROLE: PASSWORD` with one of {', '.join(ROLES)}"
            )
        found[role] = password
    return found


def grant_roles(connection: Connection, passwords: dict[str, str]) -> list[str]:
    """Create the roles that are missing and set every grant anew; commits. One line per role.

    Raises GrantError when the current role may not.
    """
    try:
        for role, password in {role: passwords.get(role) for role in ROLES}.items():
            _ensure_role(connection, role, password)
        for name, text in statements("grants.sql").items():
            if name.startswith("each_schema"):
                continue
            connection.execute(text.encode())
        for schema, kind in _schemas(connection).items():
            grants = sql.SQL(statements("grants.sql")[f"each_schema_{kind}"])
            connection.execute(grants.format(schema=sql.Identifier(schema)))
        connection.commit()
    except psycopg.errors.InsufficientPrivilege as error:
        connection.rollback()
        raise GrantError(
            f"roles need a superuser or one with createrole: {str(error).splitlines()[0]}"
        ) from None
    return [f"{role}: {what}" for role, what in ROLES.items()]


def _ensure_role(connection: Connection, role: str, password: str | None) -> None:
    name = sql.Identifier(role)
    exists = connection.execute("select 1 from pg_roles where rolname = %s", (role,)).fetchone()
    if not exists:
        connection.execute(sql.SQL("create role {} login").format(name))
    # An unqualified data_quality_metrics works for them; nobody else's settings are touched.
    connection.execute(sql.SQL("alter role {} set search_path = monitoring, public").format(name))
    if password:
        connection.execute(sql.SQL("alter role {} password {}").format(name, sql.Literal(password)))


def _schemas(connection: Connection) -> dict[str, str]:
    """{schema: raw | built} of what Rampart and dbt use here."""
    rows = connection.execute(
        "select distinct split_part(raw_table, '.', 1), 'raw' from monitoring.feeds"
        " union select unnest(array['staging', 'facts', 'salesforce_curated']), 'built'"
    ).fetchall()
    return {row[0]: row[1] for row in rows}
