"""The embedded Postgres: starts by itself, is private, outlives commands and kills."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from monitors.errors import ConfigError, EmbeddedPostgresError
from monitors.warehouse import embedded
from monitors.warehouse.connection import connect, resolve_target
from monitors.warehouse.embedded import EmbeddedPostgres
from monitors.warehouse.target import Target, configured_target
from tests.conftest import ROOT, Server

AS_ROOT = os.geteuid() == 0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short private folder, and no server left in any `.rampart` below it."""
    made = Path(tempfile.mkdtemp(prefix="emb-"))
    yield made
    for home in [path.parent for path in made.rglob("home.marker")]:
        EmbeddedPostgres(home).reset()
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def shared() -> Iterator[EmbeddedPostgres]:
    """A server that tests may stop and kill, not reset."""
    home = Path(tempfile.mkdtemp(prefix="emb-"))
    server = EmbeddedPostgres(home)
    server.start()
    yield server
    server.reset()
    shutil.rmtree(home, ignore_errors=True)


def home_in(folder: Path) -> Path:
    """A state folder that the fixture cleans up."""
    home = folder / ".rampart"
    home.mkdir(parents=True, exist_ok=True)
    (home / "home.marker").touch()
    return home


def project_in(folder: Path) -> Path:
    """The smallest project: no database is configured."""
    home_in(folder)
    (folder / "rampart.yml").write_text(
        "feeds: {web: {table: web_raw.rows, format: csv, path: 'in/*.csv', required: false}}\n"
    )
    (folder / "dbt_project.yml").write_text("name: p\nprofile: rampart\n")
    return folder


