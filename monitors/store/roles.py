"""Least privilege: who may do what, as roles of the database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import psycopg
from psycopg import sql

from monitors.errors import ConfigError, RampartError, UsageError
from monitors.store.sql import statements
from monitors.warehouse.connection import Connection

ROLES = {
    "rampart_loader": "writes raw, deliveries, dead letters and logs",
    "rampart_builder": "reads raw, owns what dbt builds",
    "rampart_monitor": "reads the schemas below, writes verdicts and logs",
    "rampart_reader": "reads what dbt builds, and verdicts; writes nothing",
}


STORE_SCHEMAS = ("monitoring", "quarantine")
"""The store's own: each of their tables has grants of its own."""
BUILT_SCHEMAS = ("staging", "facts", "salesforce_curated")
"""What the domains of Rampart itself are built into."""
SYSTEM = ("pg_", "information_schema")
KINDS = {
    "raw": "rampart_loader writes, rampart_builder and rampart_monitor read",
    "built": "rampart_builder owns what it builds, rampart_monitor and rampart_reader read",
    "source": "rampart_builder and rampart_monitor read",
}
"""{kind of a schema: what is granted there}."""


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


def grant_roles(
    connection: Connection,
    passwords: dict[str, str],
    named: Iterable[str] = (),
    known: Mapping[str, str] | None = None,
) -> list[str]:
    """Create the roles that are missing and set every grant anew; commits. A line per role, and
    one per schema.

    `named`: further schemas that dbt builds into, made where they are not there. `known`: {schema:
    built | source} of the dbt project; those that are not there are left out. Raises UsageError for
    a name that cannot be granted, GrantError when the current role may not.
    """
    try:
        for role, password in {role: passwords.get(role) for role in ROLES}.items():
            _ensure_role(connection, role, password)
        for name, text in statements("grants.sql").items():
            if name.startswith("each_schema"):
                continue
            connection.execute(text.encode())
        schemas = _schemas(connection, list(named), known or {})
        for schema, kind in schemas.items():
            grants = sql.SQL(statements("grants.sql")[f"each_schema_{kind}"])
            connection.execute(grants.format(schema=sql.Identifier(schema)))
        connection.commit()
    except psycopg.errors.InsufficientPrivilege as error:
        connection.rollback()
        raise GrantError(
            f"roles need a superuser or one with createrole: {str(error).splitlines()[0]}"
        ) from None
    lines = [f"{role}: {what}" for role, what in ROLES.items()]
    lines += [f"schema {each}: docs/roles.md, table by table" for each in STORE_SCHEMAS]
    return lines + [f"schema {each}: {KINDS[kind]}" for each, kind in sorted(schemas.items())]


def _ensure_role(connection: Connection, role: str, password: str | None) -> None:
    name = sql.Identifier(role)
    exists = connection.execute("select 1 from pg_roles where rolname = %s", (role,)).fetchone()
    if not exists:
        connection.execute(sql.SQL("create role {} login").format(name))
    # An unqualified data_quality_metrics works for them; nobody else's settings are touched.
    connection.execute(sql.SQL("alter role {} set search_path = monitoring, public").format(name))
    if password:
        connection.execute(sql.SQL("alter role {} password {}").format(name, sql.Literal(password)))


def _schemas(
    connection: Connection, named: Sequence[str], known: Mapping[str, str]
) -> dict[str, str]:
    """{schema: raw | built | source} of what Rampart and dbt use here."""
    feeds = connection.execute(
        "select distinct split_part(raw_table, '.', 1) from monitoring.feeds"
    ).fetchall()
    raw = dict.fromkeys((row[0] for row in feeds), "raw")
    for name in named:
        if name in raw or name in STORE_SCHEMAS or name.startswith(SYSTEM):
            raise UsageError(
                f"--schema {name}: found a schema of {_whose(name, raw)}, allowed is one that dbt"
                " builds into"
            )
    rows = connection.execute(
        "select nspname from pg_namespace where nspname = any(%s)", (list(known),)
    ).fetchall()
    there = {row[0]: known[row[0]] for row in rows if not row[0].startswith(SYSTEM)}
    found = {**there, **dict.fromkeys([*BUILT_SCHEMAS, *named], "built"), **raw}
    return {schema: kind for schema, kind in found.items() if schema not in STORE_SCHEMAS}


def _whose(name: str, raw: Collection[str]) -> str:
    return "raw rows" if name in raw else "the store" if name in STORE_SCHEMAS else "the database"
