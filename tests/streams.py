"""A project with one stream, the command as a user runs it, and what must hold afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psycopg
import yaml
from click.testing import CliRunner

from monitors.cli import cli
from monitors.config import Config, load_config
from monitors.warehouse.connection import Connection, connect
from monitors.warehouse.target import Target
from tests.conftest import ROOT

NOW = 1_790_000_000
"""The event time of a message that says nothing else, in seconds since 1970."""


def message(number: int, at: float = NOW, **more: Any) -> str:
    return json.dumps({"n": number, "t": at, **more})


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.05)


class Site:
    """A folder with a rampart.yml and a warehouse of its own. `name` is stream and checkpoint."""

    def __init__(self, folder: Path, target: Target, /, **settings: Any) -> None:
        self.folder = folder
        self.target = target
        self._asking: Connection | None = None
        self.stream = {
            "table": "web_raw.events", "dlq_path": "monitoring.dead_letters",
            "watermark": "1 hour", "checkpoint": "web", "event_time": "t",
            "event_time_format": "seconds", "trigger_interval": "0.2 seconds",
        } | settings  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        self.write()

    def write(self, **settings: Any) -> Config:
        """The configuration, with these settings changed."""
        self.stream |= settings
        path = self.folder / "rampart.yml"
        path.write_text(yaml.safe_dump({"streams": {"web": self.stream}}))
        return load_config(path)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.target.environment(), "RAMPART_TARGET": "prod"}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "monitors.cli", *arguments],
            cwd=self.folder, env=self.environment | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def kill_after(self, more: int, seconds: float, *arguments: str) -> bool:
        """Kill -9 so long after so many more messages were taken; False: it had ended itself."""
        process = self.start(*arguments)
        enough = self.count() + more
        wait_until(lambda: self.count() >= enough or process.poll() is not None)
        time.sleep(seconds)
        was_running = process.poll() is None
        process.kill()
        process.communicate()
        return was_running

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """(exit code, stdout, stderr)."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        assert "Traceback" not in err, err
        return process.returncode, out, err

    def call(self, *arguments: str) -> tuple[int, str]:
        """(exit code, stdout) of a command in this process; foreseen errors are raised."""
        done = CliRunner().invoke(
            cli, ["--config", str(self.folder), *arguments], standalone_mode=False
        )
        if done.exception is not None:
            raise done.exception
        return int(done.return_value or 0), done.stdout

    def ask(self, sql: str) -> list[Any]:
        """Nothing where a table is not there yet."""
        if self._asking is None or self._asking.closed:
            self._asking = connect(self.target, autocommit=True)
        try:
            return self._asking.execute(sql.encode()).fetchall()
        except psycopg.errors.UndefinedTable:
            return []
        except psycopg.OperationalError:  # a test cut every connection, this one too
            self._asking.close()
            return self.ask(sql)

    def close(self) -> None:
        if self._asking is not None:
            self._asking.close()

    def execute(self, sql: str) -> None:
        with connect(self.target, autocommit=True) as connection:
            connection.execute(sql.encode())

    def count(self) -> int:
        """Rows and dead letters so far; 0 before there is a table."""
        found = self.ask(
            "select (select count(*) from web_raw.events)"
            " + (select count(*) from monitoring.dead_letters)"
        )
        return int(found[0][0]) if found else 0

    def numbers(self) -> list[int]:
        return [row[0] for row in self.ask(
            "select (payload ->> 'n')::int from web_raw.events order by 1")]  # fmt: skip

    def letters(self) -> list[tuple[str, int, str]]:
        return self.ask(
            "select source_partition, source_offset, reason from monitoring.dead_letters"
            " order by source_partition, source_offset"
        )

    def assert_exactly_once(self, produced: Iterable[int], dead: int = 0) -> None:
        """Every message is one row or one dead letter, the counts of each delivery are true, and
        batches follow each other without a gap and without an overlap."""
        assert sorted(produced) == self.numbers()
        assert dead == len(self.letters())
        wrong = self.ask(
            "select * from (select records, rows, dead_letters,"
            " (select count(*) from web_raw.events r where r._delivery_id = d.delivery_id)"
            " as found,"
            " (select count(*) from monitoring.dead_letters l where l.delivery_id = d.delivery_id)"
            " as buried,"
            " (select sum(b.records) from monitoring.stream_batches b"
            "  where b.delivery_id = d.delivery_id) as counted"
            " from monitoring.deliveries d where d.name not like 'replay/%') c"
            " where records <> rows + dead_letters or rows <> found or dead_letters <> buried"
            " or counted <> records"
        )
        assert [] == wrong
        torn = self.ask(
            "select * from (select partition, first_offset, lag(next_offset) over ("
            "partition by partition order by first_offset) as expected"
            " from monitoring.stream_batches) b where first_offset < expected"
        )
        assert [] == torn