def rampart(
    project: Path, *arguments: str, **env: str
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """The command as a user runs it, without anything configured but `env`."""
    return subprocess.run(
        [sys.executable, "-m", "monitors.cli", *arguments],
        cwd=project, capture_output=True, text=True, check=False, timeout=100,
        env={"PATH": os.environ["PATH"], "HOME": str(project), "PYTHONPATH": str(ROOT), **env},
    )  # fmt: skip


def ask(server: EmbeddedPostgres, sql: str) -> object:
    with connect(server.target(), autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def postmaster(server: EmbeddedPostgres) -> int:
    return int((server.data / "postmaster.pid").read_text().splitlines()[0])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.skipif(not AS_ROOT, reason="becoming somebody else needs root")
@pytest.mark.parametrize("command", [("env",), ("db", "start"), ("db", "stop")])
def test_a_server_of_somebody_else_is_told_with_its_owner(
    folder: Path, command: tuple[str, ...]
) -> None:
    """Which folder, whose, who asks and what to do; exit 2."""
    project, data = shut_server(folder)
    done = as_nobody(project, *command)

    assert 2 == done.returncode
    seen = data.parent if command == ("db", "stop") else data  # the lock comes first
    assert (
        f"rampart: the embedded Postgres in {seen} belongs to root, this is nobody: run as root, or"
        " set RAMPART_HOME to a folder of your own"
    ) in done.stderr.splitlines()


@pytest.mark.skipif(not AS_ROOT, reason="becoming somebody else needs root")
def test_a_folder_that_is_shut_for_its_owner_is_told(folder: Path) -> None:
    """Nobody else can help there: the mode, and the command that opens it."""
    project, data = shut_server(folder)
    os.chown(data, 65534, 65534)
    data.chmod(0o000)
    done = as_nobody(project, "env")

    assert 2 == done.returncode
    assert f"{data} has mode 0000 and is shut for nobody, too: chmod u+rwX {data}" in done.stderr


def shut_server(folder: Path) -> tuple[Path, Path]:
    """A project that anybody may read, with the data folder of a server that is root's own."""
    project = project_in(folder)
    data = project / ".rampart" / "postgres"
    data.mkdir(mode=0o700)
    (data / ".s.PGSQL.5432").touch()
    project.chmod(0o755)
    return project, data


def as_nobody(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as an account without rights of its own, which may not even read this Python."""
    script = (
        "import os, sys\n"
        "import monitors.cli, monitors.config, monitors.warehouse.connection, psycopg.types.json\n"
        "import monitors.config_file, monitors.warehouse.dbt, encodings.idna\n"
        "os.setgroups([]), os.setgid(65534), os.setuid(65534)\n"
        "monitors.cli.main()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=project, capture_output=True, text=True,
        check=False, timeout=100,
        env={"PATH": os.environ["PATH"], "HOME": str(project), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


# -------------------------------------------------------------------- the life of a server


def test_it_starts_when_nothing_is_configured_survives_and_stops(folder: Path) -> None:
    """The first command makes it, the second finds it; `db stop` keeps the data, `db reset` not."""
    project = project_in(folder)
    server = EmbeddedPostgres(project / ".rampart")
    for expected in ("applied 0001", "up to date"):
        done = rampart(project, "db", "migrate")
        assert (done.returncode, expected in done.stdout) == (0, True), done.stderr
    pid = postmaster(server)
    assert server.is_running()
    os.kill(pid, 0)
    assert rampart(project, "db", "stop").stdout == "stopped\n"
    assert rampart(project, "db", "stop").stdout == "was not running\n"
    assert not server.is_running()
    assert rampart(project, "db", "migrate").stdout == "up to date\n", "the data stayed"
    assert rampart(project, "db", "reset", "--yes").returncode == 0
    assert not server.data.exists()
    assert not server.is_running()


def test_two_commands_at_once_share_one_server(folder: Path) -> None:
    """Four processes start it from nothing: one server, and each finds the database `rampart`."""
    project = project_in(folder)
    server = EmbeddedPostgres(project / ".rampart")
    code = (
        "import sys; from pathlib import Path; import psycopg;"
        "from monitors.warehouse.embedded import EmbeddedPostgres;"
        "t = EmbeddedPostgres(Path(sys.argv[1])).start();"
        "c = psycopg.connect(host=t.host, user=t.user, dbname=t.dbname);"
        "print(c.execute('select pg_postmaster_start_time()').fetchone()[0])"
    )

    def start(_number: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, str(project / ".rampart")],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip

    with ThreadPoolExecutor(4) as pool:
        for _ in range(2):  # from nothing, then after a stop
            found = list(pool.map(start, range(4)))
            assert [each.stderr for each in found] == [""] * 4
            assert len({each.stdout for each in found}) == 1
            server.stop()


def test_the_database_is_there_before_anybody_is_told_that_the_server_runs(
    shared: EmbeddedPostgres,
) -> None:
    """Another command may be between starting the server and making its database: wait for it."""
    shared.start()
    admin = psycopg.connect(
        host=str(shared.sockets), user="postgres", dbname="postgres", autocommit=True
    )
    with admin:
        admin.execute("alter database rampart rename to away")
        try:
            assert shared.is_running()
            shared.start()
            assert ask(shared, "select current_database()") == "rampart"
            admin.execute("drop database rampart with (force)")
        finally:
            admin.execute("alter database away rename to rampart")


def test_it_comes_back_at_once_after_kill_9(shared: EmbeddedPostgres) -> None:
    """The postmaster is killed and the next command starts it; what was committed is there."""
    shared.start()
    ask(shared, "create table kept as select 1 as x")
    busy = connect(shared.target())
    busy.execute("insert into kept values (2)")
    os.kill(postmaster(shared), signal.SIGKILL)
    started = time.monotonic()
    shared.start()
    assert time.monotonic() - started < 20
    busy.close()
    assert ask(shared, "select sum(x) from kept") == 1


def test_it_comes_back_when_all_of_it_was_killed_and_the_pid_is_another_process(
    shared: EmbeddedPostgres,
) -> None:
    """After a power cut the pid in the file may be anybody's."""
    shared.start()
    pid_file = shared.data / "postmaster.pid"
    text = pid_file.read_text()
    shared.stop()
    lines = text.splitlines()
    pid_file.write_text("\n".join([str(os.getppid()), *lines[1:]]) + "\n")
    if AS_ROOT:
        shutil.chown(pid_file, embedded.ACCOUNT)
    shared.start()
    assert ask(shared, "select 1") == 1


def test_what_was_killed_while_it_was_made_is_made_anew(folder: Path) -> None:
    """initdb writes PG_VERSION early: half a cluster must not be taken for a whole one."""
    server = EmbeddedPostgres(home_in(folder))
    server.folder.mkdir(parents=True, exist_ok=True)
    for half in (server.folder / "postgres.new", server.data):
        half.mkdir()
        (half / "base").mkdir()
    (server.folder / "postgres.new" / "PG_VERSION").write_text("18\n")
    server.start()
    assert ask(server, "show listen_addresses") == ""
    assert not (server.folder / "postgres.new").exists()
    for left in server.folder.glob("postgres.old-*"):
        shutil.rmtree(left)


# -------------------------------------------------------------------- folders


def test_the_data_are_private_and_no_other_folder_is_opened(folder: Path) -> None:
    """Data 0700; every folder above keeps its mode, also a 0700 home with a 0700 project."""
    project = folder / "project"
    project.mkdir()
    for each in (folder, project):
        each.chmod(0o700)
    home = home_in(project)
    home.chmod(0o700)
    before = {path: mode(path) for path in (home, *home.parents)}
    old = os.umask(0)
    try:
        server = EmbeddedPostgres(home)
        server.start()
    finally:
        os.umask(old)
    assert mode(server.data) == 0o700
    assert mode(server.sockets) == 0o700
    assert {path: mode(path) for path in before} == before
    assert ask(server, "show unix_socket_permissions") == "0700"
    assert ask(server, "show listen_addresses") == ""
    owner = server.data.stat().st_uid
    assert owner != 0, "Postgres never runs as root"
    opened = [path for path in project.rglob("*") if path.is_dir() and mode(path) & 0o002]
    assert opened == []
    if AS_ROOT:
        assert not (home / "postgres").exists(), "nothing of it lies in the project"
        assert mode(embedded.SYSTEM_FOLDER) == 0o755
    else:
        assert owner == os.geteuid()


@pytest.mark.skipif(not AS_ROOT, reason="only root uses the system folder")
def test_a_strict_umask_of_root_does_not_lock_the_account_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On hardened hosts root's umask is 077, at installation too: the server still starts."""
    system = folder / "system"
    folder.chmod(0o755)
    monkeypatch.setattr(embedded, "SYSTEM_FOLDER", system)
    old = os.umask(0o077)
    try:
        server = EmbeddedPostgres(home_in(folder / "p"))
        server.start()
        assert ask(server, "select 1") == 1
        assert mode(system) == 0o755
        assert mode(server.data) == 0o700
        server.reset()
    finally:
        os.umask(old)


@pytest.mark.skipif(AS_ROOT, reason="as root the data lie in a short system folder")
def test_a_long_path_puts_the_socket_elsewhere_and_private(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket's path may have 107 bytes; another TMPDIR finds the same server."""
    server = EmbeddedPostgres(home_in(folder / ("x" * 60) / ("é" * 20)))
    server.start()
    assert not server.sockets.is_relative_to(folder)
    assert (mode(server.sockets), server.sockets.stat().st_uid) == (0o700, os.geteuid())
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    again = EmbeddedPostgres(server.home)
    assert again.sockets == server.sockets
    assert again.is_running()
    server.reset()
    assert not server.sockets.exists()


@pytest.mark.skipif(AS_ROOT, reason="as root the data lie in a short system folder")
def test_a_prepared_socket_folder_is_refused(folder: Path) -> None:
    """Somebody else's link in /tmp must not lead our socket, or our chmod, anywhere."""
    server = EmbeddedPostgres(home_in(folder / ("x" * 90)))
    victim = folder / "victim"
    victim.mkdir(mode=0o755)
    server.sockets.symlink_to(victim)
    try:
        with pytest.raises(EmbeddedPostgresError, match="belongs to another user"):
            server.start()
        assert mode(victim) == 0o755
    finally:
        server.sockets.unlink()


@pytest.mark.skipif(AS_ROOT, reason="as root the data lie in a system folder with a plain name")
def test_awkward_characters_in_the_path(folder: Path) -> None:
    """A space, an apostrophe, an umlaut."""
    server = EmbeddedPostgres(home_in(folder / "it's ü & co"))
    server.start()
    assert ask(server, "select 1") == 1


def test_data_of_another_version_are_one_clear_line_and_not_touched(folder: Path) -> None:
    """What to do is said; no file in the data folder changes."""
    project = project_in(folder)
    server = EmbeddedPostgres(project / ".rampart")
    server.data.mkdir(parents=True, mode=0o700)
    (server.data / "PG_VERSION").write_text("16\n")
    (server.data / "precious").write_text("data")
    before = {path: path.stat().st_mtime_ns for path in [server.data, *server.data.iterdir()]}
    done = rampart(project, "db", "migrate")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "holds data of PostgreSQL 16, this Rampart brings 18" in done.stderr
    assert "rampart db reset" in done.stderr
    found = {path: path.stat().st_mtime_ns for path in [server.data, *server.data.iterdir()]}
    assert found == before


# -------------------------------------------------------------------- backup and restore


def test_a_full_disk_is_said_and_costs_nothing(folder: Path) -> None:
    """Too small at first, then full under a stopped server: one line; with room all is there."""
    server = EmbeddedPostgres(home_in(folder))
    server.folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(server.folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        with pytest.raises(EmbeddedPostgresError, match=r"No space left on device.*make room"):
            server.start()
        grow = ["mount", "-o", "remount,size=120m", str(server.folder)]
        subprocess.run(grow, check=True)
        with connect(server.start()) as connection:
            connection.execute("create table kept as select 1 as n")
        server.stop()
        with (server.folder / "junk").open("wb") as junk, suppress(OSError):
            while True:
                junk.write(bytes(2**16))
        with pytest.raises(EmbeddedPostgresError, match=r"pg_ctl failed: .* 0\.0 MB left"):
            server.start()
        (server.folder / "junk").unlink()
        with connect(server.start()) as connection:
            assert connection.execute("select n from kept").fetchone() == (1,)
    finally:
        server.stop(for_good=True)
        subprocess.run(["umount", "-l", str(server.folder)], check=False)


def test_backup_and_restore_bring_everything_back(folder: Path) -> None:
    """A dump, a reset, a restore: the same rows; a second restore is refused, nothing changes."""
    project = project_in(folder)
    sql = ("db", "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c")
    assert rampart(project, "db", "migrate").returncode == 0
    made = (
        "create schema s; create table s.t as select n, 'é' || n as x from generate_series(1,999) n"
    )
    assert rampart(project, *sql, made).returncode == 0
    dump = folder / "a folder" / "backup.dump"
    dump.parent.mkdir()
    done = rampart(project, "db", "backup", str(dump))
    assert done.returncode == 0, done.stderr
    assert [path.name for path in dump.parent.iterdir()] == ["backup.dump"]
    assert rampart(project, "db", "reset", "--yes").returncode == 0
    done = rampart(project, "db", "restore", str(dump))
    assert (done.returncode, done.stdout) == (0, "restored\n"), done.stderr
    count = "select count(*), min(x), (select count(*) from monitoring.migrations) > 0 from s.t"
    assert rampart(project, *sql, count).stdout == "999|é1|t\n"
    done = rampart(project, "db", "restore", str(dump))
    assert done.returncode == 1
    assert "the database must be empty" in done.stderr
    assert rampart(project, *sql, count).stdout == "999|é1|t\n"
    (folder / "gone").mkdir()
    broken = folder / "broken.dump"
    broken.write_bytes(dump.read_bytes()[:500])
    assert rampart(project, "db", "restore", str(broken)).returncode == 1


# -------------------------------------------------------------------- configured servers


@pytest.mark.server
def test_a_configured_server_takes_precedence(folder: Path, debian_server: Server) -> None:
    """No embedded one is started, and what is only for it says so."""
    project = project_in(folder)
    env = debian_server.new_database().environment()
    assert "applied 0001" in rampart(project, "db", "migrate", **env).stdout
    for command in ("start", "stop"):
        done = rampart(project, "db", command, **env)
        assert done.returncode == 2
        assert "this is for the embedded Postgres; configured is 127.0.0.1:" in done.stderr
    assert [path.name for path in (project / ".rampart").iterdir()] == ["home.marker"]
    assert not EmbeddedPostgres(project / ".rampart").data.exists()


@pytest.mark.server
@pytest.mark.parametrize(
    "command", [("db", "migrate"), ("load",), ("scan",), ("db", "psql", "-c", "")]
)
def test_a_wrong_password_is_one_line_without_the_password(
    folder: Path, debian_server: Server, command: tuple[str, ...]
) -> None:
    """Exit 2 (psql has its own), who and where and what the server said, never the password."""
    project = project_in(folder)
    target = debian_server.new_database()
    env = {**target.environment(), "RAMPART_PASSWORD": "wr0ng-s3cret"}
    done = rampart(project, *command, **env)
    assert done.returncode == 2
    assert "wr0ng-s3cret" not in done.stdout + done.stderr
    assert "password authentication failed for user" in done.stderr
    if "psql" not in command:
        assert done.stderr.count("\n") == 1
        assert f"cannot connect to 127.0.0.1:{target.port}, database {target.dbname}" in done.stderr


def test_an_unreachable_server_is_one_line(folder: Path) -> None:
    """Nobody listens there: exit 2, and no embedded one is started instead."""
    project = project_in(folder)
    done = rampart(
        project, "load", RAMPART_HOST="127.0.0.1", RAMPART_PORT="1", RAMPART_PASSWORD="pw-x"
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "127.0.0.1:1" in done.stderr
    assert "pw-x" not in done.stderr
    assert not EmbeddedPostgres(project / ".rampart").data.exists()


PROFILE = """
rampart:
  target: dev
  outputs:
    dev: {type: postgres, host: h, port: "{{ env_var('P', '5433') | as_number }}", user: u,
          pass: "{{ env_var('SECRET') }}", dbname: d, schema: me, threads: 4, sslmode: require}
    empty: {type: postgres, host: h, password:, user: u, dbname: d}
    port: {type: postgres, host: h, port: 99999, user: u, dbname: d}
    lake: {type: spark}
    list: [1]
    template: {type: postgres, host: "{{ nonsense( }}"}
    unset: {type: postgres, host: "{{ env_var('NOT_SET') }}"}
    number: {type: postgres, host: h, port: "{{ 'abc' | as_number }}"}
"""


def test_profiles_are_read_as_dbt_reads_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rendered, in the chosen target; RAMPART_* wins; the password is in no repr."""
    monkeypatch.delenv("DBT_PROFILES_DIR")
    monkeypatch.setenv("HOME", str(folder))
    project = project_in(folder)
    assert configured_target(project) is None
    (project / "profiles.yml").write_text(PROFILE)
    monkeypatch.setenv("SECRET", "hush-hush")
    found = configured_target(project)
    assert found == Target(
        "h", 5433, "u", "d", "profiles.yml", "hush-hush", "dev", "me",
        (("threads", 4), ("sslmode", "require")),
    )  # fmt: skip
    assert "hush-hush" not in repr(found) + str(found)
    monkeypatch.setenv("RAMPART_DBNAME", "other")
    password = folder / "pw"
    password.write_text("from-file\n")
    monkeypatch.setenv("RAMPART_PASSWORD_FILE", str(password))
    found = configured_target(project)
    assert found is not None
    assert (found.dbname, found.password, found.host) == ("other", "from-file", "h")
    monkeypatch.delenv("RAMPART_PASSWORD_FILE")
    monkeypatch.setenv("RAMPART_TARGET", "empty")
    found = configured_target(project)
    assert found is not None
    assert found.password == "", "no password is not the password None"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("prod", "target `prod` is not among the outputs; known: dev, empty, lake, list"),
        ("list", "target `list` is not among the outputs"),
        ("lake", "type: found `spark`, allowed is postgres"),
        ("port", "profiles.yml: port: found `99999`, allowed is a port number"),
        ("template", "profiles.yml: `{{ nonsense( }}` cannot be rendered"),
        ("unset", "the variable NOT_SET is asked for and not set"),
        ("number", "cannot be rendered"),
    ],
)
def test_a_profile_that_cannot_be_used_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    """Never a traceback."""
    project = project_in(folder)
    (project / "profiles.yml").write_text(PROFILE)
    monkeypatch.delenv("DBT_PROFILES_DIR")
    monkeypatch.setenv("SECRET", "x")
    monkeypatch.setenv("RAMPART_TARGET", name)
    with pytest.raises(ConfigError) as caught:
        configured_target(project)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        b"\xff\xfe",
        b"a: [",
        b"rampart: 5",
        b"rampart: {outputs: [a]}",
        b"- 1",
        b"",
        b"x: 2026-13-45",
    ],
)
def test_any_profiles_file_gives_a_target_none_or_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, text: bytes
) -> None:
    """Bytes that are no text, no YAML, no mapping, no outputs."""
    project = project_in(folder)
    (project / "profiles.yml").write_bytes(text)
    monkeypatch.delenv("DBT_PROFILES_DIR")
    try:
        assert configured_target(project) is None
    except ConfigError as error:
        said = str(error)
        assert "\n" not in said


def test_an_empty_host_is_no_host(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`RAMPART_HOST=` in a compose file means that nothing is configured."""
    monkeypatch.setenv("RAMPART_HOST", "")
    assert configured_target(project_in(folder)) is None


def test_resolve_starts_the_embedded_one(
    shared: EmbeddedPostgres, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RAMPART_HOME says where it lives; nothing else is needed."""
    monkeypatch.setenv("RAMPART_HOME", str(shared.home))
    shared.stop()
    target = resolve_target(project_in(folder))
    assert target == shared.target()
    assert shared.is_running()
