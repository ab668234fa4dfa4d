"""The outbox: alerts that are to be sent, claimed before they are, marked after.

A row is written in the commit of the event that it tells. Whoever sends it claims it in a short
transaction of its own and holds it for a lease; killed in between, the lease ends and somebody else
sends it again under the same key. Like the store it takes a connection and never commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from monitors.store.sql import statement
from monitors.warehouse.connection import Connection


@dataclass(frozen=True, slots=True)
class NewAlert:
    """An event for one channel. `collected`: it waits for the digest that is made at `due_at`."""

    key: str
    incident_id: int | None
    event: str
    channel: str
    message: Mapping[str, Any]
    due_at: datetime
    collected: bool = False


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row that is ours until its lease ends. `tries` counts those before this one."""

    outbox_id: int
    key: str
    incident_id: int | None
    event: str
    message: Mapping[str, Any]
    tries: int


@dataclass(frozen=True, slots=True)
class ChannelState:
    """How a channel does: rows that wait, rows it will never take, tries that failed in a row."""

    channel: str
    waiting: int
    parked: int
    failing: int
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Outbox:
    """Reads and writes of one environment."""

    connection: Connection
    environment: str

    def add(self, alerts: Iterable[NewAlert], now: datetime) -> None:
        """What is to be sent; the same key twice is one row."""
        rows = [
            {
                "environment": self.environment,
                "key": each.key,
                "incident_id": each.incident_id,
                "event": each.event,
                "channel": each.channel,
                "message": Jsonb(dict(each.message)),
                "state": "collected" if each.collected else "pending",
                "next_try_at": each.due_at,
                "created_at": now,
            }
            for each in alerts
        ]
        if not rows:
            return
        with self.connection.cursor() as cursor:
            cursor.executemany(statement("add_alert").encode(), rows)
        for row in rows:
            if row["state"] == "pending" and row["incident_id"] is not None:
                self._execute("tell_collected", key=row["key"])

    # ---------------------------------------------------------------- sending

    def due_channels(self, now: datetime) -> list[str]:
        """Channels for which something can be sent now."""
        return [row[0] for row in self._rows("due_channels", now=now)]

    def claim(
        self, channel: str, now: datetime, lease: timedelta, claimed_by: str
    ) -> Claimed | None:
        """The oldest row of a channel that is due and that nobody else holds; commit at once.

        A later event of an incident waits until the earlier ones have gone.
        """
        rows = self._rows(
            "claim_alert", channel=channel, now=now, leased_until=now + lease, claimed_by=claimed_by
        )
        return Claimed(*rows[0]) if rows else None

    def mark_sent(
        self, claimed: Claimed, started: datetime, now: datetime, claimed_by: str
    ) -> bool:
        """It was taken. False when the lease had ended and somebody else holds the row by now."""
        return self._end(claimed, claimed_by, "sent", started, now, None, None)

    def mark_failed(
        self,
        claimed: Claimed,
        started: datetime,
        now: datetime,
        claimed_by: str,
        error: str,
        next_try_at: datetime,
    ) -> bool:
        """It was not taken, and is tried again then."""
        return self._end(claimed, claimed_by, "failed", started, now, error, next_try_at)

    def park(
        self, claimed: Claimed, started: datetime, now: datetime, claimed_by: str, error: str
    ) -> bool:
        """The channel will never take it as it is."""
        return self._end(claimed, claimed_by, "parked", started, now, error, None)

    def is_something_due(self, now: datetime) -> bool:
        """A message, a digest, or the end of a snooze."""
        return bool(self._rows("is_something_due", now=now)[0][0])

    def retry_parked(self, now: datetime) -> int:
        """Somebody mended the channel: what was parked is due again."""
        return len(self._rows("retry_parked", now=now))

    # ---------------------------------------------------------------- digests

    def collected(self, now: datetime) -> dict[str, list[tuple[int, Mapping[str, Any]]]]:
        """{channel: [(outbox_id, message)]} of what waited for a digest that is due; locked."""
        found: dict[str, list[tuple[int, Mapping[str, Any]]]] = {}
        for outbox_id, channel, message in self._rows("collected_alerts", now=now):
            found.setdefault(channel, []).append((outbox_id, message))
        return found

    def digest(self, digest: NewAlert, members: Sequence[int], now: datetime) -> None:
        """One message for all of them, in one commit."""
        self.add([digest], now)
        self._rows("mark_digested", key=digest.key, members=list(members))

    # ---------------------------------------------------------------- looking at it

    def channel_states(self) -> list[ChannelState]:
        return [ChannelState(*row) for row in self._rows("channel_states")]

    def of_incident(self, incident_id: int) -> list[dict[str, Any]]:
        """What was sent about it, where, and what became of it."""
        cursor = self._execute("alerts_of_incident", incident_id=incident_id)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    # ---------------------------------------------------------------- the driver

    def _end(
        self,
        claimed: Claimed,
        claimed_by: str,
        outcome: str,
        started: datetime,
        now: datetime,
        error: str | None,
        next_try_at: datetime | None,
    ) -> bool:
        rows = self._rows(
            "end_try",
            outbox_id=claimed.outbox_id,
            claimed_by=claimed_by,
            outcome=outcome,
            started_at=started,
            seconds=(now - started).total_seconds(),
            now=now,
            error=error,
            next_try_at=next_try_at,
        )
        return bool(rows)

    def _rows(self, name: str, /, **values: Any) -> list[tuple[Any, ...]]:
        return self._execute(name, **values).fetchall()  # type: ignore[no-any-return]

    def _execute(self, name: str, /, **values: Any) -> Any:
        return self.connection.execute(
            statement(name).encode(), {"environment": self.environment, **values}
        )
