"""What a stream is to the rest: messages of partitions, each with an offset, and a place to go on.

A source knows nothing of the warehouse. Where to go on is told to it (`seek`), each time it is
given partitions; it never goes by what a broker remembers, and it never skips what it cannot find.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from monitors.errors import ExitCode, RampartError
from monitors.store.streams import Position

POLL_BYTES = 8 * 1024 * 1024
"""About so much is taken from a source at once."""


class Message(NamedTuple):
    """One message, or one line. `value` may hold only the beginning of `size` bytes."""

    partition: str
    offset: int
    next_offset: int
    value: bytes
    size: int
    timestamp: float | None
    """When the broker says that it was sent, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Messages of a partition that are gone: `first` is the first one that there is."""

    partition: str
    expected: int
    first: int
    why: str

    def __str__(self) -> str:
        return f"{self.partition}: next is offset {self.expected}, {self.why}"


class DataLoss(RampartError):
    """What should come next is not there any more."""

    def __init__(self, losses: Iterable[Loss]) -> None:
        self.losses = tuple(losses)
        super().__init__("; ".join(map(str, self.losses)))


class SourceUnusable(RampartError):
    """The source cannot be read: its settings, or who we are, are wrong."""


class SourceAway(SourceUnusable):
    """Nobody answers where the source should be."""

    exit_code = ExitCode.RED


class SourceBusy(Exception):
    """The source does not answer at the moment; it is asked again."""


class Source(Protocol):
    """Where messages come from. Only the thread that made it may use it."""

    @property
    def generation(self) -> int:
        """Changes whenever partitions are given or taken: what was read before is void."""
        ...

    @property
    def partitions(self) -> frozenset[str]:
        """What is ours now."""
        ...

    @property
    def problem(self) -> str | None:
        """Why nothing comes at the moment, if that is so."""
        ...

    def unplaced(self) -> frozenset[str]:
        """Of these it must be told where to go on; nothing of them is read before."""
        ...

    def start_of(self, partition: str) -> Position:
        """Where a partition begins that was never read. Raises SourceBusy."""
        ...

    def seek(self, positions: Mapping[str, Position]) -> list[Loss]:
        """Go on there. A partition with a loss is not read. Raises SourceBusy."""
        ...

    def poll(self, most: int, seconds: float) -> list[Message]:
        """The next messages, each partition's in order; none when none came within the time.

        Raises DataLoss, SourceUnusable.
        """
        ...

    def reached(self, partition: str, next_offset: int) -> Position:
        """The position to remember when everything before `next_offset` is taken."""
        ...

    def forget(self) -> None:
        """What was read and not taken is void: every partition is unplaced again."""
        ...

    def pause(self) -> None:
        """Read nothing ahead, but stay a member: the warehouse is away."""
        ...

    def taken(self, positions: Mapping[str, int]) -> None:
        """These are committed in the warehouse; for whoever looks at the source."""
        ...

    def is_full(self) -> bool:
        """Whether it gives no more before what it gave is taken."""
        ...

    def is_at_end(self) -> bool:
        """Whether everything that was there has been polled."""
        ...

    def lag(self, positions: Mapping[str, int]) -> int | None:
        """How much of the partitions lies behind these offsets (messages, or bytes)."""
        ...

    def close(self) -> None: ...
