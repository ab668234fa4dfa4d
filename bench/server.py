"""An embedded Postgres of the benchmarks' own, with Rampart's schema, gone afterwards."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figure import seconds_of
from monitors.store.migrate import migrate
from monitors.warehouse.connection import connect
from monitors.warehouse.embedded import EmbeddedPostgres
from monitors.warehouse.target import Target


@dataclass(frozen=True)
class Server:
    """A running server with the database `rampart`."""

    postgres: EmbeddedPostgres
    target: Target

    def execute(self, *statements: str) -> None:
        """Run statements, each in a transaction of its own."""
        with connect(self.target, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def count(self, table: str) -> int:
        with connect(self.target) as connection:
            row = connection.execute(f"select count(*) from {table}".encode()).fetchone()
        return int(row[0]) if row else 0

    def psql_seconds(self, command: str) -> float:
        """The wall time of `psql -c COMMAND`."""
        where = ["-h", self.target.host, "-U", self.target.user, "-d", self.target.dbname]
        flags = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", command]
        return seconds_of([self.postgres.binary("psql"), *where, *flags])


@contextmanager
def embedded_server(folder: Path) -> Iterator[Server]:
    """Start a server under `folder`; stop it and delete its data at the end, whatever happens."""
    postgres = EmbeddedPostgres(folder / "home")
    try:
        target = postgres.start()
        with connect(target) as connection:
            migrate(connection)
        yield Server(postgres, target)
    finally:
        postgres.reset()
        for left in {postgres.folder, postgres.sockets, postgres.home}:
            shutil.rmtree(left, ignore_errors=True)
