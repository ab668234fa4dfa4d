"""Where files land: a folder of this machine, a mounted or synced one, S3, whatever fsspec knows.

A file of this machine is a Path and is read as ever; any other is a RemoteFile, which answers the
same three questions (`Source`) and is read as a stream, never copied to a disk.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from errno import EACCES
from fnmatch import fnmatchcase
from pathlib import Path
from queue import Empty, Queue
from stat import S_ISLNK
from threading import Thread
from types import TracebackType
from typing import Any, Literal, Protocol

from typing_extensions import Self

from monitors.config_feeds import place_of
from monitors.log import masked

ANSWER_SECONDS = 120.0
"""A mount that does not answer for so long is gone; a dead network share never answers at all."""
STREAM_BYTES = 8 * 1024 * 1024
"""How much of a remote file is fetched ahead."""
UNMOUNTED = "nothing is mounted there"
OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss")
"""Folders are there only by the names of files, and the store itself says when one was written."""


class Stat(Protocol):
    """What is asked of a file."""

    @property
    def st_size(self) -> int: ...
    @property
    def st_mtime(self) -> float: ...


class Readable(Protocol):
    """An open file."""

    def read(self, size: int = -1, /) -> bytes: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...


class Source(Protocol):
    """What can be loaded: a Path is one."""

    @property
    def name(self) -> str: ...
    def stat(self) -> Stat: ...
    def open(self, mode: Literal["rb"]) -> Readable: ...


@dataclass(frozen=True, slots=True)
class RemoteStat:
    """Size in bytes and time of the last change in seconds since 1970."""

    st_size: int
    st_mtime: float


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that is read through fsspec."""

    url: str
    filesystem: Any
    path: str
    listed: RemoteStat

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]

    def stat(self) -> RemoteStat:
        """As it is now. Raises OSError."""
        with _os_errors():
            self.filesystem.invalidate_cache()
            return _stat_of(self.filesystem.info(self.path), self.listed.st_mtime)

    def open(self, mode: Literal["rb"]) -> Readable:
        """As a stream. Raises OSError, also later when it is read."""
        with _os_errors():
            return _Stream(self.filesystem.open(self.path, mode, block_size=STREAM_BYTES))

    def __str__(self) -> str:
        return self.url


class _Stream:
    """A remote file that is being read; whatever its client raises is an OSError here."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, size: int = -1, /) -> bytes:
        with _os_errors():
            return bytes(self._file.read(size))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
        /,
    ) -> None:
        self._file.close()


@contextmanager
def _os_errors() -> Iterator[None]:
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(_reason(error)) from error


@dataclass(frozen=True, slots=True)
class LandedFile:
    """One file of a landing place; `name` is its path below the part without wildcards."""

    name: str
    source: Source
    size: int
    modified: datetime
    """The last change, UTC."""
    fault: str | None = None
    """Why it cannot be read."""


@dataclass(frozen=True, slots=True)
class Listing:
    """All that lies in a place as deep as the pattern reaches, in order of name."""

    where: str
    files: tuple[LandedFile, ...] = ()
    faults: tuple[str, ...] = ()
    """Why it, or a folder in it, cannot be listed; one line each."""
    is_absent: bool = False
    """The place is not there at all."""


def list_place(
    path: str, root: Path, seconds: float = ANSWER_SECONDS, *, mounted: bool = False
) -> Listing:
    """What lies where a feed's `path` points. Never raises: what is wrong is in the listing.

    `mounted`: it must lie on a mount, or else nothing of it is listed.
    """
    folder, pattern = place_of(path)
    if "://" in path and not path.startswith("file://"):
        return _answered(folder, seconds, lambda: _list_remote(folder, _depth(pattern)))
    local = root / Path(folder.removeprefix("file://"))

    def look() -> Listing:
        try:
            listing = _list_local(folder, local, pattern)
        except FileNotFoundError:
            return Listing(folder, faults=(_why_absent(local),), is_absent=True)
        return (
            listing if not mounted or is_mounted(local, root) else Listing(folder, (), (UNMOUNTED,))
        )

    return _answered(folder, seconds, look)


def is_mounted(folder: Path, root: Path) -> bool:
    """Whether it, or a folder above it, is a mount point; one that the project lies in, like `/`,
    says nothing of a share. A bind mount within one file system is not seen as one."""
    there, here = folder.resolve(), root.resolve()
    above = (each for each in (there, *there.parents) if not here.is_relative_to(each))
    return any(os.path.ismount(each) for each in above)


def fits(name: str, pattern: str) -> bool:
    """Whether a path below a place is one that its pattern means; `**` stands for any folders."""
    return _fits(name.split("/"), pattern.split("/"))


def landed(path: Path, name: str) -> LandedFile:
    """A file that somebody named; one that is not there is told by whoever opens it."""
    try:
        stat = path.stat()
    except OSError:
        return LandedFile(name, path, 0, datetime.fromtimestamp(0, timezone.utc))
    return _file(name, path, stat)


def has_changed(source: Source, before: Stat) -> bool:
    """Whether a file is another one, longer or newer than before. Raises OSError."""
    now = source.stat()
    return (now.st_size, now.st_mtime) != (before.st_size, before.st_mtime)


def is_written_by_the_store(source: Source) -> bool:
    """Whether the time of its last change is the store's own word, and never set by a sender."""
    return isinstance(source, RemoteFile) and source.url.split("://")[0] in OBJECT_STORES


