"""Whether a file still grows: one that was changed a moment ago is looked at again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path

from monitors.arrival.export import ExportFailed


class Growth:
    """The files of one export, looked at when it begins: all of them settle in the same wait.

    `now` in seconds since 1970, as the times of files are.
    """

    def __init__(
        self,
        sources: Iterable[Path],
        settle: timedelta,
        now: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._settle = settle.total_seconds()
        self._now, self._sleep = now, sleep
        self._seen = {source: _size_and_time(source) for source in sources}
        self._seen_at = now()

    def settled(self, source: Path) -> os.stat_result:
        """What the system says of a file that nobody writes. Raises ExportFailed, OSError."""
        found = source.stat()
        # a time of the future is a clock that goes wrong, and tells nothing of age
        if self._now() - found.st_mtime >= self._settle:
            return found
        before = self._seen.get(source) or (found.st_size, found.st_mtime_ns)
        self._sleep(min(max(self._seen_at + self._settle - self._now(), 0), self._settle))
        again = source.stat()
        if before != (again.st_size, again.st_mtime_ns):
            raise ExportFailed(
                f"{source}: it still grows ({before[0]:,} bytes, then {again.st_size:,}), so it is"
                " left for the next run"
            )
        return again


def _size_and_time(source: Path) -> tuple[int, int] | None:
    """None: it cannot be seen; whoever copies it will say why."""
    try:
        found = source.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
