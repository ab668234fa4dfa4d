"""One JSON document per file: the whole file is one record, or one dead letter.

Such a file has no second record to go on with, so nothing is cut and nothing is skipped: an empty
file, an array, two documents or half of one are each a dead letter, with the line of the fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from monitors.arrival.records import (
    BOM,
    MAX_LINE_BYTES,
    BadRecord,
    Batch,
    BrokenFile,
    GoodRecord,
    json_fault_at,
)

_NO_JSON = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""Control characters that JSON allows nowhere: the COPY frames a document with one of them."""


def cut_document(blocks: Iterator[bytes]) -> Iterator[Batch]:
    """The whole file as one batch of one record, a BOM dropped; an empty file is a record, too.

    Of a file beyond MAX_LINE_BYTES only that much and one byte are kept: memory stays flat.
    """
    held: list[bytes] = []
    size = 0
    broken = None
    try:
        for block in blocks:
            if size <= MAX_LINE_BYTES:
                held.append(block)
                size += len(block)
    except BrokenFile as error:
        broken = error
    content = b"".join(held).removeprefix(BOM)[: MAX_LINE_BYTES + 1]
    yield Batch([content], 1, doubtful=True, multiline=True)
    if broken:
        raise broken


def judge_document(batch: Batch, encoding: str) -> Iterator[GoodRecord | BadRecord]:
    """The document as its text without outer blanks, or why it is none and in which line."""
    (content,) = batch.lines
    if len(content) > MAX_LINE_BYTES:
        said = f"a document of more than {MAX_LINE_BYTES:,} bytes; its beginning is kept"
        yield BadRecord(1, said, content)
        return
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        yield BadRecord(line, f"not valid {encoding} at byte {error.start + 1}", content)
        return
    fault = _fault_at(text)
    yield BadRecord(*fault, content) if fault else GoodRecord(1, [text.strip()])


def _fault_at(text: str) -> tuple[int, str] | None:
    if not text.strip():
        return 1, "empty: there is no document in it"
    if fault := json_fault_at(text):
        return fault
    # what lies too deep for Python to look at may still hold one
    if found := _NO_JSON.search(text):
        return text.count("\n", 0, found.start()) + 1, "broken JSON: a control character"
    return None
