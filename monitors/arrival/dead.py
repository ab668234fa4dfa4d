"""Dead letters of one file while it is loaded; a file of garbage must not fill the memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from tempfile import SpooledTemporaryFile

from monitors.store.postgres import DeadLetter

MEMORY_BYTES = 1024 * 1024
"""What is kept in memory; the rest goes through a temporary file."""
CHUNK = 1000
"""How many are handed to the store at once."""


class DeadLetters:
    """Append, count, and read back once in chunks."""

    def __init__(self) -> None:
        self._spool = SpooledTemporaryFile(max_size=MEMORY_BYTES, mode="w+b")  # noqa: SIM115
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, letter: DeadLetter) -> None:
        content = letter.content.decode("latin-1")
        values = [letter.source_row, letter.line, letter.reason, content, letter.content_bytes]
        self._spool.write(json.dumps(values).encode() + b"\n")
        self._count += 1

    def chunks(self) -> Iterator[list[DeadLetter]]:
        """All of them, in order of arrival."""
        self._spool.seek(0)
        letters = map(_letter, self._spool)
        while chunk := list(islice(letters, CHUNK)):
            yield chunk
        self.close()

    def close(self) -> None:
        self._spool.close()


def _letter(line: bytes) -> DeadLetter:
    row, number, reason, content, size = json.loads(line)
    return DeadLetter(row, number, reason, content.encode("latin-1"), size)
