"""`rampart db`: the database itself. The embedded one is started and stopped, any one is served."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitors.cli_common import settings
from monitors.errors import ExitCode, PipelineFailed, UsageError

if TYPE_CHECKING:
    from monitors.warehouse.embedded import EmbeddedPostgres
    from monitors.warehouse.target import Target


def _root() -> Path:
    return settings.config().root


def _embedded() -> EmbeddedPostgres:
    """The embedded server of this project; refuses when another database is configured."""
    from monitors.warehouse.connection import state_folder
    from monitors.warehouse.embedded import EmbeddedPostgres
    from monitors.warehouse.target import configured_target

    configured = configured_target(_root())
    if configured is not None:
        raise UsageError(f"this is for the embedded Postgres; configured is {configured}")
    return EmbeddedPostgres(state_folder(_root()))


def _target() -> Target:
    from monitors.warehouse.connection import resolve_target

    return resolve_target(_root())


@click.group()
def db() -> None:
    """The database: start, stop, psql, migrate, grant, backup, restore, reset."""


@db.command()
def start() -> ExitCode:
    """Start the embedded Postgres (every command does that by itself)."""
    target = _embedded().start()
    click.echo(f"running: psql -h {target.host} -U {target.user} {target.dbname}")
    return ExitCode.OK


@db.command()
def stop() -> ExitCode:
    """Stop the embedded Postgres; its data stay."""
    click.echo("stopped" if _embedded().stop() else "was not running")
    return ExitCode.OK


@db.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(yes: bool) -> ExitCode:
    """Delete the embedded Postgres with everything in it."""
    embedded = _embedded()
    if not yes:
        click.confirm(f"delete all data in {embedded.data}?", abort=True)
    embedded.reset()
    click.echo("deleted; the next command starts an empty one")
    return ExitCode.OK


@db.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(arguments: tuple[str, ...]) -> int:
    """psql on the warehouse; ARGUMENTS go to psql."""
    return _client("psql", *arguments)


@db.command()
def migrate() -> ExitCode:
    """Bring the schema monitoring to this version (every command does that by itself)."""
    from monitors.store.migrate import migrate as apply
    from monitors.warehouse.connection import connect

    with connect(_target()) as connection:
        applied = apply(connection)
    click.echo("\n".join(f"applied {name}" for name in applied) or "up to date")
    return ExitCode.OK


@db.command()
@click.option(
    "--password-file", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Lines `role: password`; a role without one cannot log in yet.",
)  # fmt: skip
@click.option(
    "--schema", "schemas", multiple=True, metavar="NAME",
    help="A further schema that dbt builds into; may be given more than once.",
)  # fmt: skip
def grant(password_file: Path | None, schemas: tuple[str, ...]) -> ExitCode:
    """Create the least-privilege roles, or bring their grants up to date.

    The schemas of the last build's models and sources are granted, too, as far as they are there.
    """
    from monitors.commands.evidence import read_manifest
    from monitors.store.migrate import migrate as apply
    from monitors.store.roles import grant_roles, read_passwords
    from monitors.warehouse.connection import connect
    from monitors.warehouse.manifest import schemas_of

    passwords = read_passwords(password_file) if password_file else {}
    target = _target()
    known = schemas_of(read_manifest(_root()), target.dbname)
    with connect(target) as connection:
        apply(connection)
        for line in grant_roles(connection, passwords, schemas, known):
            click.echo(line)
    return ExitCode.OK


@db.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup(file: Path) -> ExitCode:
    """Write the whole database into FILE (pg_dump's custom format)."""
    staged = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        if _client("pg_dump", "--format=custom", f"--file={staged.resolve()}"):
            raise PipelineFailed(f"pg_dump failed; {file} was not written")
        staged.replace(file)
    finally:
        staged.unlink(missing_ok=True)
    click.echo(f"{file}: {file.stat().st_size:,} bytes")
    return ExitCode.OK


@db.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def restore(file: Path) -> ExitCode:
    """Read a backup into an empty database, all of it or nothing."""
    target = _target()
    code = _client("pg_restore", "--no-owner", "--single-transaction", "--exit-on-error",
                   f"--dbname={target.dbname}", str(file.resolve()))  # fmt: skip
    if code:
        raise PipelineFailed(f"{file} was not restored: the database must be empty (db reset)")
    click.echo("restored")
    return ExitCode.OK


def _client(name: str, *arguments: str) -> int:
    """A Postgres client program on the warehouse; its exit code."""
    from monitors.warehouse.connection import state_folder
    from monitors.warehouse.embedded import EmbeddedPostgres

    target = _target()
    binary = EmbeddedPostgres(state_folder(_root())).binary(name)
    done = subprocess.run(
        [str(binary), *arguments],
        env={
            **os.environ,
            "PGHOST": target.host,
            "PGPORT": str(target.port),
            "PGUSER": target.user,
            "PGPASSWORD": target.password,
            "PGDATABASE": target.dbname,
        },
        check=False,
    )
    return done.returncode
