"""Dead letters, and what people decided about them; the composition owns the transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from monitors.store.sql import statement
from monitors.warehouse.connection import Connection


@dataclass(frozen=True, slots=True)
class LetterSelection:
    """Which dead letters; what is None selects nothing out. `reason`: how it begins."""

    feed: str | None = None
    delivery: int | None = None
    reason: str | None = None
    letter: int | None = None

    @property
    def is_everything(self) -> bool:
        return self == LetterSelection()


@dataclass(frozen=True, slots=True)
class LetterGroup:
    """Dead letters of one delivery with one kind of reason and one decision."""

    feed: str
    decision: str
    reason: str
    delivery_id: int
    name: str
    since: datetime
    letters: int
    example: int


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter, and the decision about it, if there is one."""

    dead_letter_id: int
    feed: str
    delivery_id: int
    name: str
    source_row: int
    line: int
    reason: str
    content: bytes
    content_bytes: int
    source_partition: str | None
    source_offset: int | None
    recorded_at: datetime
    decision: str | None
    decided_by: str | None
    decided_at: datetime | None
    why: str | None
    replay_delivery_id: int | None


@dataclass(frozen=True, slots=True)
class OpenLetter:
    """One that nobody has decided about."""

    dead_letter_id: int
    reason: str
    content: bytes
    content_bytes: int
    source_partition: str | None
    source_offset: int | None

    @property
    def is_whole(self) -> bool:
        """Whether every byte of it was kept."""
        return len(self.content) == self.content_bytes


class DeadLetterDesk:
    """Reads monitoring.dead_letters, appends to monitoring.dead_letter_decisions."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def groups(self, selection: LetterSelection, decision: str | None) -> list[LetterGroup]:
        rows = self._execute("dead_letter_groups", **asdict(selection), decision=decision)
        return [LetterGroup(*row) for row in rows.fetchall()]

    def one(self, letter: int) -> Letter | None:
        row = self._execute("dead_letter", letter=letter).fetchone()
        return Letter(*row) if row else None

    def feeds(self, selection: LetterSelection) -> list[str]:
        rows = self._execute("feeds_with_dead_letters", **asdict(selection)).fetchall()
        return [row[0] for row in rows]

    def open_letters(
        self, feed: str, selection: LetterSelection, after: int, limit: int
    ) -> list[OpenLetter]:
        values = asdict(selection) | {"feed": feed, "after": after, "limit": limit}
        return [OpenLetter(*row) for row in self._execute("open_dead_letters", **values).fetchall()]

    def decide(
        self,
        letters: Sequence[int],
        decision: str,
        *,
        by: str,
        why: str,
        run_id: str,
        delivery_id: int | None = None,
    ) -> None:
        self._execute(
            "decide_dead_letters",
            letters=list(letters),
            decision=decision,
            decided_by=by,
            why=why,
            run_id=run_id,
            delivery_id=delivery_id,
        )

    def _execute(self, name: str, /, **values: Any) -> Any:
        return self.connection.execute(statement(name).encode(), values)
