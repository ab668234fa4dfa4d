"""Which files of a landing place an export wrote itself: one note per target, in the state folder.

A note is written before the target gets its name, with what is there and what will be: whatever
dies in between, the file that is found is a known one.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from monitors import log as logs

log = logs.get_logger("Export")

KEPT_SECONDS = 30 * 86400
"""How long a note outlives its target: a mount that is away for a while is none that is gone."""


@dataclass(frozen=True, slots=True)
class Note:
    """Of which source a target is a copy, and with which contents it may be found."""

    source: str
    sha256: tuple[str, ...]


class Copies:
    """The notes of a project. `folder` None: there is none, and nothing is known."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def why_not_ours(self, source: Path, target: Path, sha256: str) -> str | None:
        """Why a file that is there is no earlier copy of this source; None when it is one."""
        note = self._read(target)
        if note is None or sha256 not in note.sha256:
            known = "" if self.folder else " (without a rampart.yml it notes nothing)"
            return f"another file is there, which this export did not write{known}"
        if note.source != _absolute(source):
            return f"a copy of {note.source} is there"
        return None

    def note(self, source: Path, target: Path, *sha256: str) -> None:
        """A note that cannot be kept costs no copy; the next one will be refused, and say so."""
        wanted = Note(_absolute(source), sha256)
        if self.folder is None or self._read(target) == wanted:
            return
        path = self._path(target)
        staged = path.with_name(f".{path.name}.{os.getpid()}")
        values = {"target": _absolute(target), "source": wanted.source, "sha256": list(sha256)}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            staged.write_text(json.dumps(values), encoding="utf-8")
            staged.replace(path)
        except OSError as error:
            log.warning("copy not noted", target=str(target), reason=error.strerror or str(error))

    def tidy(self) -> None:
        """Forget what has been gone for long."""
        if self.folder is None:
            return
        for path in self.folder.glob("*.json"):
            with suppress(OSError, ValueError, KeyError, TypeError):
                is_old = time.time() - path.stat().st_mtime > KEPT_SECONDS
                target = json.loads(path.read_text(encoding="utf-8"))["target"]
                if is_old and not os.path.lexists(target):
                    path.unlink(missing_ok=True)

    def _read(self, target: Path) -> Note | None:
        if self.folder is None:
            return None
        try:
            values = json.loads(self._path(target).read_text(encoding="utf-8"))
            return Note(values["source"], tuple(values["sha256"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _path(self, target: Path) -> Path:
        assert self.folder is not None  # noqa: S101 - whoever asks has looked
        name = hashlib.sha256(os.fsencode(_absolute(target))).hexdigest()[:32]
        return self.folder / f"{name}.json"


NOTHING_KNOWN = Copies(None)


def _absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - links stay as they were named
