"""Files into raw: what arrived is a row or a dead letter, once, whatever happens in between."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from monitors import DataMonitor
from monitors.arrival import loader, records
from monitors.arrival.loader import Loaded, load_file
from monitors.arrival.raw import column_names, ensure_table
from monitors.config import Config
from monitors.config_feeds import Feed, Thresholds
from monitors.store.migrate import migrate
from monitors.store.postgres import Delivery, RunContext, Store
from monitors.warehouse.connection import Connection, connect
from monitors.warehouse.target import Target
from tests.conftest import ROOT, SHARED, Server

DOCUMENTS = SHARED / "data" / "documents"


def feed_of(kind: str = "csv", **settings: Any) -> Feed:
    return Feed.model_validate({"table": "t_raw.rows", "format": kind, "path": "*"} | settings)


class Bench:
    """A store on an empty database, and the questions that tests ask of it."""

    def __init__(self, connection: Connection) -> None:
        migrate(connection)
        self.connection = connection
        self.store = Store(connection, RunContext("run-1", "ci"))
        self.store.start_run("load")
        connection.commit()

    def load(
        self, path: Path, feed: Feed, name: str | None = None, limit: float = 0.5
    ) -> Loaded:  # fmt: skip
        thresholds = Thresholds(dead_letters=limit)
        try:
            loaded = load_file(
                self.store, "t", feed, path, name=name or path.name, thresholds=thresholds
            )
            self.connection.commit()
        except BaseException:
            self.connection.rollback()
            raise
        self.assert_accounted()
        return loaded

    def delivered(self, path: Path, feed: Feed, **options: Any) -> Delivery:
        delivery = self.load(path, feed, **options).delivery
        assert delivery is not None
        return delivery

    def rows(self, columns: str = "*", order: str = "_delivery_id, _source_row") -> list[Any]:
        return self.ask(f"select {columns} from t_raw.rows order by {order}")

    def dead(self, columns: str = "source_row, line, reason, content") -> list[Any]:
        return self.ask(
            f"select {columns} from monitoring.dead_letters order by delivery_id, source_row"
        )

    def ask(self, sql: str) -> list[Any]:
        found = self.connection.execute(sql.encode()).fetchall()
        self.connection.commit()
        return found

    def assert_accounted(self) -> None:
        """records = rows + dead letters, by the delivery's word and by count."""
        wrong = self.ask(
            "select * from (select records, rows, dead_letters,"
            " (select count(*) from t_raw.rows r where r._delivery_id = d.delivery_id) as found,"
            " (select count(*) from monitoring.dead_letters l where l.delivery_id = d.delivery_id)"
            " as buried from monitoring.deliveries d) counts"
            " where records <> rows + dead_letters or rows <> found or dead_letters <> buried"
        )
        assert wrong == []
        doubled = self.ask(
            "select _delivery_id, _source_row from t_raw.rows"
            " group by 1, 2 having count(*) > 1 limit 1"
        )
        assert doubled == []


@pytest.fixture
def bench(connection: Connection) -> Bench:
    return Bench(connection)


@pytest.fixture
def any_bench(any_server: Server) -> Iterator[Bench]:
    with connect(any_server.new_database()) as connection:
        yield Bench(connection)


def write(path: Path, data: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def table(count: int, seed: int = 1) -> list[list[str]]:
    """Rows with everything that CSV can hold."""
    chance = random.Random(seed)
    pieces = [
        "",
        "a",
        "plain text",
        'say "hi"',
        "a,b",
        "two\nlines",
        "é漢😀",
        " x ",
        "\\.",
        "\\N",
        "NULL",
        "\t",
    ]
    return [[str(n), *(chance.choice(pieces) for _ in range(3))] for n in range(count)]


def csv_bytes(rows: list[list[str]], end: str = "\n", **options: Any) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator=end, **options).writerows(rows)
    return buffer.getvalue().encode()


HEADER = ["id", "a", "b", "c"]


# -------------------------------------------------------------------- the central cases


@pytest.mark.server
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_csv_arrives_exactly_as_it_is(
    any_bench: Bench, tmp_path: Path, packed: bool, end: str
) -> None:
    """Every value of every row equals the input, an empty cell is '', rows are numbered from 1."""
    rows = table(5000)
    data = csv_bytes([HEADER, *rows], end)
    path = write(tmp_path / "data.csv", gzip.compress(data) if packed else data)
    delivery = any_bench.delivered(path, feed_of())
    assert (delivery.records, delivery.rows, delivery.dead_letters) == (5000, 5000, 0)
    assert delivery.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert delivery.bytes == path.stat().st_size
    found = any_bench.rows("_source_row, id, a, b, c")
    assert found == [(n, *row) for n, row in enumerate(rows, start=1)]