# -------------------------------------------------------------------- the pieces


def _fits(names: Sequence[str], patterns: Sequence[str]) -> bool:
    if not patterns:
        return not names
    if patterns[0] == "**":
        return any(_fits(names[skipped:], patterns[1:]) for skipped in range(len(names)))
    return bool(names) and fnmatchcase(names[0], patterns[0]) and _fits(names[1:], patterns[1:])


def _answered(where: str, seconds: float, look: Any) -> Listing:
    """Look in a thread: one that hangs in the kernel must not hang the command."""
    answer: Queue[Listing] = Queue()

    def ask() -> None:
        try:
            answer.put(look())
        except FileNotFoundError:
            answer.put(Listing(where, faults=("it does not exist",), is_absent=True))
        except Exception as error:  # a client of a store raises what it likes
            answer.put(Listing(where, faults=(_reason(error),)))

    Thread(target=ask, daemon=True).start()
    try:
        return answer.get(timeout=seconds)
    except Empty:
        return Listing(where, faults=(f"it does not answer within {seconds:.0f} seconds",))


def _list_local(where: str, folder: Path, pattern: str) -> Listing:
    faults: list[str] = []
    files: list[LandedFile] = []
    for name, path, found in _walk(folder, "", _depth(pattern), faults):
        if fits(name, pattern):
            files.append(_file(name, path, found, _unreadable(path)))
        elif not S_ISLNK(found.st_mode):  # a link that leads nowhere, and that nobody asks for
            files.append(_file(name, path, found))
    return Listing(where, _sorted(files), tuple(faults))


def _depth(pattern: str) -> int | None:
    """How deep a pattern reaches; None: into all folders."""
    parts = pattern.split("/")
    return None if "**" in parts else len(parts)


def _unreadable(path: Path) -> str | None:
    """Why a file cannot be read. One that is gone since it was listed has no fault."""
    if os.access(path, os.R_OK):
        return None
    return _broken_link(path) or (os.strerror(EACCES) if path.exists() else None)


def _why_absent(folder: Path) -> str:
    for each in (folder, *folder.parents):
        if link := _broken_link(each):
            return f"{'it' if each == folder else each.name} is {link}"
    return "it does not exist"


def _broken_link(path: Path) -> str | None:
    if path.is_symlink() and not path.exists():
        return f"a link to {path.readlink()}, which is not there"
    return None


