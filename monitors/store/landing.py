"""What the store knows of a feed's deliveries, asked before the next ones are loaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from monitors.store.sql import statement
from monitors.warehouse.connection import Connection


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused delivery that was neither let through nor followed by one that answers it."""

    delivery_id: int
    name: str
    loaded_at: datetime
    guard: str
    why: str


class LandingHistory:
    """The deliveries of one feed so far."""

    def __init__(self, connection: Connection, feed: str) -> None:
        self.connection = connection
        self.feed = feed

    def loaded(self, names: Iterable[str]) -> dict[tuple[str, int], datetime]:
        """{(name, bytes): when it was loaded last} of those names that were."""
        rows = self._rows("landing_loaded", names=list(names))
        return {(row[0], row[1]): row[2] for row in rows}

    def recent(self, limit: int) -> list[tuple[str, str, int]]:
        """(name, kind, bytes) of the latest deliveries, the newest first; empty ones left out."""
        return [(row[0], row[1], row[2]) for row in self._rows("landing_recent", limit=limit)]

    def arrived_since(self, moment: datetime) -> int:
        return int(self._rows("landing_arrived_since", since=moment)[0][0])

    def arrivals(self) -> tuple[int, datetime | None]:
        """(how many deliveries there are, when the last one was loaded; None: never any)."""
        count, last = self._rows("landing_arrivals")[0]
        return int(count), last

    def newest(self, until: datetime) -> list[tuple[datetime, str]]:
        """[(moment, name)] of the delivery that speaks of the newest moment; none without any."""
        return [(row[0], row[1]) for row in self._rows("landing_newest", until=until)]

    def contents(self, sizes: Iterable[int]) -> list[tuple[str, str, int]]:
        """(sha256, name, bytes) of every delivery of one of these sizes, the oldest first."""
        rows = self._rows("landing_contents", sizes=list(sizes))
        return [(row[0], row[1], row[2]) for row in rows]

    def newest_moment(self, until: datetime) -> list[datetime]:
        """The newest moment that a name of a delivery states; none when none does."""
        rows = self._rows("landing_newest_moment", until=until)
        return [row[0] for row in rows if row[0] is not None]

    def moments_between(self, since: datetime, until: datetime) -> list[datetime]:
        """Moments that names of deliveries state."""
        return [row[0] for row in self._rows("landing_moments", since=since, until=until)]

    def open_refusals(self) -> tuple[Refusal, ...]:
        """Refused deliveries that somebody still has to deal with, the oldest first."""
        return tuple(Refusal(*row) for row in self._rows("landing_open_refusals"))

    def _rows(self, name: str, **values: Any) -> list[Any]:
        values["feed"] = self.feed
        return self.connection.execute(statement(name).encode(), values).fetchall()


def never_delivered(connection: Connection, feeds: Iterable[str]) -> list[str]:
    """Of these feeds those of which nothing has ever arrived, in their order."""
    names = list(feeds)
    rows = connection.execute(statement("never_delivered").encode(), {"feeds": names}).fetchall()
    found = {row[0] for row in rows}
    return [name for name in names if name in found]
