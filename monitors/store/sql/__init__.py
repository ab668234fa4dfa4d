"""Every statement of the store, by name, from the .sql files beside this module."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_HEADER = re.compile(r"^-- (\w+) --\n((?:-- .*\n)+)", re.MULTILINE)
_GRANTS = "grants.sql"
"""Its names are roles, and its texts are run in order."""


@cache
def statements(file_name: str) -> dict[str, str]:
    """`{name: sql}`; each starts with `-- name --` and at least one line that explains it."""
    text = (files(__package__) / file_name).read_text(encoding="utf-8")
    parts = _HEADER.split(text)
    return {name: sql.strip() for name, sql in zip(parts[1::3], parts[3::3], strict=True)}


def statement(name: str) -> str:
    """The statement of that name, whichever file it stands in; one name stands once."""
    return _all_statements()[name]


@cache
def _all_statements() -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in sorted(files(__package__).iterdir(), key=lambda each: each.name):
        if entry.name.endswith(".sql") and entry.name != _GRANTS:
            more = statements(entry.name)
            if twice := sorted(found.keys() & more.keys()):
                raise KeyError(f"{entry.name}: the name {twice[0]} stands in two files")
            found.update(more)
    return found