def _walk(
    folder: Path, prefix: str, depth: int | None, faults: list[str]
) -> Iterator[tuple[str, Path, os.stat_result]]:
    """(name, path, stat) of the files below a folder, and of links that lead nowhere. Folders that
    begin with a dot are private."""
    deeper = None if depth is None else depth - 1
    folders: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                # a `**` that follows links might never come back
                if entry.is_dir(follow_symlinks=depth is not None):
                    if deeper != 0 and entry.name[0] != ".":
                        folders.append(entry.name)
                elif not _is_text(entry.name):
                    said = entry.name.encode(errors="surrogateescape").decode(errors="replace")
                    faults.append(f"{prefix}{said}: its name is not UTF-8")
                elif entry.is_file():
                    yield f"{prefix}{entry.name}", folder / entry.name, entry.stat()
                elif entry.is_symlink() and not (folder / entry.name).exists():
                    found = entry.stat(follow_symlinks=False)
                    yield f"{prefix}{entry.name}", folder / entry.name, found
            except FileNotFoundError:
                continue  # gone since it was listed
            except OSError as error:
                faults.append(f"{prefix}{entry.name}: {_reason(error)}")
    for name in folders:
        try:
            yield from _walk(folder / name, f"{prefix}{name}/", deeper, faults)
        except OSError as error:
            faults.append(f"{prefix}{name}: {_reason(error)}")


def _is_text(name: str) -> bool:
    """Whether a database can hold a name: the system allows any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _list_remote(where: str, depth: int | None) -> Listing:
    try:
        from fsspec.core import url_to_fs

        filesystem, root = url_to_fs(where, use_listings_cache=False, skip_instance_cache=True)
    except ImportError as error:
        extra = "s3" if where.startswith("s3") else None
        said = "pip install 'rampart[s3]'" if extra else str(error)
        return Listing(where, faults=(f"its client is not installed: {said}",))
    if where.split("://")[0] in OBJECT_STORES:
        found = filesystem.find(root, detail=True)  # one flat listing, which raises what it meets
    else:
        filesystem.ls(root, detail=False)  # find() itself passes over what it may not list
        found = filesystem.find(root, maxdepth=depth, detail=True)
    base = root.rstrip("/") + "/"
    scheme = where.split("://")[0]
    now = time.time()
    files = []
    for path, info in found.items():
        name = path.removeprefix(base)
        if info.get("type", "file") != "file" or path.endswith("/") or name == path:
            continue
        if (depth is not None and name.count("/") >= depth) or _is_in_private_folder(name):
            continue
        stat = _stat_of(info, now)
        source = RemoteFile(f"{scheme}://{path.lstrip('/')}", filesystem, path, stat)
        files.append(_file(name, source, stat))
    return Listing(where, _sorted(files))


def _is_in_private_folder(name: str) -> bool:
    return any(part[:1] == "." for part in name.split("/")[:-1])


def _stat_of(info: dict[str, Any], otherwise: float) -> RemoteStat:
    """Each file system has a name of its own for the last change, or none."""
    moment = next(
        (
            info[key]
            for key in ("LastModified", "mtime", "last_modified", "updated", "modify", "created")
            if info.get(key) is not None
        ),
        None,
    )
    seconds = otherwise
    if isinstance(moment, datetime):
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    elif isinstance(moment, (int, float)):
        seconds = float(moment)
    return RemoteStat(int(info.get("size") or 0), seconds)


def _file(name: str, source: Source, stat: Stat, fault: str | None = None) -> LandedFile:
    modified = datetime.fromtimestamp(stat.st_mtime, timezone.utc)
    return LandedFile(name, source, stat.st_size, modified, fault)


def _sorted(files: Iterable[LandedFile]) -> tuple[LandedFile, ...]:
    return tuple(sorted(files, key=lambda each: each.name))


def _reason(error: Exception) -> str:
    """What the system says, or the client; one line without a secret."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return masked(" ".join(said.split()) or type(error).__name__)
