"""How far streams were taken, and who reads them; the composition owns the transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from monitors.store.sql import statement
from monitors.warehouse.connection import Connection


@dataclass(frozen=True, slots=True)
class Position:
    """How far a partition was taken. `fingerprint` tells a file from another one of its name."""

    next_offset: int
    newest: datetime | None = None
    """The newest event time seen in it."""
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """The records of one partition in a delivery, which are numbered from `first_source_row`."""

    partition: str
    first_offset: int
    next_offset: int
    first_source_row: int
    records: int


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life."""

    consumer_id: str
    host: str
    pid: int
    state: str
    partitions: int
    records: int
    lag: int | None


class Streams:
    """Every statement about one checkpoint."""

    def __init__(self, connection: Connection, run_id: str, stream: str, checkpoint: str) -> None:
        self.connection = connection
        self.run_id = run_id
        self.stream = stream
        self.checkpoint = checkpoint

    # ---------------------------------------------------------------- positions

    def register(self) -> str:
        """The stream to which the checkpoint belongs: this one, when it is new."""
        self._execute("put_checkpoint", stream=self.stream)
        self._execute("forget_consumers")
        row = self._execute("stream_of_checkpoint").fetchone()
        return str(row[0])

    def begin(self, starts: Mapping[str, Position]) -> None:
        """Where partitions begin that were never read; the others stay where they are."""
        for partition, start in sorted(starts.items()):
            self._execute(
                "begin_partition",
                partition=partition,
                next_offset=start.next_offset,
                fingerprint=start.fingerprint,
                stream=self.stream,
                run_id=self.run_id,
            )

    def positions(self, partitions: Iterable[str]) -> dict[str, Position]:
        """Where these partitions stand, locked until the transaction ends."""
        rows = self._execute("positions", partitions=sorted(partitions)).fetchall()
        return {row[0]: Position(*row[1:]) for row in rows}

    def known(self) -> dict[str, Position]:
        """Where every partition of the checkpoint stands now."""
        return {row[0]: Position(*row[1:]) for row in self._execute("known_partitions").fetchall()}

    def advance(self, partition: str, expected: int, reached: Position) -> bool:
        """False when another consumer has moved it since `expected` was read."""
        done = self._execute(
            "advance",
            partition=partition,
            expected=expected,
            next_offset=reached.next_offset,
            newest_event_time=reached.newest,
            fingerprint=reached.fingerprint,
            run_id=self.run_id,
        )
        return bool(done.rowcount == 1)

    def add_spans(self, delivery_id: int, spans: Sequence[Span]) -> None:
        for span in spans:
            values = {name: getattr(span, name) for name in Span.__slots__}
            self._execute("add_stream_batch", delivery_id=delivery_id, **values)

    def add_loss(
        self, partition: str, from_offset: int, to_offset: int, *, said: str, by: str, why: str
    ) -> None:
        self._execute(
            "add_loss",
            partition=partition,
            from_offset=from_offset,
            to_offset=to_offset,
            said=said,
            accepted_by=by,
            why=why,
            run_id=self.run_id,
        )

    def times_begun_anew(self, partitions: Iterable[str]) -> int:
        """How often offsets of these partitions mean something else than before."""
        row = self._execute("times_begun_anew", partitions=sorted(partitions)).fetchone()
        return int(row[0])

    # ---------------------------------------------------------------- signs of life

    def beat(self, beat: Beat) -> None:
        values = {name: getattr(beat, name) for name in Beat.__slots__}
        self._execute("put_heartbeat", **values, stream=self.stream, run_id=self.run_id)

    def end_beat(self, consumer_id: str) -> None:
        self._execute("end_heartbeat", consumer_id=consumer_id)

    # ---------------------------------------------------------------- the folder of dead letters

    def to_export(self) -> list[int]:
        """Deliveries whose dead letters are not in the folder yet; one consumer at a time."""
        row = self._execute("lock_checkpoint").fetchone()
        found = self._execute("deliveries_to_export", stream=self.stream, after=row[0])
        return [int(each[0]) for each in found.fetchall()]

    def letters(self, delivery_id: int) -> Iterable[dict[str, Any]]:
        cursor = self._execute("letters_to_export", delivery_id=delivery_id)
        names = [column.name for column in cursor.description]
        return (dict(zip(names, row, strict=True)) for row in cursor)

    def exported(self, delivery_id: int) -> None:
        self._execute("exported", delivery_id=delivery_id)

    def _execute(self, name: str, /, **values: Any) -> Any:
        values.setdefault("checkpoint", self.checkpoint)
        return self.connection.execute(statement(name).encode(), values)
