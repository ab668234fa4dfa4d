"""From bytes to records: each line of a file is in a record, in a dead letter, or blank."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from monitors.arrival import records
from monitors.arrival.dead import DeadLetters
from monitors.arrival.documents import cut_document, judge_document
from monitors.arrival.loader import moment_of
from monitors.arrival.records import (
    BadRecord,
    BrokenFile,
    GoodRecord,
    cut_csv,
    cut_jsonl,
    json_fault,
    judge_csv,
    judge_jsonl,
    read_blocks,
    read_header,
    whole_records,
)
from monitors.config_feeds import Moment
from monitors.store.postgres import DeadLetter

BLOCK_SIZES = (2, 3, 5, 7, 16, 64, 128 * 1024)


def blocks_of(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def read_csv(
    data: bytes, columns: int, size: int = 128 * 1024, encoding: str = "utf-8", delimiter: str = ","
) -> tuple[list[list[str]], list[BadRecord]]:
    """(rows, dead letters), as the loader reads: what is sound goes to a strict parser."""
    rows: list[list[str]] = []
    bad: list[BadRecord] = []
    line = 1
    for batch in cut_csv(blocks_of(data, size), delimiter.encode()):
        assert batch.first_line == line, "batches follow each other without a gap"
        line += len(batch.lines)
        if not batch.doubtful and encoding == "utf-8":
            found = _as_postgres(whole_records(batch), columns, delimiter)
            if found is not None:
                rows += found
                continue
        for record in judge_csv(batch, columns, delimiter, encoding):
            if isinstance(record, GoodRecord):
                rows.append(record.values)
            else:
                bad.append(record)
    return rows, bad


def _as_postgres(lines: list[bytes], columns: int, delimiter: str) -> list[list[str]] | None:
    """What COPY makes of these records, None where it refuses: a quote toggles wherever it is."""
    rows = []
    for line in lines:
        try:
            text = line.decode()
        except UnicodeDecodeError:
            return None
        fields, field, inside, at = [], "", False, 0
        while at < len(text):
            sign = text[at]
            if sign == "\0" or (sign == "\r" and not inside):
                return None
            if inside and text[at : at + 2] == '""':
                field += '"'
                at += 1
            elif sign == '"':
                inside = not inside
            elif sign == delimiter and not inside:
                fields.append(field)
                field = ""
            elif sign == "\n" and not inside:
                return None
            else:
                field += sign
            at += 1
        fields.append(field)
        if inside or len(fields) != columns:
            return None
        rows.append(fields)
    return rows


def read_jsonl(
    data: bytes, size: int = 128 * 1024, encoding: str = "utf-8"
) -> tuple[list[str], list[BadRecord]]:
    good, bad = [], []
    for batch in cut_jsonl(blocks_of(data, size)):
        for record in judge_jsonl(batch, encoding):
            if isinstance(record, GoodRecord):
                good.append(record.values[0])
            else:
                bad.append(record)
    return good, bad


@pytest.fixture(params=BLOCK_SIZES)
def size(request: pytest.FixtureRequest) -> int:
    return int(request.param)


# -------------------------------------------------------------------- CSV


CLEAN = {
    "plain": b"1,a\n2,b\n",
    "no line end at the end": b"1,a\n2,b",
    "windows": b"1,a\r\n2,b\r\n",
    "quoted": b'"1","a, b"\n"2","say ""yes"""\n',
    "empty quoted": b'"",""\n"",x\n',
    "only quotes": b'"""",""""""\n1,2\n',
    "multi-line": b'1,"a\nb\n\nc"\n2,"d\r\ne"\n3,f\n',
    "delimiter and line end inside": b'1,",\n,"\n2,"\n"\n',
    "quoted, windows": b'"1","a"\r\n"2","b\r\nc"\r\n',
    "blank lines": b"\n1,a\n\n\n2,b\n\n",
    "blank lines, windows": b"\r\n1,a\r\n\r\n2,b\r\n\r\n",
    "blank": b"1, \n \t,b\n",
    "backslash dot": b'\\.,a\n1,"\n\\.\n"\n',
    "unicode": 'é,"ü\n漢"\n😀,\x85\u2028\n'.encode(),
    "control characters": b"1,\x01\n2,\x02\x03\x1c\n",
}