@pytest.mark.server
@pytest.mark.parametrize("packed", [False, True])
def test_json_lines_arrive_exactly_as_they_are(
    any_bench: Bench, tmp_path: Path, packed: bool
) -> None:
    """The payload is the text of the line, whatever it holds."""
    lines = [
        json.dumps({"n": n, "text": row[1] + "\\u00e9", "list": row}, ensure_ascii=n % 2 == 0)
        for n, row in enumerate(table(3000))
    ]
    data = ("\n".join(lines) + "\n").encode()
    path = write(tmp_path / "data.jsonl", gzip.compress(data) if packed else data)
    delivery = any_bench.delivered(path, feed_of("jsonl"))
    assert (delivery.records, delivery.dead_letters) == (3000, 0)
    assert [row[0] for row in any_bench.rows("payload::text")] == lines


@pytest.mark.server
@pytest.mark.parametrize("packed", [False, True])
def test_a_document_per_file_arrives_exactly_as_it_is(
    any_bench: Bench, tmp_path: Path, packed: bool
) -> None:
    """One row, its payload the text with all its lines, a BOM and outer blanks aside."""
    texts = [
        json.dumps({"n": 1, "text": 'é\n"\\\u2028'}, indent=2, ensure_ascii=False),
        '{\r\n"a"\t:\r\n1}',
        '{"huge": 1e999999, "deep": ' + "[" * 2000 + "]" * 2000 + "}",
    ]
    for number, text in enumerate(texts):
        data = f"\ufeff\n{text}\n".encode()
        path = write(tmp_path / f"{number}.json", gzip.compress(data) if packed else data)
        delivery = any_bench.delivered(path, feed_of("json"))
        assert (delivery.records, delivery.rows, delivery.admission) == (1, 1, "admitted")
    assert texts == [row[0] for row in any_bench.rows("payload::text")]


def test_a_file_without_a_document_is_seen_recorded_and_read_once(
    bench: Bench, tmp_path: Path
) -> None:
    """One dead letter, admitted: the other documents do not wait; the mended file is a new one."""
    broken = {"1.json": b"", "2.json": b"[1]", "3.json": b'{"a": 1,\n}', "4.json": b"{}{}"}
    for name, data in broken.items():
        delivery = bench.delivered(write(tmp_path / name, data), feed_of("json"))
        assert (delivery.records, delivery.rows, delivery.dead_letters) == (1, 0, 1)
        assert (delivery.admission, delivery.sha256) == (
            "admitted",
            hashlib.sha256(data).hexdigest(),
        )
        assert bench.load(tmp_path / name, feed_of("json")).delivery is None
    assert [(1, 1, b""), (1, 1, b"[1]"), (1, 2, b'{"a": 1,\n}'), (1, 1, b"{}{}")] == bench.dead(
        "source_row, line, content"
    )
    mended = bench.delivered(write(tmp_path / "3.json", '{"a": 1}'), feed_of("json"))
    assert (mended.rows, mended.dead_letters) == (1, 0)


def test_a_feed_of_documents_may_have_a_limit_of_its_own(bench: Bench, tmp_path: Path) -> None:
    """Who wants a run to be red for one unreadable document says so at the feed."""
    feed = feed_of("json", thresholds={"dead_letters": 0})
    delivery = bench.delivered(write(tmp_path / "1.json", "{"), feed, limit=0)
    assert (delivery.admission, delivery.admitted_by) == ("refused", "guard: dead letters")


def test_half_a_gzip_of_a_document_is_refused(bench: Bench, tmp_path: Path) -> None:
    """As for every format: the file is not whole, and comes again whole as a new delivery."""
    whole = gzip.compress(json.dumps({"text": "x" * 500, "n": list(range(500))}).encode())
    delivery = bench.delivered(write(tmp_path / "1.json.gz", whole[:-9]), feed_of("json"))
    assert (delivery.admission, delivery.admitted_by) == ("refused", "guard: file is whole")
    assert bench.delivered(write(tmp_path / "1.json.gz", whole), feed_of("json")).rows == 1


