"""Whatever a file holds, Rampart reads it, refuses it or says what is wrong, in one line.

CSV and JSON Lines go through the whole loader into Postgres; rampart.yml through load_config.
500 inputs each in the fast tier; the slow tier has 20,000 in all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from monitors.arrival.loader import load_file
from monitors.config import load_config
from monitors.config_feeds import Feed, Thresholds
from monitors.errors import ConfigError
from monitors.store.migrate import migrate
from monitors.store.postgres import RunContext, Store
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.conftest import ROOT, Server

AMOUNTS = [500, pytest.param(6_700, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
NASTY = st.sampled_from(
    [b"\x00", b"\x01", b"\x02", b"\x03", b"\\.", b"\r", b"\n", b"\r\n", b'"', b'""', b",", b";",
     b"\t", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\xc3", b"\\u0000", b"\\ud800", b"%d",
     b"{}", b"[", b"]", b"{", b"null", b"NaN", b"1e999", b"{" * 40, b"[" * 5000, b"\x1f\x8b",
     b"_delivery_id", b"a" * 70, "\u2028".encode(), "\U0001f600".encode()]
)  # fmt: skip
CSV_BYTES = st.lists(
    st.one_of(NASTY, st.binary(max_size=6), st.text("ab,\"\n\r ';", max_size=8).map(str.encode)),
    max_size=30,
).map(b"".join)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
JSON_LINES = st.lists(
    st.one_of(
        NASTY,
        st.binary(max_size=6),
        st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=3).map(
            lambda value: json.dumps(value).encode() + b"\n"
        ),
        JSON_VALUES.map(lambda value: json.dumps(value).encode() + b"\n"),
    ),
    max_size=15,
).map(b"".join)


@pytest.fixture(scope="module")
def store(embedded_server: Server) -> Iterator[Store]:
    target: Target = embedded_server.new_database()
    with connect(target) as connection:
        migrate(connection)
        opened = Store(connection, RunContext("r", "dev"))
        opened.start_run("load")
        connection.commit()
        yield opened


def load(store: Store, path: Path, content: bytes, kind: str) -> None:
    """One file, loaded, counted and rolled back."""
    path.write_bytes(content)
    feed = Feed.model_validate({"table": f"{kind}_raw.rows", "format": kind, "path": "*"})
    try:
        loaded = load_file(
            store, kind, feed, path, name=path.name, thresholds=Thresholds(dead_letters=0.5)
        )
        delivery = loaded.delivery
        assert delivery is not None
        found = store.connection.execute(
            f"select count(*), count(distinct _source_row) from {kind}_raw.rows".encode()
        ).fetchone()
        buried = store.connection.execute(
            "select count(*), coalesce(sum(content_bytes), 0) from monitoring.dead_letters"
        ).fetchone()
    finally:
        store.connection.rollback()

    assert (delivery.rows, delivery.rows) == found
    assert delivery.dead_letters == buried[0]
    assert delivery.records == delivery.rows + delivery.dead_letters
    assert (len(content), hashlib.sha256(content).hexdigest()) == (delivery.bytes, delivery.sha256)
    if kind == "jsonl":
        lines = [line for line in content.split(b"\n") if line.strip(b" \t\r\n\xef\xbb\xbf\x00")]
        assert delivery.records >= (1 if lines and delivery.admission == "admitted" else 0)


@pytest.mark.parametrize("amount", AMOUNTS)
def test_any_csv_is_loaded_or_buried(store: Store, tmp_path: Path, amount: int) -> None:
    """No error but a dead letter or a refused delivery; every record is counted once."""

    @settings(max_examples=amount, deadline=None, suppress_health_check=QUIET, database=None)
    @given(CSV_BYTES)
    @example(b",".join(b"c%d" % number for number in range(2000)) + b"\n1\n")
    @example(b"a,b\n" + b'"' * 7)
    def fuzz(content: bytes) -> None:
        load(store, tmp_path / "file.csv", content, "csv")

    fuzz()


@pytest.mark.parametrize("amount", AMOUNTS)
def test_any_json_lines_are_loaded_or_buried(store: Store, tmp_path: Path, amount: int) -> None:
    """The same for JSON Lines."""

    @settings(max_examples=amount, deadline=None, suppress_health_check=QUIET, database=None)
    @given(JSON_LINES)
    @example(b'{"a":' * 100_000)
    @example(b'{"a": 1' + b"0" * 200_000 + b"}\n")
    def fuzz(content: bytes) -> None:
        load(store, tmp_path / "file.jsonl", content, "jsonl")

    fuzz()


# -------------------------------------------------------------------- rampart.yml

OURS = (ROOT / "rampart.yml").read_text()
LINES = OURS.splitlines(keepends=True)
VALUES = st.sampled_from(
    ["", "null", "~", "[]", "{}", "-1", "0", "1e999", ".nan", ".inf", "'", '"', "!!python/none x",
     "&a [*a]", "*a", "<<: {}", "0x1F", "2026-02-30", "1 fortnight", "10 days ago", "yes", "\t",
     "\x00", "\ud7ff", "[" * 3000, "{" * 50, "{a: b: c}", "? x", "- - -", "%TAG ! x", "---\n---",
     "99999999999 days", "9" * 5000, "!!binary x", "!!set {a}", "| \n x"]
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """Our own rampart.yml with a few lines removed, moved, cut or given another value."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        how = draw(st.sampled_from(["remove", "repeat", "indent", "value", "cut", "insert"]))
        line = lines[at]
        if how == "remove" and len(lines) > 1:
            del lines[at]
        elif how == "repeat":
            lines.insert(draw(st.integers(0, len(lines))), line)
        elif how == "indent":
            lines[at] = " " * draw(st.integers(0, 8)) + line.lstrip()
        elif how == "value":
            lines[at] = f"{line.split(':')[0]}: {draw(VALUES)}\n"
        elif how == "cut":
            lines[at] = line[: draw(st.integers(0, len(line)))]
        else:
            lines.insert(at, draw(VALUES | st.text(max_size=12)))
    return "".join(lines)


@pytest.mark.parametrize("amount", AMOUNTS)
def test_any_configuration_is_read_or_refused_in_one_line(tmp_path: Path, amount: int) -> None:
    """A ConfigError that names the file, in one line; or a configuration."""
    path = tmp_path / "rampart.yml"

    @settings(max_examples=amount, deadline=None, suppress_health_check=QUIET, database=None)
    @given(damaged().map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary())
    @example(b"[" * 100_000)
    @example(b"a: &a [*a]")
    @example(b"feeds: &f {a: *f}")
    def fuzz(content: bytes) -> None:
        path.write_bytes(content)
        try:
            load_config(path)
        except ConfigError as error:
            said = str(error)
            assert "\n" not in said
            assert str(path) in said

    fuzz()
