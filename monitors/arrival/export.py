"""A hardened copy: a file is in the target folder whole, or not at all.

It is written under a name of its own that no feed matches, read back and held against its
checksum, flushed to the disk, and only then renamed. Whatever is interrupted starts over; whatever
is there already is left alone.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import pwd
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from monitors.arrival.copies import NOTHING_KNOWN, Copies
from monitors.errors import PipelineFailed

BLOCK_BYTES = 1024 * 1024
PREFIX, SUFFIX = ".rampart-", ".part"
"""Of the temporary name: a dot file, which no feed and no sync client takes for a finished one."""

LONGEST_NAME = 200
"""In bytes; file systems have 255."""
WAY_OUT = "move it away, or say --overwrite (`overwrite: true` in rampart.yml)"

Progress = Callable[[int], None]
Look = Callable[[Path], os.stat_result]
"""How a source is looked at before it is copied; may raise ExportFailed."""


class ExportFailed(PipelineFailed):
    """One line that says what is wrong with a file or a folder."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What became of one file. `copied` is False when it was there already."""

    target: Path
    bytes: int
    sha256: str
    copied: bool


def export_file(
    source: Path,
    folder: Path,
    name: str,
    on_bytes: Progress = lambda _bytes: None,
    *,
    look: Look = Path.stat,
    copies: Copies = NOTHING_KNOWN,
    overwrite: bool = False,
) -> Exported:
    """Copy a file into a folder as `name`, which may hold folders.

    An earlier copy of this source, by what `copies` knows, is replaced at once, never in parts; any
    other file of that name only with `overwrite`. Raises ExportFailed.
    """
    target = folder / name
    with _named_errors(source, target, folder):
        _need_folder(folder)
        before = _need_file(source, look)
        if not target.parent.is_dir():
            _make_folders(folder, target.parent)
        _sweep(target.parent, target.name)
        held = _held(target)
        if held.size == before.st_size and held.sha256 == _sha256_of(source):
            copies.note(source, target, held.sha256)
            return Exported(target, before.st_size, held.sha256, copied=False)
        why_not = None if held.is_free else copies.why_not_ours(source, target, held.sha256)
        if why_not and not overwrite:
            raise ExportFailed(f"{target}: {why_not}; {WAY_OUT}")
        _need_space(target.parent, before.st_size)
        with _part_of(target) as (part, handle):
            digest = _copy_whole(source, before, part, handle, target, on_bytes)
            ours = [held.sha256] if held.sha256 and not why_not else []
            copies.note(source, target, *ours, digest)
            copied = overwrite or _is_still_so(target, held, digest)
            if copied:
                part.replace(target)
                _sync_folder(target.parent)
        return Exported(target, before.st_size, digest, copied=copied)


# -------------------------------------------------------------------- before


def _need_folder(folder: Path) -> None:
    if not folder.exists():
        raise ExportFailed(f"{folder}: the target folder does not exist; is it mounted?")
    if not folder.is_dir():
        raise ExportFailed(f"{folder}: the target is no folder")


def _need_file(source: Path, look: Look) -> os.stat_result:
    found = look(source)
    if not stat.S_ISREG(found.st_mode):
        raise ExportFailed(f"{source}: no regular file")
    return found


def _need_space(folder: Path, size: int) -> None:
    system = os.statvfs(folder)
    free = system.f_bavail * system.f_frsize
    if free < size:
        raise ExportFailed(f"{folder}: no space: {size:,} bytes are needed, {free:,} are free")


def _make_folders(base: Path, folder: Path) -> None:
    """The folders below the target folder; their names are on the disk before a file is in them."""
    missing = [folder, *folder.parents][: len(folder.parts) - len(base.parts)]
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        _sync_folder(each.parent)


@dataclass(frozen=True, slots=True)
class _Held:
    """What has the name of the target already; blank when it is free."""

    identity: tuple[int, ...] = ()
    size: int = -1
    sha256: str = ""

    @property
    def is_free(self) -> bool:
        return not self.identity


def _held(target: Path) -> _Held:
    identity = _identity(target)
    if not identity:
        return _Held()
    try:
        found = target.stat()
    except FileNotFoundError:  # a link to nothing
        return _Held(identity)
    if not stat.S_ISREG(found.st_mode):
        raise ExportFailed(f"{target}: is there already, and is no regular file")
    return _Held(identity, found.st_size, _sha256_of(target))