def test_equal_names_in_two_folders_are_two_deliveries(
    warehouse: Target, use: Callable[[Target], None], tmp_path: Path
) -> None:
    """A name is the path below the landing folder; hidden files and folders are unfinished."""
    use(warehouse)
    for name in ("b/1.json", "a/1.json", "a/deep/er/1.json", "1.json", ".part/1.json", "a/.1.json"):
        write(tmp_path / "landing" / name, '{"a": 1}')
    feed = feed_of("json", path="landing/**/*.json")
    config = Config(feeds={"t": feed}).model_copy(update={"root": tmp_path})
    assert 4 == DataMonitor(config).load().loads[0].rows
    names = [each["name"] for each in reversed(DataMonitor(config).deliveries())]
    assert names == ["1.json", "a/1.json", "a/deep/er/1.json", "b/1.json"]
    assert 0 == DataMonitor(config).load().loads[0].rows


@pytest.mark.server
def test_dead_letters_keep_their_place_reason_and_bytes(any_bench: Bench, tmp_path: Path) -> None:
    """_source_row counts them in; the rows around them are loaded and keep their numbers."""
    text = b'id,a\n1,x\n2,"open\n\n3,\xff\n4,y,z\n5,\0\n6,5" pipe\n7,"two\nlines"\n8,6" pipe\n'
    path = write(tmp_path / "dirty.csv", text)
    delivery = any_bench.delivered(path, feed_of(), limit=1)
    assert any_bench.rows("_source_row, id, a") == [
        (1, "1", "x"), (6, "6", '5" pipe'), (7, "7", "two\nlines"), (8, "8", '6" pipe'),
    ]  # fmt: skip
    assert any_bench.dead() == [
        (2, 3, "text after a closing quote", b'2,"open'),
        (3, 5, "not valid utf-8", b"3,\xff"),
        (4, 6, "3 fields where the header has 2", b"4,y,z"),
        (5, 7, "NUL byte", b"5,\0"),
    ]
    assert (delivery.records, delivery.rows, delivery.dead_letters) == (8, 4, 4)
    assert any_bench.ask("select distinct feed, name, run_id from monitoring.dead_letters") == [
        ("t", "dirty.csv", "run-1")
    ]


@pytest.mark.server
def test_json_that_postgres_cannot_hold_is_dead_and_the_rest_is_loaded(
    any_bench: Bench, tmp_path: Path
) -> None:
    """NUL escapes, half surrogates, NaN, arrays, depth beyond the server's stack."""
    deep = b'{"deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    bad = [
        b"[1]",
        b'{"a": NaN}',
        b'{"a": "\\u0000"}',
        b'{"a": "\\ud83d"}',
        b'{"a": \xff}',
        deep,
        b"{",
    ]
    good = [b'{"n": 1e999999}', b'{"n": "\\\\u0000"}', b'{"n": ' + b"9" * 5000 + b"}"]
    lines = [line for pair in zip(bad, [*good, *good, *good], strict=False) for line in pair]
    delivery = any_bench.delivered(
        write(tmp_path / "x", b"\n".join(lines)), feed_of("jsonl"), limit=1
    )
    assert (delivery.rows, delivery.dead_letters) == (7, 7)
    assert [row[0] for row in any_bench.rows("_source_row")] == [2, 4, 6, 8, 10, 12, 14]
    assert any_bench.dead("line, content_bytes") == [
        (2 * n + 1, len(line)) for n, line in enumerate(bad)
    ]
    assert "stack depth limit exceeded" in any_bench.dead("reason")[5][0]
    # what was loaded can be read by key
    any_bench.ask("select payload ->> 'n' from t_raw.rows")


@pytest.mark.server
def test_the_same_file_again_is_loaded_once(any_bench: Bench, tmp_path: Path) -> None:
    """Same feed, name and content: nothing. Another name or content is a new delivery."""
    first = write(tmp_path / "a.csv", "id\n1\n")
    feed = feed_of()
    one = any_bench.delivered(first, feed)
    assert any_bench.load(first, feed).delivery is None
    two = any_bench.delivered(write(tmp_path / "b.csv", "id\n1\n"), feed)
    three = any_bench.delivered(write(tmp_path / "a.csv", "id\n2\n"), feed)
    assert [each.sequence for each in (one, two, three)] == [1, 2, 3]
    assert one.sha256 == two.sha256 != three.sha256
    assert any_bench.load(first, feed).delivery is None
    assert [row[0] for row in any_bench.rows("id")] == ["1", "1", "2"]


