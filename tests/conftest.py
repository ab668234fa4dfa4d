"""A real Postgres for every test: the embedded one, and Debian's PostgreSQL 15 where there is one.

`warehouse` is an empty database; tests that take `any_server` run once per server.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from monitors.cli_common import settings
from monitors.warehouse.connection import Connection, connect
from monitors.warehouse.embedded import EmbeddedPostgres
from monitors.warehouse.target import Target
from tests.canaries import canaries
from tests.leaks import PASSWORD, Leaks, watching

__all__ = ["canaries"]

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
REAL_PACKAGES = Path(os.environ.get("RAMPART_REAL_PACKAGES", "none"))
"""A folder with the real dbt packages, as dbt_packages/ is after `dbt deps` with the hub."""
DEBIAN = Path("/usr/lib/postgresql/15/bin")
_numbers = count(1)
PRINTED = pytest.StashKey[str]()
_made: list[Target] = []
"""Every database of this process, to be searched at the end."""


LONGEST_FIRST = (
    "test_pipeline", "test_quarantine", "test_scd2", "test_online_retail", "test_leases",
    "test_documented", "test_packages", "test_red_builds", "test_beijing_air", "test_dotgov",
)  # fmt: skip
"""Modules that would otherwise run alone at the end, with one core idle."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long modules first; within a module the order stays, some tell a story."""
    ranks = {name: rank for rank, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))


@dataclass(frozen=True)
class Server:
    """A running Postgres on which databases can be made."""

    name: str
    host: str
    port: int
    user: str
    password: str

    def new_database(self, template: str = "template1") -> Target:
        """Empty, or a copy of another one that nobody is connected to."""
        dbname = f"t{os.getpid()}_{next(_numbers)}"
        with psycopg.connect(
            host=self.host, port=self.port, user=self.user, password=self.password,
            dbname="postgres", autocommit=True,
        ) as connection:  # fmt: skip
            connection.execute(f"create database {dbname} template {template}")
        _made.append(
            Target(self.host, self.port, self.user, dbname, "environment", self.password, "prod")
        )
        return _made[-1]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees a configured warehouse or the home folder of whoever runs it."""
    for name in list(os.environ):
        if name.startswith(("RAMPART_", "DBT_", "PG")) and not name.startswith("RAMPART_TEST"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DBT_PROFILES_DIR", str(tmp_path / "no-profiles"))
    # a command that ran in this process leaves its --config behind
    monkeypatch.setattr(settings, "config_path", None)


@pytest.fixture(scope="session", autouse=True)
def _leaks() -> Iterator[Leaks]:
    leaks = Leaks()
    with watching(leaks):
        yield leaks


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test printed is kept until `_no_leak` looks at it."""
    report = yield
    item.stash[PRINTED] = "".join(text for _, text in report.sections)
    return report


@pytest.fixture(autouse=True)
def _no_leak(request: pytest.FixtureRequest, _leaks: Leaks, tmp_path: Path) -> Iterator[None]:
    """The password of the databases turns up nowhere; see tests/leaks.py."""
    yield
    _leaks.look(request.node.stash.get(PRINTED, ""), "what the test printed")
    _leaks.look_at_files(tmp_path)
    seen = _leaks.taken()
    if request.node.get_closest_marker("shows_password") is None:
        assert not seen, "the password of the databases stands in " + ", ".join(seen)