def _identity(target: Path) -> tuple[int, ...]:
    try:
        found = target.lstat()
    except FileNotFoundError:
        return ()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _is_still_so(target: Path, held: _Held, digest: str) -> bool:
    """False: another export has just put the same there. Raises ExportFailed when it is not."""
    if _identity(target) == held.identity:
        return True
    if _sha256_of(target) == digest:
        return False
    raise ExportFailed(f"{target}: somebody else wrote it meanwhile; it is left alone")


# -------------------------------------------------------------------- the copy


@contextmanager
def _part_of(target: Path) -> Iterator[tuple[Path, int]]:
    """A temporary file beside the target, and its handle; gone afterwards, unless renamed."""
    part, handle = _open_part(target)
    try:
        yield part, handle
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        os.close(handle)


def _copy_whole(
    source: Path,
    before: os.stat_result,
    part: Path,
    handle: int,
    target: Path,
    on_bytes: Progress,
) -> str:
    """The checksum of what is on the disk now. Raises ExportFailed, OSError."""
    digest, left = hashlib.sha256(), before.st_size
    with source.open("rb") as reading, os.fdopen(handle, "wb", closefd=False) as writing:
        # a file that somebody goes on writing has no end to wait for
        while left >= 0 and (block := reading.read(BLOCK_BYTES)):
            digest.update(block)
            writing.write(block)
            on_bytes(len(block))
            left -= len(block)
        writing.flush()
        after = os.fstat(reading.fileno())
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise ExportFailed(f"{source}: changed while it was copied; it is still being written")
    os.fsync(handle)
    if _sha256_of(part) != digest.hexdigest():
        raise ExportFailed(f"{target}: what was written reads back otherwise; the disk is bad")
    return digest.hexdigest()


def _open_part(target: Path) -> tuple[Path, int]:
    """A new temporary file beside the target, locked as long as this process lives."""
    while True:
        part = target.with_name(f"{_stem(target.name)}.{secrets.token_hex(4)}{SUFFIX}")
        handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        with suppress(OSError):  # a file system without locks: then nobody sweeps, either
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_still(part, handle):
            return part, handle
        os.close(handle)  # another export swept it between the two calls


def _stem(name: str) -> str:
    """How the temporary name begins; a long one would not fit with what is added to it."""
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return PREFIX + name


def _sweep(folder: Path, name: str) -> None:
    """Remove what exports of this file left behind that were killed; those that run hold a lock."""
    for part in folder.glob(f"{_escaped(_stem(name))}.*{SUFFIX}"):
        with suppress(OSError):
            handle = os.open(part, os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_still(part, handle):
                    part.unlink()
            finally:
                os.close(handle)


def _is_still(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _sync_folder(folder: Path) -> None:
    """A name is on the disk only when its folder is."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network mounts cannot
            raise
    finally:
        os.close(handle)


def _sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _escaped(name: str) -> str:
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)


# -------------------------------------------------------------------- what is said


class _named_errors:
    """An OSError becomes the one line that names the path, the reason, and for a permission who
    asked and who may."""

    def __init__(self, source: Path, target: Path, folder: Path) -> None:
        self.source, self.target, self.folder = source, target, folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, OSError):
            return
        met = path = Path(error.filename) if error.filename else self.folder
        if path.name.startswith(PREFIX) and path.name.endswith(SUFFIX):
            path = self.target  # nobody knows it by its hidden name
        if error.errno == errno.ENOSPC:
            said = f"{self.folder}: no space left while writing {self.source.name}"
        elif error.errno in (errno.EACCES, errno.EPERM):
            said = f"{path}: permission denied: {_who_may(met)}"
        elif error.errno == errno.EROFS:
            said = f"{self.folder}: the file system is read-only"
        elif error.errno == errno.ENOENT and path == self.source:
            said = f"{path}: this source does not exist"
        else:
            said = f"{path}: {error.strerror or error}"
        raise ExportFailed(said) from error


def _who_may(path: Path) -> str:
    """`this is ann, the folder /data belongs to root with mode 0755`."""
    while not os.path.exists(path) and path != path.parent:  # noqa: PTH110 - never raises
        path = path.parent
    try:
        found = path.stat()
    except OSError:
        return f"this is {_account(os.geteuid())}"
    kind = "folder" if stat.S_ISDIR(found.st_mode) else "file"
    mode = stat.S_IMODE(found.st_mode)
    return (
        f"this is {_account(os.geteuid())}, the {kind} {path} belongs to"
        f" {_account(found.st_uid)} with mode {mode:04o}"
    )


def _account(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"