@pytest.mark.server
def test_a_backend_that_dies_in_mid_copy_leaves_nothing(any_server: Server, tmp_path: Path) -> None:
    """Neither rows nor a delivery nor dead letters; the next load takes everything."""
    target = any_server.new_database()
    path = write(tmp_path / "big.csv", csv_bytes([HEADER, *table(200_000)]))
    killed = []

    def kill(read: int) -> None:
        if not killed and len(reads) > 20:
            with connect(target, autocommit=True) as other:
                killed.append(
                    other.execute(
                        "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                        " where datname = current_database() and pid <> pg_backend_pid()"
                    ).fetchone()
                )
        reads.append(read)

    reads: list[int] = []
    with pytest.raises(psycopg.OperationalError), connect(target) as connection:
        load_file(
            Bench(connection).store, "t", feed_of(), path, name="big.csv",
            thresholds=Thresholds(), progress=kill,
        )  # fmt: skip
    assert killed
    with connect(target) as connection:
        migrate(connection)
        for name in ("deliveries", "dead_letters"):
            assert connection.execute(
                f"select count(*) from monitoring.{name}".encode()
            ).fetchone() == (0,)
        assert connection.execute("select to_regclass('t_raw.rows')").fetchone() == (None,)
        bench = Bench.__new__(Bench)
        bench.connection, bench.store = connection, Store(connection, RunContext("run-1", "ci"))
        assert bench.delivered(path, feed_of()).rows == 200_000


@pytest.mark.server
def test_two_loads_of_one_feed_at_once_take_turns(any_server: Server, tmp_path: Path) -> None:
    """Four threads, the same three files: each file is one delivery, no row twice, none mixed."""
    target = any_server.new_database()
    with connect(target) as connection:
        Bench(connection)
    paths = [
        write(
            tmp_path / f"{name}.csv",
            csv_bytes([["id", "v"], *([name, str(n)] for n in range(3000))]),
        )
        for name in "abc"
    ]
    results: list[Loaded] = []
    errors: list[BaseException] = []
    ready = threading.Barrier(4)

    def work() -> None:
        try:
            with connect(target) as connection:
                store = Store(connection, RunContext("run-1", "ci"))
                ready.wait()
                for path in paths:
                    results.append(
                        load_file(
                            store, "t", feed_of(), path, name=path.name, thresholds=Thresholds()
                        )
                    )
                    connection.commit()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(each.name for each in results if each.delivery) == ["a.csv", "b.csv", "c.csv"]
    with connect(target) as connection:
        found = connection.execute(
            "select d.name, min(id), max(id), count(*), min(_source_row), max(_source_row)"
            " from t_raw.rows join monitoring.deliveries d on d.delivery_id = _delivery_id"
            " group by 1 order by 1"
        ).fetchall()
    assert found == [(f"{name}.csv", name, name, 3000, 1, 3000) for name in "abc"]


# -------------------------------------------------------------------- drift


def test_a_new_column_is_added_and_reported(bench: Bench, tmp_path: Path) -> None:
    """Old rows have null there, new ones their value; the first file is no drift."""
    first = bench.load(write(tmp_path / "1.csv", "id,a\n1,x\n"), feed_of())
    assert first.drift.added == ()
    loaded = bench.load(write(tmp_path / "2.csv", "id,a,Extra Col\n2,y,z\n"), feed_of())
    assert (loaded.drift.added, loaded.drift.missing) == (("extra_col",), ())
    assert bench.rows("id, a, extra_col") == [("1", "x", None), ("2", "y", "z")]
    assert bench.ask("select column_name, change from monitoring.schema_drift") == [
        ("extra_col", "added")
    ]


def test_a_missing_column_is_null_and_reported(bench: Bench, tmp_path: Path) -> None:
    """Null and not '': the cell did not come. Declared columns are there before any file."""
    feed = feed_of(columns=["id", "a", "b"])
    loaded = bench.load(write(tmp_path / "1.csv", "id,b\n1,\n"), feed)
    assert (loaded.drift.added, loaded.drift.missing) == ((), ("a",))
    assert bench.rows("id, a, b") == [("1", None, "")]
    assert bench.ask("select column_name, change from monitoring.schema_drift") == [
        ("a", "missing")
    ]


def test_columns_declared_later_are_added_to_the_table(bench: Bench) -> None:
    """A column that models rely on must exist as soon as rampart.yml names it."""
    ensure_table(bench.connection, feed_of(columns=["id"]))
    ensure_table(bench.connection, feed_of(columns=["id", "later"]))
    bench.connection.commit()
    assert bench.rows("later") == []


def test_order_and_case_of_the_header_do_not_matter(bench: Bench, tmp_path: Path) -> None:
    """Values follow their names."""
    bench.load(write(tmp_path / "1.csv", "id,Name\n1,x\n"), feed_of())
    loaded = bench.load(write(tmp_path / "2.csv", "\ufeff NAME ,ID\ny,2\n"), feed_of())
    assert loaded.drift.added == loaded.drift.missing == ()
    assert bench.rows("id, name") == [("1", "x"), ("2", "y")]