@pytest.mark.parametrize("name", CLEAN)
def test_clean_csv_reads_as_pythons_csv_does_at_every_block_boundary(name: str, size: int) -> None:
    """Sound CSV has no dead letter, and its values are those of csv.reader(strict)."""
    data = CLEAN[name]
    expected = [
        row for row in csv.reader(io.StringIO(data.decode(), newline=""), strict=True) if row
    ]
    assert read_csv(data, 2, size) == (expected, [])


STRAY = {
    "inch marks lines apart": (
        b'1,5" pipe\n2,plain\n3,6" pipe\n',
        [["1", '5" pipe'], ["2", "plain"], ["3", '6" pipe']],
    ),
    "inch marks at line ends": (b'1,5"\n2,6"\n3,x\n', [["1", '5"'], ["2", '6"'], ["3", "x"]]),
    "two in one line": (b'1,5" or 6"\n2,x\n', [["1", '5" or 6"'], ["2", "x"]]),
    "doubled outside of quotes": (b'1,5"" pipe\n2,x\n', [["1", '5"" pipe'], ["2", "x"]]),
    "next to a real quote": (
        b'1,5" pipe\n2,"two\nlines"\n3,"say ""hi"""\n4,7"\n',
        [["1", '5" pipe'], ["2", "two\nlines"], ["3", 'say "hi"'], ["4", '7"']],
    ),
    "a space before the quote": (b'1, "x"\n2,y\n', [["1", ' "x"'], ["2", "y"]]),
}


@pytest.mark.parametrize("name", STRAY)
def test_a_quote_inside_an_unquoted_field_is_only_a_character(name: str, size: int) -> None:
    """A 5" pipe and a 6" pipe some lines apart never swallow the lines between them."""
    data, expected = STRAY[name]
    assert read_csv(data, 2, size) == (expected, [])


def test_a_quote_that_never_closes_costs_its_own_line_only(size: int) -> None:
    """The lines after it are read as if it were not there; the dead letter says what and where."""
    rows, bad = read_csv(b'1,a\n2,"open\n3,c\n4,d\n', 2, size)
    assert rows == [["1", "a"], ["3", "c"], ["4", "d"]]
    assert bad == [BadRecord(2, "a quote is opened and never closed", b'2,"open')]


def test_text_after_a_closing_quote_is_a_dead_letter() -> None:
    """`"a"b` is no field: the value would silently change."""
    rows, bad = read_csv(b'1,"a"b\n2,c\n', 2)
    assert rows == [["2", "c"]]
    assert bad == [BadRecord(1, "text after a closing quote", b'1,"a"b')]


def test_wrong_number_of_fields_says_how_many_there_are() -> None:
    """A row of three fields under a header of two is a dead letter, and so is a row of one."""
    rows, bad = read_csv(b"1,a\n2,b,c\n3\n4,d\n", 2)
    assert rows == [["1", "a"], ["4", "d"]]
    assert [(each.line, each.reason) for each in bad] == [
        (2, "3 fields where the header has 2"),
        (3, "1 fields where the header has 2"),
    ]


def test_a_quote_that_swallowed_its_neighbours_gives_them_back() -> None:
    """Two wrong quotes that pair up by chance make one misfit: only the first line is lost."""
    rows, bad = read_csv(b'1,"a,x\n2,b\n3,",c\n4,d\n', 2)
    assert ["2", "b"] in rows
    assert ["4", "d"] in rows
    assert [each.line for each in bad] == [1, 3]


def test_nul_and_invalid_utf8_are_dead_letters_of_their_lines() -> None:
    """Postgres can hold neither; the neighbours are loaded."""
    rows, bad = read_csv(b"1,a\0b\n2,\xff\xfe\n3,c\n", 2)
    assert rows == [["3", "c"]]
    assert [(each.line, each.reason) for each in bad] == [(1, "NUL byte"), (2, "not valid utf-8")]


def test_a_carriage_return_inside_an_unquoted_field_is_a_dead_letter() -> None:
    """Whether it meant a new line cannot be told."""
    rows, bad = read_csv(b"1,a\n2,b\rc\n3,d\n", 2)
    assert rows == [["1", "a"], ["3", "d"]]
    assert bad == [BadRecord(2, "a carriage return inside an unquoted field", b"2,b\rc")]


def test_a_file_whose_lines_end_with_bare_carriage_returns_is_read(size: int) -> None:
    """As old Macs and some exports write them: every line is a record, none is swallowed."""
    assert read_csv(b"1,a\r2,b\r3,c\r", 2, size) == ([["1", "a"], ["2", "b"], ["3", "c"]], [])


