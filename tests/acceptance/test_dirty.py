"""Dirty corpora of the real world through `rampart load`: no crash, and every byte accounted for.

They lie beside the repository and are skipped where they are absent.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitors.warehouse.connection import Connection
from monitors.warehouse.target import Target
from tests.conftest import ROOT, SHARED

DOCUMENTS = SHARED / "data" / "documents"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not DOCUMENTS.exists(), reason=f"{DOCUMENTS} is not here"),
]
FEED = """  {name}:
    table: {name}_raw.rows
    format: {kind}
    path: landing/{name}/**/*
    thresholds: {{dead_letters: 1.0}}
"""
BLANK = b" \t\r\n\x0b\x0c"
"""White space between records is no record; so is a byte order mark at the beginning."""


class Place:
    """Feeds and their files, and what became of them."""

    def __init__(self, root: Path, target: Target) -> None:
        self.root = root
        self.target = target
        self.feeds: list[str] = []
        self.files: dict[tuple[str, str], bytes] = {}

    def feed(self, name: str, kind: str, files: Iterator[tuple[str, bytes]]) -> None:
        self.feeds.append(FEED.format(name=name, kind=kind))
        for path, content in files:
            target = self.root / "landing" / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            self.files[name, path] = content

    def load(self) -> subprocess.CompletedProcess[str]:
        (self.root / "rampart.yml").write_text("feeds:\n" + "".join(self.feeds))
        return subprocess.run(
            [sys.executable, "-m", "monitors.cli", "--log-level", "error", "load", "--json"],
            cwd=self.root,
            env={**os.environ, **self.target.environment(), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

    def assert_every_byte_is_accounted_for(self, connection: Connection) -> None:
        """Each file that is not empty is a delivery of its very bytes; each record is in raw or a
        dead letter, once; and of JSON Lines the rows and dead letters give the file again."""
        deliveries = {
            (feed, name): (number, sha, size, records, rows, dead, admission)
            for number, feed, name, sha, size, records, rows, dead, admission in connection.execute(
                "select delivery_id, feed, name, sha256, bytes, records, rows, dead_letters,"
                " admission from monitoring.deliveries"
            ).fetchall()
        }

        assert self.files.keys() == deliveries.keys()
        for key, content in self.files.items():
            number, sha, size, records, rows, dead, _ = deliveries[key]
            feed, _ = key
            is_lines = feed.startswith("lines")
            payload = ", octet_length(payload::text)" if is_lines else ", 0"
            found = connection.execute(
                f"select count(*), count(distinct _source_row), coalesce(sum(size), 0) from (select"
                f" _source_row{payload} as size from {feed}_raw.rows"
                f" where _delivery_id = {number}) as rows".encode()
            ).fetchone()
            buried = connection.execute(
                "select count(*), coalesce(sum(content_bytes), 0) from monitoring.dead_letters"
                f" where delivery_id = {number}".encode()
            ).fetchone()

            assert (hashlib.sha256(content).hexdigest(), len(content)) == (sha, size), key
            assert (records, rows, rows, dead) == (rows + dead, found[0], found[1], buried[0]), key
            if is_lines:
                lines = re.split(rb"[\r\n]", content.removeprefix(b"\xef\xbb\xbf"))
                expected = sum(len(line.strip(BLANK)) for line in lines)
                assert expected <= found[2] + buried[1] <= len(content), key


@pytest.fixture
def place(tmp_path: Path, warehouse: Target) -> Place:
    return Place(tmp_path, warehouse)


def members(name: str) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(DOCUMENTS / f"{name}.tar.xz") as archive:
        for each in archive:
            if each.isfile():
                content = archive.extractfile(each)
                assert content is not None
                yield each.name, content.read()


def landings() -> Iterator[tuple[str, bytes]]:
    with lzma.open(DOCUMENTS / "advisory_documents.jsonl.xz") as lines:
        for number, line in enumerate(lines):
            landing = json.loads(line)
            moment = re.sub(r"\D", "", landing["landed_at"])[:14]
            yield f"{moment}-{number:05}-{Path(landing['path']).stem}.json", line


def test_malformed_json_messy_csv_and_singer_messages(place: Place, connection: Connection) -> None:
    """Four corpora, each through every format that it could be taken for."""
    for name in ("json_test_suite", "singer_pipelinewise_target_postgres"):
        place.feed(f"lines_{name}"[:40], "jsonl", members(name))
        place.feed(f"documents_{name}"[:40], "json", members(name))
        place.feed(f"csv_of_{name}"[:40], "csv", members(name))
    for name in ("csv_messy", "csv_spectrum"):
        place.feed(name, "csv", members(name))
        place.feed(f"lines_{name}", "jsonl", members(name))
    done = place.load()

    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    assert done.returncode in (0, 1)
    place.assert_every_byte_is_accounted_for(connection)


def test_fourteen_thousand_landings_of_documents(place: Place, connection: Connection) -> None:
    """Added, modified and withdrawn documents, one file each, and all of them as lines of one."""
    place.feed("documents", "json", landings())
    whole = b"".join(content for _, content in landings())
    place.feed("lines", "jsonl", iter([("all.jsonl", whole)]))
    done = place.load()

    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    assert 0 == done.returncode, done.stderr[-3000:]
    assert [(14_691, 14_691, 0)] * 2 == connection.execute(
        "select sum(records)::int, sum(rows)::int, sum(dead_letters)::int"
        " from monitoring.deliveries group by feed"
    ).fetchall()
    place.assert_every_byte_is_accounted_for(connection)