def test_awkward_header_names(bench: Bench, tmp_path: Path) -> None:
    """Repeats are numbered, empty ones named by place; names Postgres or we own are not taken."""
    header = 'a,A,,1st,"x\ny",ctid,_source_row,xmin,' + "n" * 80 + "," + "n" * 80
    names = column_names(next(csv.reader(io.StringIO(header))))
    assert names[:8] == ["a", "a_2", "column_3", "_1st", "x_y", "ctid_2", "_source_row_2", "xmin_2"]
    assert len({name.encode()[:63] for name in names}) == 10
    bench.load(write(tmp_path / "1.csv", f"{header}\n1,2,3,4,5,6,7,8,9,10\n"), feed_of())
    assert bench.rows(", ".join(names)) == [(*"123456789", "10")]


def test_files_without_rows_are_deliveries(bench: Bench, tmp_path: Path) -> None:
    """A header alone, zero bytes, blank lines, an empty gzip: nothing came, and it is recorded."""
    for number, data in enumerate(
        [b"id,a\n", b"", b"\n\n\r\n", gzip.compress(b""), b"\xef\xbb\xbf", b"id,a"]
    ):
        delivery = bench.delivered(write(tmp_path / f"{number}.csv", data), feed_of())
        assert (delivery.records, delivery.admission) == (0, "admitted")
    assert bench.rows() == []
    delivery = bench.delivered(
        write(tmp_path / "x.jsonl", b"\n \n"), feed_of("jsonl", table="u_raw.rows")
    )
    assert delivery.records == 0


def test_a_header_with_an_open_quote_does_not_swallow_the_file(
    bench: Bench, tmp_path: Path
) -> None:
    """A stray quote in the header used to make the whole file one header, and no rows."""
    rows = "".join(f"{n},x\n" for n in range(100))
    assert bench.delivered(write(tmp_path / "1.csv", 'id,"name\n' + rows), feed_of()).rows == 100


def test_a_file_of_bare_carriage_returns_is_read(bench: Bench, tmp_path: Path) -> None:
    """Header and rows."""
    assert bench.delivered(write(tmp_path / "1.csv", b"id,a\r1,x\r2,y\r"), feed_of()).rows == 2
    assert bench.rows("id, a") == [("1", "x"), ("2", "y")]


# -------------------------------------------------------------------- refusals and extracts


def test_too_many_dead_letters_refuse_the_delivery(bench: Bench, tmp_path: Path) -> None:
    """The share is compared with the threshold; rows and letters are kept all the same."""
    path = write(tmp_path / "1.csv", "id,a\n1,x\n2\n3\n")
    delivery = bench.delivered(path, feed_of())
    assert (delivery.admission, delivery.admitted_by) == ("refused", "guard: dead letters")
    assert delivery.why == "2 of 3 records unreadable: 0.6667 (max 0.5)"
    path = write(tmp_path / "2.csv", "id,a\n1,x\n2\n")
    assert bench.delivered(path, feed_of()).admission == "admitted"
    path = write(tmp_path / "3.csv", "id,a\n1,x\n2\n")
    assert bench.delivered(path, feed_of(), limit=0).admission == "refused"


@pytest.mark.parametrize("cut", [3, 200, -3])
def test_a_truncated_gzip_is_refused_and_the_whole_one_taken(
    bench: Bench, tmp_path: Path, cut: int
) -> None:
    """The digest is of the bytes that lay there, so that the whole file is a new delivery."""
    whole = gzip.compress(csv_bytes([HEADER, *table(20_000)]))
    path = write(tmp_path / "1.csv.gz", whole[:cut])
    delivery = bench.delivered(path, feed_of())
    assert (delivery.admission, delivery.admitted_by) == ("refused", "guard: file is whole")
    assert delivery.why == "the gzip data end in the middle"
    assert delivery.sha256 == hashlib.sha256(whole[:cut]).hexdigest()
    assert bench.load(path, feed_of()).delivery is None
    delivery = bench.delivered(write(path, whole), feed_of())
    assert (delivery.admission, delivery.rows) == ("admitted", 20_000)


def test_a_damaged_gzip_is_known_by_all_of_its_bytes(bench: Bench, tmp_path: Path) -> None:
    """Reading stops at the damage; the digest is of the whole file, or it would load again."""
    data = gzip.compress(b"id\n1\n") + b"garbage" * 100_000
    path = write(tmp_path / "1.csv.gz", data)
    delivery = bench.delivered(path, feed_of(), limit=1)
    assert (delivery.admission, delivery.admitted_by) == ("refused", "guard: file is whole")
    assert delivery.sha256 == hashlib.sha256(data).hexdigest()
    assert bench.load(path, feed_of()).delivery is None


