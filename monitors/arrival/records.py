"""From bytes to records: cut a file into batches of whole records, without parsing what is sound.

A batch is what one COPY may take. The fast path looks at whole blocks with C-speed byte counts and
leaves parsing to Postgres; only a batch that Postgres refuses, or whose quotes look odd, is judged
record by record (`judge_csv`, `judge_jsonl`). What cannot be read becomes a `BadRecord`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from monitors.arrival.storage import Source

BLOCK_BYTES = 128 * 1024
"""Small enough that Postgres parses one block while Python prepares the next."""
MAX_RECORD_BYTES = 4 * 1024 * 1024
"""A quote that is still open after this many bytes was never meant to open."""
MAX_LINE_BYTES = 16 * 1024 * 1024
"""Of a longer line only this much and one byte are kept, and it is a dead letter."""
HEAD_BYTES = 64 * 1024
"""How much of a file's beginning decides what ends its lines."""
BOM = b"\xef\xbb\xbf"

csv.field_size_limit(MAX_RECORD_BYTES)


class BrokenFile(Exception):
    """The file ends or turns to garbage in the middle: what it holds is not whole."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole records in file order. `lines` are physical lines, without their line ends."""

    lines: list[bytes]
    first_line: int
    """1 is the first line of the file."""
    doubtful: bool
    """Do not hand this to Postgres as it is: its quotes cannot be trusted, or JSON needs a look."""
    multiline: bool = False
    """Some records span several lines."""


@dataclass(frozen=True, slots=True)
class BadRecord:
    """What could not be read: where it began, why, and its bytes."""

    line: int
    reason: str
    content: bytes


@dataclass(frozen=True, slots=True)
class GoodRecord:
    """A record as Postgres may have it: CSV values, or the one JSON text."""

    line: int
    values: list[str]


def read_blocks(
    path: Source, digest: Any = None, progress: Callable[[int], None] | None = None
) -> Iterator[bytes]:
    """The content of a file in blocks, unpacked when it is gzip (by its first bytes, not its name).

    `digest` is updated with the bytes as they lie. Raises BrokenFile after the last good block.
    """
    with path.open("rb") as file:
        unpack = None
        started = False
        while block := file.read(BLOCK_BYTES):
            if digest is not None:
                digest.update(block)
            if progress is not None:
                progress(len(block))
            if not started:
                started = True
                unpack = zlib.decompressobj(31) if block[:2] == b"\x1f\x8b" else None
            if unpack is None:
                yield block
                continue
            try:
                while block:
                    if unpacked := unpack.decompress(block, 8 * BLOCK_BYTES):
                        yield unpacked
                    block = unpack.unconsumed_tail
                    if unpack.eof and (rest := unpack.unused_data.lstrip(b"\0")):
                        unpack, block = zlib.decompressobj(31), rest
                    elif unpack.eof:
                        break
            except zlib.error as error:
                raise BrokenFile(f"the gzip data are damaged ({error})") from None
        if unpack is not None and not unpack.eof:
            raise BrokenFile("the gzip data end in the middle")


def sha256_of(path: Source) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def cut_lines(blocks: Iterator[bytes]) -> Iterator[tuple[list[bytes], int, bool]]:
    """(lines, number of the first, whether more follow), cut at line ends; a BOM is dropped."""
    begun: list[bytes] = []  # pieces of a line whose end has not come yet
    held, number = 0, 1
    for block in _plain(blocks):
        end = block.rfind(b"\n")
        if end < 0:
            if held <= MAX_LINE_BYTES:
                begun.append(block)
                held += len(block)
            continue
        lines = b"".join([*begun, block[:end]]).split(b"\n")
        lines[0] = lines[0][: MAX_LINE_BYTES + 1]
        begun = [block[end + 1 :]]
        held = len(begun[0])
        yield lines, number, True
        number += len(lines)
    if rest := b"".join(begun)[: MAX_LINE_BYTES + 1]:
        yield [rest], number, False