@pytest.fixture(scope="session")
def embedded_home() -> Iterator[Path]:
    """A short path: a unix socket's may not be long."""
    home = Path(tempfile.mkdtemp(prefix="rampart-test-"))
    yield home
    server = EmbeddedPostgres(home)
    server.stop(for_good=True)
    # hundreds of databases: nobody waits until they are gone
    gone = ["sh", "-c", 'rm -rf "$@" &', "sh", str(server.data), str(server.sockets), str(home)]
    subprocess.run(gone, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def embedded_server(embedded_home: Path, _leaks: Leaks) -> Iterator[Server]:
    target = EmbeddedPostgres(embedded_home).start()
    # it trusts whoever reaches its socket: the password is there to be searched for
    yield Server("embedded", target.host, target.port, target.user, PASSWORD)
    _leaks.look_at_rows(made for made in _made if made.host == target.host)
    assert not (seen := _leaks.taken()), "the password stands in " + ", ".join(seen)


@pytest.fixture(scope="session")
def debian_server(_leaks: Leaks) -> Iterator[Server]:
    """Debian's PostgreSQL 15 as people run it: over TCP, with a password."""
    if not DEBIAN.exists():
        pytest.skip("Debian's postgresql-15 is not installed: apt-get install postgresql-15")
    with _debian_running() as server:
        yield server
        _leaks.look_at_rows(made for made in _made if made.host == server.host)
        assert not (seen := _leaks.taken()), "the password stands in " + ", ".join(seen)


@pytest.fixture(params=["embedded_server", "debian_server"])
def any_server(request: pytest.FixtureRequest) -> Server:
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


@pytest.fixture
def warehouse(embedded_server: Server) -> Target:
    """An empty database on the embedded Postgres."""
    return embedded_server.new_database()


@pytest.fixture
def connection(warehouse: Target) -> Iterator[Connection]:
    with connect(warehouse) as opened:
        yield opened


@pytest.fixture(scope="module")
def database(embedded_server: Server) -> Target:
    """An empty database that the tests of one module share."""
    return embedded_server.new_database()


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Target], None]:
    """Point Rampart, dbt and Soda at a database, as RAMPART_* variables do."""

    def point(target: Target) -> None:
        for name, value in target.environment().items():
            monkeypatch.setenv(name, value)

    return point


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The system's own browser; none is ever downloaded."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        # of itself it asks for names of its maker; what a page asks for, its tests see
        arguments = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"]
        if os.geteuid() == 0:  # its sandbox refuses to run as root
            arguments.append("--no-sandbox")
        browser = driver.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


def copy_project(folder: Path) -> Path:
    """The project as a user has it, without what git does not know; packages are the stand-ins."""
    from monitors.warehouse.packages import install_packages

    folder.mkdir(parents=True, exist_ok=True)
    for name in ("dbt_project.yml", "packages.yml", "rampart.yml", ".dbtignore"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("models", "macros"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copytree(ROOT / "monitors" / "checks", folder / "monitors" / "checks")
    (folder / "tests").mkdir()
    for path in [*(ROOT / "tests").glob("*.sql"), *(ROOT / "tests" / "generic").glob("*.sql")]:
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(path, target)
    install_packages(folder, offline=True)
    return folder


class _debian_running:
    """Start and stop a server of Debian's own binaries; as root under the account `postgres`."""

    def __enter__(self) -> Server:
        self.folder = Path(tempfile.mkdtemp(prefix="rampart-debian-"))
        password = self.folder / "password"
        password.write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (self.folder, password):
                shutil.chown(path, "postgres", "postgres")
        data = str(self.folder / "data")
        self._run("initdb", "-D", data, "-U", "admin", "--auth=scram-sha-256",
                  f"--pwfile={password}", "--encoding=UTF8")  # fmt: skip
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = f"-h 127.0.0.1 -p {port} -k '' -c fsync=off"
        log = str(self.folder / "log")
        self._run("pg_ctl", "-w", "-D", data, "-l", log, "-o", options, "start")
        return Server("debian15", "127.0.0.1", port, "admin", PASSWORD)

    def __exit__(self, *_: object) -> None:
        self._run("pg_ctl", "-m", "immediate", "-D", str(self.folder / "data"), "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, name: str, *arguments: str) -> None:
        account = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        subprocess.run(
            [str(DEBIAN / name), *arguments],
            check=True,
            cwd="/",
            stdout=subprocess.DEVNULL,
            **account,
        )