def test_line_ends_may_be_mixed(size: int) -> None:
    """A file put together from two systems has both."""
    assert read_csv(b"1,a\n2,b\r\n3,c\n", 2, size)[0] == [["1", "a"], ["2", "b"], ["3", "c"]]


def test_a_bom_is_no_part_of_the_first_value(size: int) -> None:
    """At the beginning it goes; later it is data."""
    assert read_csv(b"\xef\xbb\xbf1,a\n\xef\xbb\xbf2,b\n", 2, size) == (
        [["1", "a"], ["\ufeff2", "b"]],
        [],
    )


@pytest.mark.parametrize(("encoding", "euro"), [("latin-1", b"\xa4"), ("cp1252", b"\x80")])
def test_feeds_in_old_encodings_are_decoded(encoding: str, euro: bytes) -> None:
    """The bytes mean what the feed's encoding says."""
    rows, bad = read_csv(b"1,\xe9t\xe9\n2," + euro + b"\n", 2, encoding=encoding)
    assert rows == [["1", "été"], ["2", euro.decode(encoding)]]
    assert bad == []


def test_a_byte_that_the_encoding_does_not_know_is_a_dead_letter() -> None:
    """cp1252 has five holes; a byte in one of them is not guessed."""
    rows, bad = read_csv(b"1,a\n2,\x81\n", 2, encoding="cp1252")
    assert rows == [["1", "a"]]
    assert bad == [BadRecord(2, "not valid cp1252", b"2,\x81")]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters(delimiter: str, size: int) -> None:
    """A comma is then a character like any other."""
    text = f'1{delimiter}"a{delimiter}b"\n2{delimiter}x, y\n'
    rows, bad = read_csv(text.encode(), 2, size, delimiter=delimiter)
    assert (rows, bad) == ([["1", f"a{delimiter}b"], ["2", "x, y"]], [])


def test_a_quote_open_for_too_long_was_never_meant_to_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """After MAX_RECORD_BYTES the reader lets go: memory stays flat and the lines come back."""
    monkeypatch.setattr(records, "MAX_RECORD_BYTES", 200)
    data = b'0,"open\n' + b"".join(b"%d,abcdefgh\n" % number for number in range(1, 100))
    held = max(len(b"".join(batch.lines)) for batch in cut_csv(blocks_of(data, 64)))
    rows, bad = read_csv(data, 2, 64)
    assert held < 400
    assert len(rows) == 99
    assert [each.line for each in bad] == [1]


@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_line_without_end_costs_no_more_memory_than_the_limit(
    monkeypatch: pytest.MonkeyPatch, end: bytes
) -> None:
    """It is one dead letter that says so; what follows is read."""
    monkeypatch.setattr(records, "MAX_LINE_BYTES", 1000)
    monkeypatch.setattr(records, "MAX_RECORD_BYTES", 500)
    data = b'{"a": 1}\n{"b": "' + b"x" * 50_000 + b'"}' + end + (b'{"c": 3}\n' if end else b"")
    batches = list(cut_jsonl(blocks_of(data, 64)))
    assert max(len(line) for batch in batches for line in batch.lines) == 1001
    good, bad = read_jsonl(data, 64)
    assert good == ['{"a": 1}', '{"c": 3}'][: 2 if end else 1]
    assert [each.line for each in bad] == [2]
    assert bad[0].reason.startswith("a line of more than ")
    rows, bad = read_csv(b"1,a\n2," + b"y" * 50_000 + end, 2, 64)
    assert rows == [["1", "a"]]
    assert [each.line for each in bad] == [2]


def test_a_field_beyond_pythons_csv_limit_is_a_dead_letter() -> None:
    """Whether its neighbours are sound or not: a record must not fare worse for them."""
    long = b"x" * (records.MAX_RECORD_BYTES + 1)
    for neighbour in (b"1,a\n", b'1,5" pipe\n'):
        rows, bad = read_csv(neighbour + b"2," + long + b"\n3,c\n", 2)
        assert [row[0] for row in rows] == ["1", "3"]
        assert [each.line for each in bad] == [2]


