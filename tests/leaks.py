"""One password for every database of the suite, and a look at everything a test leaves behind.

Whatever a test runs gets it from the environment or a profile, as a user's commands do. It may
then stand in no output of a command, in no captured line, in no file below the test's folder but
those that a test wrote to configure something, and in no row of Rampart's own schemas.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import quote

from click.testing import CliRunner, Result

from monitors.errors import ConnectionFailed
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target

PASSWORD = "canary/of+the-suite"
FORMS = tuple(
    form.encode() for form in (PASSWORD, quote(PASSWORD, safe=""), PASSWORD.replace("/", "\\/"))
)
CONFIGURED = ("profiles.yml", "configuration.yml")
"""Files in which a user may write a password, too."""


class Leaks:
    """Places at which the password was seen since the last look."""

    def __init__(self) -> None:
        self._seen: list[str] = []

    def look(self, content: object, place: str) -> None:
        """Text or bytes; anything else, such as a pipe that nobody read, is no content."""
        if isinstance(content, str):
            content = content.encode("utf-8", "replace")
        if isinstance(content, bytes) and any(form in content for form in FORMS):
            self._seen.append(place)

    def look_at_files(self, folder: Path) -> None:
        for path in sorted(folder.rglob("*")):
            if path.name not in CONFIGURED and path.is_file() and not path.is_symlink():
                with suppress(OSError):  # a server's socket, or gone in between
                    self.look(path.read_bytes(), str(path.relative_to(folder)))

    def look_at_rows(self, targets: Iterable[Target]) -> None:
        for target in targets:
            with suppress(ConnectionFailed):  # a test dropped it, or stopped its server
                for table in _tables_with(target):
                    self._seen.append(f"{target.dbname}: a row of {table}")

    def taken(self) -> list[str]:
        """What was seen, and forgets it."""
        seen, self._seen = self._seen, []
        return seen


def _tables_with(target: Target) -> Iterator[str]:
    with connect(target, read_only=True) as connection:
        tables = connection.execute(
            "select format('%I.%I', relnamespace::regnamespace, relname) from pg_class"
            " where relkind = 'r'"
            " and relnamespace::regnamespace::text in ('monitoring', 'quarantine')"
        ).fetchall()
        for (table,) in tables:
            query = (
                f"select 1 from {table} as line where to_jsonb(line)::text like any (%s) limit 1"
            )
            patterns = [f"%{form.decode()}%" for form in FORMS]
            if connection.execute(query.encode(), [patterns]).fetchone():
                yield str(table)


@contextmanager
def watching(leaks: Leaks) -> Iterator[None]:
    """Every output of a command that a test reads goes past `leaks` first."""
    kept = subprocess.Popen.communicate, CliRunner.invoke

    @wraps(kept[0])
    def communicate(self: Any, *arguments: Any, **options: Any) -> Any:
        outputs = kept[0](self, *arguments, **options)
        for output in outputs:
            leaks.look(output, f"the output of {_shown(self.args)}")
        return outputs

    @wraps(kept[1])
    def invoke(self: Any, *arguments: Any, **options: Any) -> Result:
        result = kept[1](self, *arguments, **options)
        leaks.look(result.output + repr(result.exception), f"the output of {arguments[1:]}")
        return result

    _replace(communicate, invoke)
    yield
    _replace(*kept)


def _replace(communicate: Callable[..., Any], invoke: Callable[..., Any]) -> None:
    subprocess.Popen.communicate = communicate  # type: ignore[method-assign]
    CliRunner.invoke = invoke  # type: ignore[method-assign]


def _shown(command: object) -> str:
    return command if isinstance(command, str) else " ".join(map(os.fsdecode, command))  # type: ignore[call-overload]
