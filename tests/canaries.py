"""Secrets and personal values planted in a test, and searched for in everything that it produced.

The fixture `canaries` gives a test values to plant and commands to run; when the test is over it
greps the output of each command, every file below the watched folders, every row of the watched
schemas and every message that receivers got.
"""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest
from psycopg import sql

from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.receivers import HttpReceiver

ROOT = Path(__file__).parents[1]


@dataclass
class Canaries:
    """What was planted, and where it may not turn up."""

    planted: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    receivers: list[HttpReceiver] = field(default_factory=list)
    exempt: set[Path] = field(default_factory=set)
    """Files in which a value stands because the test put it there."""

    def plant(self, name: str) -> str:
        """A value that stands nowhere else; one that URLs and JSON have to quote."""
        self.planted[name] = f"canary/{name}+{secrets.token_hex(8)}"
        return self.planted[name]

    def run(
        self, folder: Path, *arguments: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A command of the command line as a user starts it, with all its logs."""
        log_file = folder / "rampart.log"
        done = subprocess.run(
            [sys.executable, "-m", "monitors.cli", "--log-level", "debug", "--log-file",
             str(log_file), *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        self.outputs[f"{len(self.outputs)}: {' '.join(arguments)}"] = done.stdout + done.stderr
        return done

    def found(self) -> list[str]:
        """Where a planted value turned up."""
        forms = {
            form: name
            for name, value in self.planted.items()
            for form in (
                value, quote(value, safe=""), value.replace("/", "\\/"),
                base64.b64encode(value.encode()).decode(),
            )
        }  # fmt: skip
        return [
            f"{forms[form]} in {place}"
            for place, text in self._produced()
            for form in forms
            if form in text
        ]

    def _produced(self) -> Iterator[tuple[str, str]]:
        for command, text in self.outputs.items():
            yield f"the output of `{command}`", text
        for folder in self.folders:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and path not in self.exempt:
                    yield str(path.relative_to(folder)), path.read_bytes().decode("latin-1")
        for number, receiver in enumerate(self.receivers):
            for message in receiver.received:
                # the address itself is the receiver's own
                yield f"a message to receiver {number}", message.body.decode("latin-1")
        for target in self.targets:
            yield from _rows(target)


def _rows(target: Target) -> Iterator[tuple[str, str]]:
    """Every row of what Rampart itself writes, as text; raw bytes of dead letters are data."""
    with connect(target) as connection:
        tables = connection.execute(
            "select relnamespace::regnamespace::text, relname from pg_class where relkind = 'r'"
            " and relnamespace in ('monitoring'::regnamespace, 'quarantine'::regnamespace)"
        ).fetchall()
        for schema, name in tables:
            query = sql.SQL("select to_jsonb(t) - 'content' from {} as t").format(
                sql.Identifier(schema, name)
            )
            for (row,) in connection.execute(query):
                yield f"a row of {schema}.{name}", str(row)


@pytest.fixture
def canaries() -> Iterator[Canaries]:
    """Plant, run, and be searched at the end."""
    planted = Canaries()
    yield planted
    found = planted.found()
    assert not found, "\n".join(found)
