"""Every statement of the store, by name, from the .sql files beside this module."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_HEADER = re.compile(r"^-- (\w+) --\n((?:-- .*\n)+)", re.MULTILINE)


@cache
def statements(file_name: str = "queries.sql") -> dict[str, str]:
    """`{name: sql}`; each starts with `-- name --` and at least one line that explains it."""
    text = (files(__package__) / file_name).read_text(encoding="utf-8")
    parts = _HEADER.split(text)
    return {name: sql.strip() for name, sql in zip(parts[1::3], parts[3::3], strict=True)}


def statement(name: str) -> str:
    """The statement of that name in queries.sql."""
    return statements()[name]