@pytest.mark.parametrize(
    ("lines", "cells", "used"),
    [
        ([b"a,b", b"1,2"], ["a", "b"], 1),
        ([b"", b"\r", b"a,b\r", b"1,2\r"], ["a", "b"], 3),
        ([b'"a","b', b'c"', b"1,2"], ["a", "b\nc"], 2),
        ([b'id,"name', b"1,a", b"2,b"], ["id", " name"], 1),
        ([b'id,"na"me', b"1,a"], ["id", " na me"], 1),
        ([b"a,\0b", b"1,2"], ["a", "b"], 1),
        ([b"a,\xe9", b"1,2"], ["a", "\ufffd"], 1),
        ([b"a\rb,c", b"1,2"], ["a b", "c"], 1),
        ([b"", b""], None, 2),
    ],
)
def test_the_header_is_the_first_record_and_never_swallows_rows(
    lines: list[bytes], cells: list[str] | None, used: int
) -> None:
    """An unsound header is its one line: a quote left open in it must not make the file empty."""
    assert read_header(lines, ",", "utf-8") == (cells, used)


# -------------------------------------------------------------------- gzip


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_gzip_is_known_by_its_bytes_and_may_have_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`cat a.gz b.gz` is one file, wherever the block boundary falls; padding after it is legal."""
    parts = [gzip.compress(b"1,a\n"), gzip.compress(b"2,b\n" * 500), gzip.compress(b"")]
    path = write(tmp_path / "data.csv", b"".join(parts) + b"\0" * 100)
    for size in (2, 3, len(parts[0]) - 1, len(parts[0]), len(parts[0]) + 1, 1 << 17):
        monkeypatch.setattr(records, "BLOCK_BYTES", size)
        assert b"".join(read_blocks(path)) == b"1,a\n" + b"2,b\n" * 500


def test_a_small_gzip_that_unpacks_to_much_comes_in_small_blocks(tmp_path: Path) -> None:
    """64 MB of zeros in 64 kB: no block is larger than a few hundred kB."""
    path = write(tmp_path / "bomb.gz", gzip.compress(b"\0" * (64 << 20)))
    sizes = [len(block) for block in read_blocks(path)]
    assert sum(sizes) == 64 << 20
    assert max(sizes) <= 8 * records.BLOCK_BYTES


@pytest.mark.parametrize("cut", [2, 10, -1, -4, -8, -9, 40])
def test_a_gzip_that_ends_early_is_broken(tmp_path: Path, cut: int) -> None:
    """Half a download is no delivery."""
    whole = gzip.compress(b"".join(b"%d,abc\n" % number for number in range(1000)))
    with pytest.raises(BrokenFile, match="end in the middle"):
        list(read_blocks(write(tmp_path / "cut.gz", whole[:cut])))


def test_a_gzip_with_garbage_in_it_is_broken(tmp_path: Path) -> None:
    """Damaged data, a wrong checksum, and garbage after the end are told from a whole file."""
    whole = bytearray(gzip.compress(b"1,a\n" * 1000))
    for damage in (bytes(whole[:20]) + b"\xff" * 40, bytes(whole) + b"garbage"):
        with pytest.raises(BrokenFile, match="damaged"):
            list(read_blocks(write(tmp_path / "bad.gz", damage)))
    whole[-6] ^= 1
    with pytest.raises(BrokenFile, match="damaged"):
        list(read_blocks(write(tmp_path / "bad.gz", bytes(whole))))


def test_an_empty_file_has_no_blocks(tmp_path: Path) -> None:
    """Zero bytes are zero records, and no error."""
    assert list(read_blocks(write(tmp_path / "empty", b""))) == []
    assert list(cut_csv(iter([]))) == []
    assert list(cut_jsonl(iter([]))) == []


def test_what_was_read_before_a_file_broke_is_not_lost() -> None:
    """Lines that were whole before the damage come out, then the error."""

    def blocks() -> Iterator[bytes]:
        yield b"1,a\n2,b\n3,"
        raise BrokenFile("torn")

    found = []
    with pytest.raises(BrokenFile, match="torn"):
        found.extend(cut_csv(blocks()))
    assert [batch.lines for batch in found] == [[b"1,a", b"2,b"]]


# -------------------------------------------------------------------- JSON Lines


def test_good_json_lines_come_through_as_they_are(size: int) -> None:
    """Blank lines are no records; a BOM and Windows line ends do not matter."""
    data = '\ufeff{"a": 1}\r\n\n  \n{"b": "é😀"}\r\n{"c": "\\ud83d\\ude00"}'.encode()
    good, bad = read_jsonl(data, size)
    assert good == ['{"a": 1}', '{"b": "é😀"}', '{"c": "\\ud83d\\ude00"}']
    assert bad == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[1, 2]", "not a JSON object"),
        (b"5", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b'{"a": 1', "broken JSON: Expecting ',' delimiter at column 8"),
        (b'{"a": 1} {"b": 2}', "broken JSON: Extra data at column 10"),
        (b'{"a": NaN}', "broken JSON: NaN is not JSON"),
        (b'{"a": -Infinity}', "broken JSON: -Infinity is not JSON"),
        (b'{"a": "\\u0000"}', "NUL character"),
        (b'{"\\u0000": 1}', "NUL character"),
        (b'{"a": "\\ud83d"}', "broken JSON: half of a surrogate pair"),
        (b'{"a": "\\ude00\\ud83d"}', "broken JSON: half of a surrogate pair"),
        (b'{"a": "\xff"}', "not valid utf-8 at byte 8"),
        (b'{"a": "\0"}', "broken JSON: Invalid control character at at column 8"),
        (b'{"a": "\x01"}', "broken JSON: Invalid control character at at column 8"),
        (b"{'a': 1}", None),
        (b"{'a': 1", None),
        (b'\xef\xbb\xbf{"a": 1}', None),
    ],
)
def test_what_is_no_json_object_is_a_dead_letter(line: bytes, reason: str | None) -> None:
    """It says why, where, and keeps the bytes; its neighbours are good."""
    good, bad = read_jsonl(b'{"before": 1}\n' + line + b'\n{"after": 1}\n')
    assert good == ['{"before": 1}', '{"after": 1}']
    assert [(each.line, each.content) for each in bad] == [(2, line)]
    assert reason is None or bad[0].reason == reason


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1e999999}',
        '{"a": -1E-999999}',
        '{"a": ' + "9" * 5000 + "}",
        '{"a": ' + "[" * 5000 + "]" * 5000 + "}",
        '{"a": 1, "a": 2}',
        '{"": {}}',
        '{"a": "\\\\u0000"}',
        '{"a": "\\ud83d\\ude00"}',
    ],
)
def test_json_that_postgres_can_hold_is_good(text: str) -> None:
    """Huge numbers, depth, repeated keys, an escaped backslash before u0000: all of it is JSON."""
    assert json_fault(text) is None


@pytest.mark.parametrize(
    "line",
    [
        b'{"a": "\\u0000"}', b'{"a": "\\ud83d"}', b'{"a": "\\uDE00"}', b"[1]", b" 5",
        b'{"a": "\x01"}',
        b'{"a": "\\ud83d\\ud83d\\ude00"}',
    ],
)  # fmt: skip
def test_json_that_postgres_would_take_and_choke_on_later_is_doubted(line: bytes) -> None:
    """These pass Postgres' syntax check as `json` and fail when somebody reads a key."""
    (batch,) = cut_jsonl(iter([b'{"x": 1}\n' + line + b'\n{"y": 2}\n']))
    assert batch.doubtful


