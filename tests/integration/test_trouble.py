"""What the warehouse may do to a load: one clear line, a defined exit code, and nothing lost."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psutil
import psycopg
import pytest

from monitors import DataMonitor
from monitors import log as logs
from monitors.results import Status
from monitors.store.migrate import migrate
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.alerting import Desk, verdict_of
from tests.conftest import ROOT, Server, copy_project

FEED = """
feeds:
  web:
    table: web_raw.rows
    format: csv
    path: landing/*.csv
    columns: [a, b]
run: {lock_timeout: 4 seconds}
"""
ROWS = 400_000


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """One feed, one file that takes a moment."""
    (tmp_path / "rampart.yml").write_text(FEED)
    landing = tmp_path / "landing"
    landing.mkdir()
    with (landing / "big.csv").open("w") as file:
        file.write("a,b\n")
        file.writelines(
            f"{number},some text of a row that takes its room\n" for number in range(ROWS)
        )
    return tmp_path


def start(project: Path, target: Target, command: str = "load") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "monitors.cli", "--log-level", "warning", command],
        cwd=project,
        env={**os.environ, **target.environment(), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcome(started: subprocess.Popen[str]) -> tuple[int, list[str], str]:
    """(exit code, lines for a person, everything on stderr)."""
    _, said = started.communicate(timeout=120)
    lines = [line for line in said.splitlines() if not line.startswith("{")]
    return started.returncode, lines, said


def rows(target: Target, query: str) -> list[tuple[object, ...]]:
    with connect(target) as connection:
        return connection.execute(query.encode()).fetchall()


def assert_comes_whole(project: Path, target: Target) -> None:
    """The same command again: everything is there once, and the books balance."""
    code, lines, _ = outcome(start(project, target))

    assert (0, []) == (code, lines)
    assert [(ROWS, ROWS)] == rows(
        target, "select count(*), count(distinct _source_row) from web_raw.rows"
    )
    assert [(ROWS, ROWS, 0)] == rows(
        target, "select records, rows, dead_letters from monitoring.deliveries"
    )


def assert_one_line(said: tuple[int, list[str], str], code: int, text: str) -> None:
    found, lines, everything = said

    assert "Traceback" not in everything
    assert 1 == len(lines), everything
    assert text in lines[0]
    assert code == found


def when_copying(target: Target, act: Callable[[int], None]) -> None:
    """Do something with the session of a load as soon as it copies."""
    with connect(target, autocommit=True) as connection:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            found = connection.execute(
                "select pid from pg_stat_activity where query like 'copy %' and state = 'active'"
                " and datname = current_database()"
            ).fetchone()
            if found:
                act(found[0])
                return
            time.sleep(0.005)
    raise AssertionError("the load never copied")


# -------------------------------------------------------------------- the tests


def test_a_read_only_database_is_said_before_the_job(project: Path, warehouse: Target) -> None:
    """A standby, or a setting: exit 2, nothing begun, and the next load brings everything."""
    with connect(warehouse, autocommit=True) as connection:
        migrate(connection)
        connection.autocommit = True
        name = warehouse.dbname
        connection.execute(f"alter database {name} set default_transaction_read_only = on".encode())
    said = outcome(start(project, warehouse))
    with psycopg.connect(
        host=warehouse.host, user=warehouse.user, dbname="postgres", autocommit=True
    ) as connection:
        connection.execute(f"alter database {name} reset default_transaction_read_only")

    assert_one_line(said, 2, "the warehouse takes no writes")
    assert_comes_whole(project, warehouse)


def test_a_session_that_is_terminated_in_mid_copy(project: Path, warehouse: Target) -> None:
    """pg_terminate_backend: exit 1 and an alert line; nothing of the file is there, then all."""
    started = start(project, warehouse)

    def terminate(pid: int) -> None:
        rows(warehouse, f"select pg_terminate_backend({pid})")

    when_copying(warehouse, terminate)

    assert_one_line(
        outcome(started), 1, "!! ALERT: WAREHOUSE FAILURE !! - the connection to the warehouse"
    )
    assert [(0,)] == rows(warehouse, "select count(*) from web_raw.rows")
    assert [("load", None)] == rows(warehouse, "select command, ended_at from monitoring.runs")
    assert_comes_whole(project, warehouse)


def test_a_connection_that_is_cut_in_mid_copy(project: Path, debian_server: Server) -> None:
    """A proxy or a firewall that drops the line: the same, over TCP."""
    target = debian_server.new_database()
    with connect(target) as connection:
        migrate(connection)
    with cutting_proxy(debian_server, after=4_000_000) as port:
        said = outcome(start(project, replace(target, port=port)))

    assert_one_line(said, 1, "the connection to the warehouse was lost")
    assert_comes_whole(project, target)


def test_a_lock_of_another_session_is_waited_for_and_told(project: Path, warehouse: Target) -> None:
    """It says for whom it waits, and gives up after `run: lock_timeout`."""
    with connect(warehouse) as connection:
        migrate(connection)
        connection.execute("create schema web_raw")
        connection.execute(
            "create table web_raw.rows (_delivery_id bigint, _source_row bigint, a text, b text)"
        )
        connection.commit()
        connection.execute("lock table web_raw.rows in access exclusive mode")
        said = outcome(start(project, warehouse))
        pid = connection.info.backend_pid
        connection.rollback()

    assert_one_line(said, 1, "another session held a lock for too long")
    assert f"session {pid} of postgres (rampart) idle in transaction" in said[2]
    assert_comes_whole(project, warehouse)


@pytest.mark.skipif(os.geteuid() != 0, reason="a tablespace of its own needs root")
def test_a_full_disk_is_said_and_nothing_is_lost(
    project: Path, embedded_server: Server, warehouse: Target
) -> None:
    """The tablespace is full in the middle of a file; with more room the same load brings it."""
    with small_disk(embedded_server) as grow:
        name = f"small_{warehouse.dbname}"
        with psycopg.connect(
            host=warehouse.host, user=warehouse.user, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(f"create tablespace {name} location '{grow.folder}'")
            connection.execute(f"alter database {warehouse.dbname} set default_tablespace = {name}")
        said = outcome(start(project, warehouse))
        grow()

        assert_one_line(said, 1, "the disk of the warehouse is full or broken")
        assert_comes_whole(project, warehouse)
        with psycopg.connect(
            host=warehouse.host, user=warehouse.user, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(f"drop database {warehouse.dbname}")
            connection.execute(f"drop tablespace {name}")


def test_a_clock_that_is_set_back_confuses_nobody(
    warehouse: Target, tmp_path: Path, use: Callable[[Target], None]
) -> None:
    """Red, then a day earlier green: one incident, opened and resolved; no age is negative."""
    with connect(warehouse) as connection:
        migrate(connection)
    use(warehouse)
    desk = Desk(warehouse, tmp_path)
    desk.clock.moment = datetime(2026, 3, 2, 6, 0, tzinfo=timezone.utc)
    desk.scan(verdict_of("shop.a"))
    desk.clock.moment -= timedelta(days=1)
    desk.scan(verdict_of("shop.a", Status.PASS))
    desk.scan(verdict_of("shop.b"))

    assert [(1, "opened"), (1, "resolved"), (2, "opened")] == desk.events()


def test_a_clock_that_is_set_back_loads_nothing_twice(
    project: Path, warehouse: Target, use: Callable[[Target], None]
) -> None:
    """What was loaded tomorrow is known today."""
    small = project / "landing" / "big.csv"
    small.write_text("a,b\n1,2\n")
    use(warehouse)
    now = datetime.now(timezone.utc)
    codes = [
        DataMonitor(project, now=lambda moment=moment: moment).load().exit_code
        for moment in (now, now - timedelta(days=400))
    ]

    assert [0, 0] == codes
    assert [(1,)] == rows(warehouse, "select count(*) from web_raw.rows")


@pytest.mark.parametrize(
    ("error", "shows"),
    [
        (psycopg.errors.AdminShutdown("terminating connection"), False),
        (psycopg.errors.DiskFull("could not extend file"), False),
        (psycopg.errors.UndefinedTable('relation "x" does not exist'), True),
    ],
)
def test_a_stage_that_its_warehouse_ended_shows_no_traceback(
    capsys: pytest.CaptureFixture[str], error: psycopg.Error, shows: bool
) -> None:
    """One line of the log for what is foreseen; a traceback for what nobody foresaw."""
    logs.configure(level="error", pretty=False)
    with pytest.raises(type(error)), logs.stage(logs.get_logger("Test"), "volumes"):
        raise error
    said = json.loads(capsys.readouterr().err)

    assert shows == ("exception" in said)
    assert str(error) == said["error_message"]


# -------------------------------------------------------------------- what troubles


@contextmanager
def cutting_proxy(server: Server, after: int) -> Iterator[int]:
    """A port that passes everything on to a server until `after` bytes, and then hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket, limit: float) -> None:
        passed = 0
        with suppress(OSError):
            while passed < limit and (block := source.recv(65536)):
                sink.sendall(block)
                passed += len(block)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                upstream = socket.create_connection((server.host, server.port))
                for pair in ((client, upstream, after), (upstream, client, float("inf"))):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


class Disk:
    """A file system of 8 MB that the server may use; called, it grows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self) -> None:
        subprocess.run(["mount", "-o", "remount,size=400m", str(self.folder)], check=True)


@contextmanager
def small_disk(server: Server) -> Iterator[Disk]:
    folder = Path(tempfile.mkdtemp(prefix="rampart-disk-"))
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        folder.rmdir()
        pytest.skip("tmpfs cannot be mounted here")
    try:
        owner = Path(server.host).stat()
        os.chown(folder, owner.st_uid, owner.st_gid)
        folder.chmod(0o700)
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)
        folder.rmdir()


def test_dbt_does_not_outlive_the_build_that_started_it(warehouse: Target, tmp_path: Path) -> None:
    """kill -9 of `rampart build`: its dbt goes with it, and cannot build beside the next one."""
    project = copy_project(tmp_path / "project")
    building = start(project, warehouse, "build")
    dbt: list[psutil.Process] = []
    until = time.monotonic() + 60
    while not dbt and time.monotonic() < until:
        children = psutil.Process(building.pid).children(recursive=True)
        dbt = [each for each in children if "monitors.warehouse.dbt_child" in each.cmdline()]
        time.sleep(0.05)
    time.sleep(1.5)  # it has begun; to read the project alone takes dbt longer
    building.kill()
    building.wait()  # dbt would hold its output open
    time.sleep(0.5)

    assert dbt
    assert [] == [each for each in dbt if _is_alive(each)]


def _is_alive(process: psutil.Process) -> bool:
    """In a container nobody reaps an orphan: a zombie is dead."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
