"""A growing folder: files that appear, and files that grow by whole lines.

A file is a partition, its bytes are the offsets. Only whole lines are read: the last one waits for
its line end. A file that shrank, or whose beginning is another one than before, is a loss.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import BinaryIO

from monitors.arrival.records import BOM
from monitors.arrival.stream import POLL_BYTES, DataLoss, Loss, Message
from monitors.arrival.unfinished import unfinished
from monitors.config_feeds import place_of
from monitors.log import get_logger
from monitors.store.streams import Position

log = get_logger("Folder")

HEAD_BYTES = 256
"""By so much of its beginning a file is told from another one of its name."""
LIST_SECONDS = 1.0
"""How often the folder is looked at while files still have unread lines."""
NAP_SECONDS = 0.2


class FolderSource:
    """See `Source`; a partition is a file, named by its path below the fixed part of the glob."""

    generation = 0

    def __init__(self, root: Path, path: str, *, max_files: int, max_record_bytes: int) -> None:
        fixed, self._pattern = place_of(path)
        self._base = root / fixed
        self._max_files = max_files
        self._max_record = max_record_bytes
        self._sizes: dict[str, int] = {}
        self._next: dict[str, int] = {}
        self._prints: dict[str, str | None] = {}
        self._heads: dict[str, bytes] = {}
        self._nothing_new: dict[str, int] = {}
        self._in_batch: set[str] = set()
        self._broken: dict[str, str] = {}
        self._listed_at = -LIST_SECONDS
        self._at_end = False

    # ---------------------------------------------------------------- what is there

    @property
    def partitions(self) -> frozenset[str]:
        return frozenset(self._sizes)

    @property
    def problem(self) -> str | None:
        if not self._base.is_dir():
            return f"{self._base}: there is no such folder"
        first = next(iter(sorted(self._broken.items())), None)
        return f"{first[0]}: {first[1]}" if first else None

    def unplaced(self) -> frozenset[str]:
        if monotonic() - self._listed_at >= LIST_SECONDS:
            self._list()
        return frozenset(self._sizes.keys() - self._next.keys())

    def start_of(self, _partition: str) -> Position:
        return Position(0)

    def seek(self, positions: Mapping[str, Position]) -> list[Loss]:
        losses = []
        for name, position in positions.items():
            self._prints[name] = position.fingerprint
            loss = self._loss(name, position.next_offset)
            if loss is not None:
                losses.append(loss)
                continue
            self._next[name] = position.next_offset
            self._nothing_new.pop(name, None)
        return losses

    # ---------------------------------------------------------------- reading

    def poll(self, most: int, seconds: float) -> list[Message]:
        messages = self._read_some(most)
        if not messages:  # only what was looked at just now can be called the end
            self._list()
            messages = self._read_some(most)
        self._at_end = not messages and not any(map(self._has_more, self._sizes))
        if not messages and not self.unplaced():
            sleep(min(seconds, NAP_SECONDS))
        return messages

    def _read_some(self, most: int) -> list[Message]:
        messages: list[Message] = []
        held = 0
        for name in list(self._sizes):
            if len(messages) >= most or held >= POLL_BYTES:
                break
            if not self._has_more(name):
                continue
            if name not in self._in_batch and len(self._in_batch) >= self._max_files:
                continue
            try:
                found = self._read(name, most - len(messages))
            except FileNotFoundError:
                self._sizes.pop(name)
                continue
            except OSError as error:
                self._broken[name] = error.strerror or str(error)
                log.error("file cannot be read", source=name, reason=self._broken[name])
                self._nothing_new[name] = self._sizes[name]
                continue
            self._broken.pop(name, None)
            if found:
                self._in_batch.add(name)
                messages += found
                held += found[-1].next_offset - found[0].offset
            else:
                self._nothing_new[name] = self._sizes[name]
        return messages

    def _has_more(self, name: str) -> bool:
        size = self._sizes[name]
        at = self._next.get(name)
        return at is not None and size != at and self._nothing_new.get(name) != size

    def _read(self, name: str, most: int) -> list[Message]:
        """Whole lines from where the file stands. Raises DataLoss, OSError."""
        at = self._next[name]
        with (self._base / name).open("rb") as file:
            if loss := self._loss_in(file, name, at):
                raise DataLoss([loss])
            file.seek(at)
            block = file.read(max(POLL_BYTES, self._max_record + 2))
            end = block.rfind(b"\n")
            if end < 0:
                return self._oversized(file, name, at, block)
        messages = []
        for line in block[: end + 1].split(b"\n")[:-1]:
            after = at + len(line) + 1
            value = line.removesuffix(b"\r")
            if at == 0:
                value = value.removeprefix(BOM)
            if value.strip():
                size = len(value)
                kept = value[: self._max_record] if size > self._max_record else value
                messages.append(Message(name, at, after, kept, size, None))
                self._next[name] = after
                if len(messages) >= most:
                    break
            at = after
        return messages

    def _oversized(self, file: BinaryIO, name: str, at: int, block: bytes) -> list[Message]:
        """A line that is longer than what was read: its beginning, once its end is there."""
        size = len(block)
        while more := file.read(1 << 20):
            end = more.find(b"\n")
            if end >= 0:
                size += end
                after = at + size + 1
                self._next[name] = after
                return [Message(name, at, after, block[: self._max_record], size, None)]
            size += len(more)
        return []  # its end has not come yet

    def reached(self, partition: str, next_offset: int) -> Position:
        return Position(next_offset, None, _fingerprint(self._heads[partition][:next_offset]))

    def forget(self) -> None:
        self._next.clear()
        self._in_batch.clear()
        self._nothing_new.clear()
        self._at_end = False

    def pause(self) -> None:
        """Nothing is read ahead."""

    def taken(self, positions: Mapping[str, int]) -> None:
        self._in_batch.clear()
        for name in positions:
            self._prints[name] = self.reached(name, positions[name]).fingerprint

    def is_full(self) -> bool:
        return len(self._in_batch) >= self._max_files and any(
            self._has_more(name) for name in self._sizes if name not in self._in_batch
        )

    def is_at_end(self) -> bool:
        return self._at_end and not self.unplaced()

    def lag(self, positions: Mapping[str, int]) -> int | None:
        return sum(max(0, size - positions.get(name, 0)) for name, size in self._sizes.items())

    def close(self) -> None:
        for name, size in sorted(self._sizes.items()):
            if self._nothing_new.get(name) == size and self._next.get(name, size) < size:
                log.warning("the last line of a file has no end yet", source=name)

    # ---------------------------------------------------------------- the pieces

    def _list(self) -> None:
        """The oldest first. Raises DataLoss when a file went before all of it was read."""
        found = []
        for path in self._base.glob(self._pattern):
            name = path.relative_to(self._base).as_posix()
            if unfinished(name, self._pattern):
                continue
            try:
                stat = path.stat()
            except OSError:
                continue
            if path.is_file():
                found.append((stat.st_mtime, name, stat.st_size))
        sizes = {name: size for _time, name, size in sorted(found)}
        gone = [
            Loss(name, at, at, f"the file is gone, and {self._sizes[name] - at:,} bytes unread")
            for name, at in self._next.items()
            if name in self._sizes and name not in sizes and at < self._sizes[name]
        ]
        for name in self._sizes.keys() - sizes.keys():
            self._next.pop(name, None)
            self._broken.pop(name, None)
        self._sizes = sizes
        self._listed_at = monotonic()
        if gone:
            raise DataLoss(gone)

    def _loss(self, name: str, at: int) -> Loss | None:
        try:
            with (self._base / name).open("rb") as file:
                return self._loss_in(file, name, at)
        except OSError:
            return None  # reading it says why

    def _loss_in(self, file: BinaryIO, name: str, at: int) -> Loss | None:
        size = os.fstat(file.fileno()).st_size
        if size < at:
            return Loss(name, at, 0, f"the file has {size:,} bytes: it was cut, or made anew")
        head = file.read(HEAD_BYTES)
        self._heads[name] = head
        known = self._prints.get(name)
        if known is not None and known != _fingerprint(head[: int(known.split(":")[0])]):
            return Loss(name, at, 0, "and this is another file: it does not begin as it did")
        return None


def _fingerprint(head: bytes) -> str:
    """How much of a file's beginning, and its hash."""
    return f"{len(head)}:{hashlib.sha256(head).hexdigest()[:32]}"