def test_sound_json_is_not_doubted() -> None:
    """The fast path takes escapes, pairs of surrogates and Windows line ends."""
    data = b'{"x": "\\u00e9"}\n{"y": "\\ud83d\\ude00"}\n'
    (batch,) = cut_jsonl(iter([data]))
    assert not batch.doubtful


# -------------------------------------------------------------------- one document per file


def read_document(data: bytes, size: int = 128 * 1024) -> GoodRecord | BadRecord:
    (batch,) = cut_document(blocks_of(data, size))
    assert batch.doubtful, "nobody else looks at it before Postgres does"
    (record,) = judge_document(batch, "utf-8")
    return record


def test_a_document_may_have_many_lines(size: int) -> None:
    """A BOM and outer blanks are no part of it; what lies between comes through as it is."""
    text = '{\r\n  "a": "é😀",\n\n  "b": [1,\n 2]\n}'
    assert read_document(f"\ufeff\n {text}\n\n".encode(), size) == GoodRecord(1, [text])


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        (b"", 1, "empty: there is no document in it"),
        (b"\xef\xbb\xbf \n\n", 1, "empty: there is no document in it"),
        (b'[{"a": 1}]', 1, "not a JSON object"),
        (b"null", 1, "not a JSON object"),
        (b'{"a": 1,\n "b"\n}', 3, "broken JSON: Expecting ':' delimiter at column 1"),
        (b'{"a": 1}\n{"a": 2}\n', 2, "broken JSON: Extra data at column 1"),
        (b'{"a":\n"\\u0000"}', 1, "NUL character"),
        (b'{"a":\n"\0"}', 2, "broken JSON: Invalid control character at at column 2"),
        (b'{"a":\n"\\ud83d"}', 1, "broken JSON: half of a surrogate pair"),
        (b'{"a":\n\n"\xff"}', 3, "not valid utf-8 at byte 9"),
        (b'{"a": ' + b"[" * 5000 + b'\n"\x01"' + b"]" * 5000 + b"}", 2,
         "broken JSON: a control character"),
    ],
)  # fmt: skip
def test_what_is_not_one_object_is_one_dead_letter(data: bytes, line: int, reason: str) -> None:
    """It names the line of the fault and keeps the bytes, a BOM aside."""
    content = data.removeprefix(b"\xef\xbb\xbf")
    assert read_document(data) == BadRecord(line, reason, content)