def test_extracts_state_their_moment_and_kind(bench: Bench, tmp_path: Path) -> None:
    """_extracted_at comes from the name, and is the file time when the name has none."""
    feed = feed_of(
        moment={"format": "%Y%m%dT%H%M%SZ"}, extract={"kind": "full", "partial": "*_partial_*"}
    )
    full = bench.delivered(write(tmp_path / "u_20260102T030405Z.csv", "id\n1\n"), feed)
    part = bench.delivered(
        write(tmp_path / "u_partial_20260102T120000Z.csv", 'id\n"2"x\n3\n'), feed
    )
    guessed = bench.load(write(tmp_path / "u.csv", "id\n4\n"), feed)
    none = guessed.delivery
    assert none is not None
    assert guessed.moment_is_guessed
    assert [each.kind for each in (full, part, none)] == ["full", "partial", "full"]
    assert [each.extracted_at_from for each in (full, part, none)] == ["name", "name", "file time"]
    found = bench.rows("id, _extracted_at")
    assert [row[0] for row in found] == ["1", "3", "4"]
    assert [row[1] for row in found] == [each.extracted_at for each in (full, part, none)]
    assert str(full.extracted_at) == "2026-01-02 03:04:05+00:00"


def test_the_index_knows_what_was_just_loaded(any_bench: Bench, tmp_path: Path) -> None:
    """Else each look at one delivery reads everything since the last vacuum, e.g. the breaker's."""
    for number in range(3):
        path = tmp_path / f"{number}.csv"
        path.write_text("code,text\n" + f"{number},{'x' * 500}\n" * 1000)
        any_bench.load(path, feed_of())

    unknown = "select brin_summarize_new_values('t_raw.rows_by_delivery')"
    assert [(0,)] == any_bench.ask(unknown)


def test_other_delimiters_and_encodings(bench: Bench, tmp_path: Path) -> None:
    """A semicolon file in cp1252 with one bad byte; null shares are counted all the same."""
    feed = feed_of(delimiter=";", encoding="cp1252")
    path = write(
        tmp_path / "1.csv", 'id;name;x\n1;"Müller; €";\n2;'.encode("cp1252") + b"\x81;\n3;a,b;c\n"
    )
    loaded = bench.load(path, feed)
    assert bench.rows("_source_row, id, name, x") == [
        (1, "1", "Müller; €", ""),
        (3, "3", "a,b", "c"),
    ]
    assert bench.dead() == [(2, 3, "not valid cp1252", b"2;\x81;")]
    assert loaded.null_shares == {"id": 0.0, "name": 0.0, "x": 0.5}


def test_a_cell_of_one_control_character_stays_what_it_is(bench: Bench, tmp_path: Path) -> None:
    """\\x01 is what COPY is told to read as null; a value must not become null by it."""
    bench.load(write(tmp_path / "1.csv", b"id,a\n1,\x01\n2,\x02\n"), feed_of())
    assert bench.rows("id, a") == [("1", "\x01"), ("2", "\x02")]


def test_a_row_wider_than_a_page_is_a_dead_letter(bench: Bench, tmp_path: Path) -> None:
    """1,500 columns fit a table, but not all of their values fit a row; the narrow rows do."""
    names = ",".join(f"c{n}" for n in range(1500))
    wide = ",".join(["x" * 16] * 1500)
    narrow = ",".join(["1"] * 1500)
    path = write(tmp_path / "1.csv", f"{names}\n{narrow}\n{wide}\n{narrow}\n")
    delivery = bench.delivered(path, feed_of())
    assert (delivery.rows, delivery.dead_letters) == (2, 1)
    assert "row is too big" in bench.dead("reason")[0][0]