def _plain(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Without a BOM, and with line feeds where a file's lines end with bare carriage returns."""
    head: list[bytes] = []
    broken = None
    try:
        while sum(map(len, head)) < HEAD_BYTES and (block := next(blocks, None)) is not None:
            head.append(block)
    except BrokenFile as error:
        broken = error
    start = b"".join(head)
    drop = len(BOM) if start.startswith(BOM) else 0
    bare = b"\n" not in start and b"\r" in start[:-1]
    for block in chain(head, blocks):
        dropped, drop = drop, max(0, drop - len(block))
        yield block[dropped:].replace(b"\r", b"\n") if bare else block[dropped:]
    if broken:
        raise broken


def cut_jsonl(blocks: Iterator[bytes]) -> Iterator[Batch]:
    """Batches of JSON Lines: a record is a line."""
    for lines, number, _more in cut_lines(blocks):
        yield Batch(lines, number, doubtful=_odd_json(lines))


def cut_csv(blocks: Iterator[bytes], delimiter: bytes = b",") -> Iterator[Batch]:
    """Batches of CSV that end between two records; a record may span lines inside quotes."""
    held: list[bytes] = []
    first = 1
    for lines, number, more in cut_lines(blocks):
        if not held:
            first = number
        held += lines
        text = b"\n".join(held)
        # the COPY reads a bare \x01 as null, and a field beyond the limit of csv is judged
        odd = b"\x01" in text or len(text) > MAX_RECORD_BYTES
        if b'"' not in text:
            yield Batch(held, first, doubtful=odd)
            held = []
            continue
        parts = _around_quotes(text)
        keep = _open_tail(held) if more and _is_open(parts) else 0
        if keep:
            parts = _around_quotes(b"\n".join(held[:-keep]))
        stray = _stray_quote(parts, delimiter)
        if more and stray:  # counting proves nothing any more
            keep = _unfinished(held, delimiter.decode())
        if keep and sum(map(len, held[-keep:])) > MAX_RECORD_BYTES:
            keep, odd = 0, True
        batch = held[: len(held) - keep] if keep else held
        held = held[len(held) - keep :] if keep else []
        if batch:
            yield Batch(batch, first, odd or stray, _is_multiline(parts))
        first += len(batch)
    if held:
        parts = _around_quotes(b"\n".join(held))
        yield Batch(held, first, _stray_quote(parts, delimiter), _is_multiline(parts))


def read_header(lines: list[bytes], delimiter: str, encoding: str) -> tuple[list[str] | None, int]:
    """(cells of the first record that is not blank, how many lines it and the blank ones took).

    A header that is no sound CSV is its one line: a stray quote must not swallow the rows below.
    """
    texts = [line.decode(encoding, errors="replace").replace("\0", "") for line in lines]
    reader = csv.reader((text + "\n" for text in texts), delimiter=delimiter, strict=True)
    before = 0
    try:
        for cells in reader:
            if cells:
                return cells, reader.line_num
            before = reader.line_num
    except csv.Error:
        line = re.sub(r'[\r"]+', " ", texts[before])
        return line.split(delimiter), before + 1
    return None, len(lines)


def judge_csv(batch: Batch, columns: int, delimiter: str, encoding: str) -> Iterator[
    GoodRecord | BadRecord
]:  # fmt: skip
    """Read a batch record by record. A record that does not fit costs its own first line only."""
    lines = batch.lines
    at = 0
    while at < len(lines):
        # strict: `"a"b` is an error and not a silent change of the value
        reader = csv.reader(
            (_text(lines[index], encoding) + "\n" for index in range(at, len(lines))),
            delimiter=delimiter,
            strict=True,
        )
        start = at
        while True:
            begin = start + reader.line_num
            try:
                values = next(reader)
            except StopIteration:
                at = len(lines)
                break
            except csv.Error as error:
                yield BadRecord(batch.first_line + begin, _csv_reason(error), lines[begin])
                at = begin + 1
                break
            height = start + reader.line_num - begin
            if not values:
                continue
            reason = _row_fault(values, columns, encoding)
            if any(len(line) > MAX_LINE_BYTES for line in lines[begin : begin + height]):
                reason = _TOO_LONG
            if reason is None:
                yield GoodRecord(batch.first_line + begin, values)
                continue
            yield BadRecord(batch.first_line + begin, reason, lines[begin])
            if height > 1:  # the line's quote swallowed its neighbours: give them back
                at = begin + 1
                break


def judge_jsonl(batch: Batch, encoding: str) -> Iterator[GoodRecord | BadRecord]:
    """Read a batch of JSON Lines line by line; blank lines are no records."""
    for offset, line in enumerate(batch.lines):
        if not line.strip():
            continue
        number = batch.first_line + offset
        if len(line) > MAX_LINE_BYTES:
            yield BadRecord(number, _TOO_LONG, line)
            continue
        try:
            text = line.decode(encoding).strip()
        except UnicodeDecodeError as error:
            yield BadRecord(number, f"not valid {encoding} at byte {error.start + 1}", line)
            continue
        reason = json_fault(text)
        yield BadRecord(number, reason, line) if reason else GoodRecord(number, [text])


def json_fault(text: str) -> str | None:
    """Why this text is not a JSON object that Postgres can hold; None when it is one."""
    fault = json_fault_at(text)
    return fault[1] if fault else None


def json_fault_at(text: str) -> tuple[int, str] | None:
    """The same with the line of the text in which the fault shows; 1 is the first.

    A record must not fare worse for its neighbours: how large a number is and how deep it lies is
    for Postgres to judge, which sees the records of all other batches alone.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=str, parse_int=str)
        if not isinstance(value, dict):
            return 1, "not a JSON object"
        plain = json.dumps(value, ensure_ascii=False)
        plain.encode("utf-8")
    except json.JSONDecodeError as error:
        return error.lineno, f"broken JSON: {error.msg} at column {error.colno}"
    except UnicodeEncodeError:
        return 1, "broken JSON: half of a surrogate pair"
    except RecursionError:
        return (1, "NUL character") if _ESCAPED_NUL.search(text) else None
    except ValueError as error:
        return 1, f"broken JSON: {error}"
    return (1, "NUL character") if _ESCAPED_NUL.search(plain) else None


# -------------------------------------------------------------------- the pieces

_TOO_LONG = f"a line of more than {MAX_LINE_BYTES:,} bytes; its beginning is kept"

_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_LONE_SURROGATE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]"
)


def _odd_json(lines: list[bytes]) -> bool:
    """Whether something here may pass Postgres' syntax check and still not be a readable object."""
    if b"".join([line[:1] for line in lines]) != b"{" * len(lines):
        return True
    text = b"\n".join(lines)
    if b"\\" in text and b"\\u" in text:  # looking for one byte is much faster than for two
        if b"\\u0000" in text:
            return True
        if (b"\\ud" in text or b"\\uD" in text) and _LONE_SURROGATE.search(text):
            return True
    return b"\x01" in text


def _open_tail(lines: list[bytes]) -> int:
    """How many lines at the end belong to a record whose quote is still open, quotes being odd."""
    # it begins at the last line that has an even number of quotes before it and an odd one within
    for back, line in enumerate(reversed(lines), start=1):
        if line.count(b'"') % 2:
            return back
    return 0


def _unfinished(lines: list[bytes], delimiter: str) -> int:
    """The same where a quote is stray: read as `judge_csv` reads, which sees more than a count."""
    at = 0
    while at < len(lines):
        rest = (lines[index].decode("latin-1") + "\n" for index in range(at, len(lines)))
        reader = csv.reader(rest, delimiter=delimiter, strict=True)
        begin = at
        try:
            for _values in reader:
                begin = at + reader.line_num
        except csv.Error as error:
            if "end of data" in str(error):
                return len(lines) - begin
            at = begin + 1
            continue
        break
    return 0


def whole_records(batch: Batch) -> list[bytes]:
    """The records of a batch whose quotes can be trusted, line ends inside quotes kept."""
    if not batch.multiline:
        lines = batch.lines
        if b"" in lines or b"\r" in lines:
            lines = [line for line in lines if line and line != b"\r"]
        if lines and lines[0].endswith(b"\r"):
            lines = [line.removesuffix(b"\r") for line in lines]
        return lines
    # a line with an odd number of quotes begins or ends a record of several lines
    odd = [index for index, line in enumerate(batch.lines) if line.count(b'"') % 2]
    records: list[bytes] = []
    done = 0
    for begin, end in zip(odd[::2], odd[1::2], strict=False):
        records += _without_ends(batch.lines[done:begin])
        records.append(b"\n".join(batch.lines[begin : end + 1]).removesuffix(b"\r"))
        done = end + 1
    last = odd[-1] if len(odd) % 2 else len(batch.lines)
    records += _without_ends(batch.lines[done:last])
    return records + ([b"\n".join(batch.lines[last:])] if batch.lines[last:] else [])


def _without_ends(lines: list[bytes]) -> list[bytes]:
    return [line.removesuffix(b"\r") for line in lines if line and line != b"\r"]


def _around_quotes(text: bytes) -> list[bytes]:
    """What lies outside and what lies inside of quotes, in turns; the outermost are never empty."""
    framed = b"\n%b\n" % text
    if b"\r" in framed:
        framed = framed.replace(b"\r\n", b"\n")
    return framed.split(b'"')


def _is_open(parts: list[bytes]) -> bool:
    return len(parts) % 2 == 0


def _is_multiline(parts: list[bytes]) -> bool:
    return b"\n" in b"".join(parts[1::2])


def _stray_quote(parts: list[bytes], delimiter: bytes) -> bool:
    """Whether some quote neither opens nor closes a whole field, nor is doubled inside one.

    An empty part outside of quotes is a doubled quote: the field goes on. All others must touch
    their quotes with a delimiter or a line end.
    """
    if _is_open(parts):
        return True
    # most are alike, so a set is soon small
    between = set(parts[2:-1:2]) - {b""}
    edges = {part[0] for part in between} | {part[-1] for part in between}
    return not edges | {parts[0][-1], parts[-1][0]} <= set(delimiter + b"\n")


def _text(line: bytes, encoding: str) -> str:
    return line.decode(encoding, errors="surrogateescape")


def _row_fault(values: list[str], columns: int, encoding: str) -> str | None:
    if len(values) != columns:
        return f"{len(values)} fields where the header has {columns}"
    if any("\0" in value for value in values):
        return "NUL byte"
    try:
        for value in values:
            value.encode("utf-8")
    except UnicodeEncodeError:
        return f"not valid {encoding}"
    return None


def _csv_reason(error: csv.Error) -> str:
    said = str(error)
    if "NUL" in said:
        return "NUL byte"
    if "end of data" in said:
        return "a quote is opened and never closed"
    if "expected after" in said:
        return "text after a closing quote"
    if "new-line character" in said:
        return "a carriage return inside an unquoted field"
    return said


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def csv_text(records: list[list[str]], delimiter: str = ",") -> bytes:
    """Records as CSV that Postgres reads back to the same values."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows(records)
    return buffer.getvalue().encode("utf-8")