def test_a_document_beyond_the_limit_costs_no_more_memory_than_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All blocks are read, for the digest, and few are kept."""
    monkeypatch.setattr("monitors.arrival.documents.MAX_LINE_BYTES", 100)
    blocks = blocks_of(b'{"a": "' + b"x" * 10_000 + b'"}', 64)
    (batch,) = cut_document(blocks)
    (record,) = judge_document(batch, "utf-8")
    assert next(blocks, None) is None
    assert isinstance(record, BadRecord)
    assert (101, True) == (len(record.content), record.reason.startswith("a document of more than"))


def test_a_document_whose_file_breaks_off_is_kept_and_said_so() -> None:
    """What was read is a dead letter, and the file is not whole."""

    def blocks() -> Iterator[bytes]:
        yield b'{"a":'
        raise BrokenFile("the gzip data end in the middle")

    found: list[bytes] = []
    with pytest.raises(BrokenFile):
        found.extend(batch.lines[0] for batch in cut_document(blocks()))
    assert found == [b'{"a":']


# -------------------------------------------------------------------- anything at all

CELLS = st.text(
    alphabet=st.one_of(
        st.sampled_from('",;\n\r\t \\.a1é漢\x01\x02\x85'),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    ),
    max_size=12,
)
ROWS = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=12)
)
JUNK = [b'5" pipe', b'x,"y', b'"', b'""', b'"a"b', b"\0", b"\xff", b",,,,,", b'a","b']
GARBAGE = st.lists(
    st.tuples(
        st.integers(0, 12),
        st.one_of(
            st.binary(max_size=20).map(lambda data: data.replace(b"\n", b"").replace(b"\r", b"")),
            st.sampled_from(JUNK),
        ),
    ),
    min_size=1,
    max_size=4,
)  # fmt: skip
QUOTING = st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
SETTINGS = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def written(rows: list[list[str]], quoting: int, end: str) -> list[bytes]:
    """Each row as csv.writer writes it, with its line end."""
    found = []
    for row in rows:
        buffer = io.StringIO()
        csv.writer(buffer, quoting=quoting, lineterminator=end).writerow(row)  # type: ignore[arg-type]
        found.append(buffer.getvalue().encode())
    return found


@SETTINGS
@given(ROWS, QUOTING, st.sampled_from(["\n", "\r\n"]), st.sampled_from(BLOCK_SIZES))
def test_any_rows_that_csv_writes_are_read_back(
    rows: list[list[str]], quoting: int, end: str, size: int
) -> None:
    """Clean input: the values are exactly those of csv.reader(strict), and nothing is dead."""
    # csv.writer forgets to quote a lone carriage return, which is then no clean input
    assume(quoting != csv.QUOTE_MINIMAL or not any("\r" in cell for row in rows for cell in row))
    data = b"".join(written(rows, quoting, end))
    text = io.StringIO(data.decode(), newline="")
    expected = [row for row in csv.reader(text, strict=True) if row]
    found, bad = read_csv(data, len(rows[0]), size)
    assert bad == []
    assert found == expected


@SETTINGS
@given(ROWS, QUOTING, GARBAGE, st.sampled_from(["\n", "\r\n"]), st.sampled_from(BLOCK_SIZES))
def test_garbage_between_rows_makes_nothing_vanish(
    rows: list[list[str]], quoting: int, garbage: list[tuple[int, bytes]], end: str, size: int
) -> None:
    """Dirty input: every line is in a row, in a dead letter, or blank, each once; no exception."""
    lines = written(rows, quoting, end)
    for place, line in garbage:
        lines.insert(min(place, len(lines)), line + end.encode())
    data = b"".join(lines)
    seen: list[int] = []
    blank: list[int] = []
    columns = len(rows[0])
    for batch in cut_csv(blocks_of(data, size)):
        at = batch.first_line
        blank += [at + n for n, each in enumerate(batch.lines) if each in (b"", b"\r")]
        sound = None
        if not batch.doubtful:
            whole = whole_records(batch)
            sound = _as_postgres(whole, columns, ",")
        if sound is not None:
            joined = [n for n, each in enumerate(batch.lines)]
            seen += [at + n for n in joined]
            body = b"\n".join(batch.lines).replace(b"\r", b"").replace(b"\n", b"")
            assert b"".join(whole).replace(b"\r", b"").replace(b"\n", b"") == body
            continue
        for record in judge_csv(batch, columns, ",", "utf-8"):
            height = 1
            if isinstance(record, GoodRecord):
                rest = [
                    each.decode("utf-8", "surrogateescape") + "\n"
                    for each in batch.lines[record.line - at :]
                ]
                reader = csv.reader(rest, strict=True)
                assert next(reader) == record.values
                height = reader.line_num
            else:
                assert record.content == batch.lines[record.line - at]
            seen += range(record.line, record.line + height)
    count = data.replace(b"\r\n", b"\n").count(b"\n") + (not data.endswith(b"\n"))
    if b"\n" in data:
        assert len(seen) == len(set(seen)), "no line is counted twice"
        assert set(seen) | set(blank) == set(range(1, count + 1)), "no line vanishes"


@SETTINGS
@given(st.lists(st.binary(max_size=40), max_size=20), st.sampled_from(BLOCK_SIZES))
def test_any_bytes_as_json_lines_are_accounted_for(lines: list[bytes], size: int) -> None:
    """Whatever the bytes: as many records as lines that are not blank; no exception."""
    data = b"\n".join([*lines, b'{"a": 1}'])
    good, bad = read_jsonl(data, size)
    expected = data.removeprefix(records.BOM).split(b"\n")
    if b"\n" not in data:
        expected = data.split(b"\r")
    assert len(good) + len(bad) == sum(bool(line.strip()) for line in expected)
    for text in good:
        assert isinstance(json.loads(text), dict)


# -------------------------------------------------------------------- beside it


def test_dead_letters_survive_the_spool() -> None:
    """Any bytes, in order, in chunks; many of them lie on the disk and not in memory."""
    letters = DeadLetters()
    given_letters = [
        DeadLetter(n, n + 1, 'why "é"', bytes(range(256)) * 8, 2048) for n in range(2500)
    ]
    for letter in given_letters:
        letters.append(letter)
    chunks = list(letters.chunks())
    assert len(letters) == 2500
    assert [len(chunk) for chunk in chunks] == [1000, 1000, 500]
    assert [letter for chunk in chunks for letter in chunk] == given_letters


@pytest.mark.parametrize(
    ("name", "moment", "expected"),
    [
        ("x_20260102T030405Z.csv", {"format": "%Y%m%dT%H%M%SZ"}, "2026-01-02T03:04:05+00:00"),
        (
            "e_2026-12-31.jsonl",
            {"format": "%Y-%m-%d", "offset": "1 day"},
            "2027-01-01T00:00:00+00:00",
        ),
        ("20261399_20260102.csv", {"format": "%Y%m%d"}, "2026-01-02T00:00:00+00:00"),
        ("120260102.csv", {"format": "%Y%m%d"}, "2026-01-02T00:00:00+00:00"),
    ],
)
def test_the_moment_is_read_from_the_name(
    tmp_path: Path, name: str, moment: dict[str, str], expected: str
) -> None:
    """The first digits that make a date; with the offset; in UTC."""
    moment = Moment.model_validate(moment)
    read, origin = moment_of(write(tmp_path / name, b""), moment)
    assert (read.isoformat(), origin) == (expected, "name")


def test_a_name_without_a_moment_falls_back_to_the_file_time(tmp_path: Path) -> None:
    """Also when the date is no date, or the offset leads beyond the last year."""
    for name in ("none.csv", "99991231.csv", "20269999.csv"):
        moment = Moment(format="%Y%m%d", offset="1 day")  # type: ignore[arg-type]
        assert moment_of(write(tmp_path / name, b""), moment)[1] == "file time"