def test_the_result_does_not_depend_on_where_blocks_end(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same dirty file with blocks and segments of any size: the same rows and dead letters."""
    chance = random.Random(5)
    lines = [csv_bytes([row]) for row in table(300)]
    for junk in (b'x,5" pipe,y,z\n', b"1,2\n", b'"a"b,c,d,e\n', b'n,6"" pipe,y,z\n', b"\xff,,,\n"):
        for _ in range(3):
            lines.insert(chance.randrange(len(lines)), junk)
    path = write(tmp_path / "d.csv", csv_bytes([HEADER]) + b"".join(lines))
    outcomes = []
    for size in (7, 100, 1000, 1 << 17):
        monkeypatch.setattr(records, "BLOCK_BYTES", size)
        monkeypatch.setattr(loader, "SEGMENT_BYTES", size * 3)
        delivery = bench.delivered(path, feed_of(), name=f"{size}.csv")
        where = f"where _delivery_id = {delivery.delivery_id}"
        letters = f"where delivery_id = {delivery.delivery_id}"
        outcomes.append((
            bench.ask(f"select _source_row, id, a, b, c from t_raw.rows {where} order by 1"),
            bench.ask(
                "select source_row, line, content from monitoring.dead_letters"
                f" {letters} order by 1"
            ),
        ))  # fmt: skip
    assert len(outcomes[0][0]) == 306
    assert len(outcomes[0][1]) == 9
    assert all(each == outcomes[0] for each in outcomes)


def test_a_file_of_garbage_is_refused_and_every_line_kept(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Twenty log lines, not thousands; each record is in the table with its bytes."""
    path = write(tmp_path / "g.csv", b"id,a\n" + b"".join(b"%d\n" % n for n in range(3000)))
    delivery = bench.delivered(path, feed_of())
    assert (delivery.rows, delivery.dead_letters, delivery.admission) == (0, 3000, "refused")
    assert bench.dead("line, content")[-1] == (3001, b"2999")


# -------------------------------------------------------------------- kills and memory

CHILD = """
import sys
from pathlib import Path
from monitors.arrival.loader import load_file
from monitors.config_feeds import Feed, Thresholds
from monitors.store.migrate import migrate
from monitors.store.postgres import RunContext, Store
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
host, dbname, path, kind = sys.argv[1:]
feed = Feed.model_validate({"table": "t_raw.rows", "format": kind, "path": "*"})
read = 0
def progress(count):
    global read
    if read < 4_000_000 <= read + count:
        print("reading", flush=True)
    read += count
with connect(Target(host, 5432, "postgres", dbname, "environment")) as connection:
    migrate(connection)
    store = Store(connection, RunContext("run-2", "ci"))
    store.start_run("load")
    connection.commit()
    loaded = load_file(store, "t", feed, Path(path), name="big", progress=progress,
                       thresholds=Thresholds(dead_letters=1))
# not getrusage: Linux counts into it what the parent held when it forked
status = Path("/proc/self/status").read_text().splitlines()
peak = next(line for line in status if line.startswith("VmHWM"))
print(loaded.delivery.rows, loaded.delivery.dead_letters, int(peak.split()[1]) // 1024, flush=True)
"""


def child(target: Target, path: Path, kind: str = "csv") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, target.host, target.dbname, str(path), kind],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_process_killed_in_mid_copy_leaves_nothing(warehouse: Target, tmp_path: Path) -> None:
    """kill -9, then again: no half delivery, and the next load takes every row once."""
    path = write(tmp_path / "big.csv", csv_bytes([HEADER, *table(400_000)]))
    for _ in range(2):
        with child(warehouse, path) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "reading\n"
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        with connect(warehouse) as connection:
            connection.execute("delete from monitoring.runs")
            assert connection.execute("select count(*) from monitoring.deliveries").fetchone() == (
                0,
            )
    with connect(warehouse) as connection:
        bench = Bench(connection)
        started = time.monotonic()
        assert bench.delivered(path, feed_of()).rows == 400_000
        assert time.monotonic() - started < 30, "a dead process must not hold the lock"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "jsonl", "garbage", "one line"])
def test_memory_stays_flat(warehouse: Target, tmp_path: Path, kind: str) -> None:
    """300 MB of rows, JSON, dead letters or one endless line: less than 150 MB at the peak."""
    path = tmp_path / "big"
    if kind == "csv":
        chunk = csv_bytes(table(10_000))
        head = csv_bytes([HEADER])
    elif kind == "jsonl":
        chunk = b"".join(b'{"n": %d, "text": "%b"}\n' % (n, b"x" * 200) for n in range(5000))
        head = b""
    elif kind == "garbage":
        chunk, head = (b"y" * 299 + b"\n") * 5000, csv_bytes([HEADER])
    else:
        chunk, head = b"z" * 1_000_000, b"id\n"
    with path.open("wb") as file:
        file.write(head)
        while file.tell() < 300_000_000:
            file.write(chunk)
    with child(warehouse, path, "jsonl" if kind == "jsonl" else "csv") as process:
        out, _ = process.communicate(timeout=280)
    rows, dead, peak = map(int, out.splitlines()[-1].split())
    assert peak < 150, f"{peak} MB"
    lines = (300_000_000 - len(head) + len(chunk) - 1) // len(chunk)
    expected = {"csv": lines * 10_000, "jsonl": lines * 5000, "garbage": 0, "one line": 0}
    assert rows == expected[kind]
    assert dead == {"garbage": lines * 5000, "one line": 1}.get(kind, 0)


# -------------------------------------------------------------------- dirty corpora


def test_a_header_that_no_table_can_hold_refuses_the_delivery(bench: Bench, tmp_path: Path) -> None:
    """1600 is Postgres' limit: the file is refused with the numbers, the next one is loaded."""
    wide = ",".join(f"c{number}" for number in range(1700)).encode() + b"\n1\n"
    delivery = bench.delivered(write(tmp_path / "wide.csv", wide), feed_of())
    fine = bench.delivered(write(tmp_path / "fine.csv", b"a,b\n1,2\n"), feed_of())

    assert ("refused", 0) == (delivery.admission, delivery.records)
    assert "names 1700 new columns" in str(delivery.why)
    assert hashlib.sha256(wide).hexdigest() == delivery.sha256
    assert ("admitted", 1) == (fine.admission, fine.rows)


def corpus(name: str) -> list[tuple[str, bytes]]:
    path = DOCUMENTS / f"{name}.tar.xz"
    if not path.exists():
        pytest.skip(f"{path} is not there: the corpora lie beside the repository")
    with tarfile.open(path) as archive:
        members = [each for each in archive if each.isfile()]
        return [(each.name, archive.extractfile(each).read()) for each in members]  # type: ignore[union-attr]


def test_the_json_test_suite_as_documents(bench: Bench, tmp_path: Path) -> None:
    """Each file is a row or a dead letter; what must not parse never is a row."""
    for number, (name, data) in enumerate(corpus("json_test_suite")):
        path = write(tmp_path / f"{number}.json", data)
        delivery = bench.delivered(path, feed_of("json"), name=name)
        assert (1, "admitted") == (delivery.records, delivery.admission), name
        if Path(name).name.startswith("n_"):
            assert delivery.rows == 0, f"{name}: {data[:80]!r} is not JSON"
        if Path(name).name.startswith("y_object") and b"\\u0000" not in data:
            assert delivery.rows == 1, f"{name}: {data[:80]!r} is JSON"
    bench.ask("select payload ->> 'a' from t_raw.rows")


def test_the_json_test_suite(bench: Bench, tmp_path: Path) -> None:
    """Valid objects are rows; every i_, n_ or y_ file is accounted for, line by line."""
    files = corpus("json_test_suite")
    for number, (name, data) in enumerate(files):
        path = write(tmp_path / f"{number}.jsonl", data)
        delivery = bench.delivered(path, feed_of("jsonl"), name=name, limit=1)
        text = data.removeprefix(b"\xef\xbb\xbf")
        lines = text.split(b"\n")
        assert delivery.records == sum(bool(line.strip()) for line in lines), name
        short = Path(name).name
        if short.startswith("n_") and b"\n" not in text.strip():
            assert delivery.rows == 0, f"{name}: {text[:80]!r} is not JSON"
        if short.startswith("y_object") and b"\n" not in text.strip() and b"\\u0000" not in text:
            assert delivery.rows == 1, f"{name}: {text[:80]!r} is JSON"
    bench.ask("select payload ->> 'a' from t_raw.rows")


@pytest.mark.parametrize("name", ["csv_messy", "csv_spectrum"])
def test_messy_csv_files(bench: Bench, tmp_path: Path, name: str) -> None:
    """Whatever the file, no exception, and every line of it is accounted for."""
    for number, (member, data) in enumerate(corpus(name)):
        for encoding in ("utf-8", "latin-1"):
            feed = feed_of(table=f"t{number}_{encoding.replace('-', '_')}.rows", encoding=encoding)
            path = write(tmp_path / f"{number}.csv", data)
            loaded = load_file(
                bench.store,
                f"{number}{encoding}",
                feed,
                path,
                name=member,
                thresholds=Thresholds(dead_letters=1),
            )
            bench.connection.commit()
            delivery = loaded.delivery
            assert delivery is not None
            assert delivery.records == delivery.rows + delivery.dead_letters
            found = bench.ask(f"select count(*) from {feed.table}")
            assert found == [(delivery.rows,)]
            if name == "csv_spectrum" and member.endswith(".csv"):
                text = io.StringIO(data.decode(encoding), newline="")
                header, *expected = [row for row in csv.reader(text) if row]
                assert delivery.rows == len(expected), member
                names = ", ".join(f'"{each}"' for each in column_names(header))
                rows = bench.ask(f"select {names} from {feed.table} order by _source_row")
                assert [list(row) for row in rows] == expected
