"""The composition of `rampart incidents`: look at incidents, and say what is done about them."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from monitors.alert.explain import About, over
from monitors.alert.message import Message
from monitors.commands.record import enqueue
from monitors.commands.runner import Runner
from monitors.errors import UsageError
from monitors.store.history import History
from monitors.store.incidents import Event, Incident, IncidentCheck, Incidents
from monitors.store.migrate import migrate
from monitors.store.outbox import Outbox
from monitors.store.postgres import Store
from monitors.warehouse.connection import connect

LONGEST_SNOOZE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything about one incident."""

    incident: Incident
    message: Message | None
    checks: tuple[IncidentCheck, ...]
    events: tuple[Event, ...]
    alerts: tuple[dict[str, Any], ...]


class IncidentDesk(Runner):
    """Configure, look, decide."""

    def list(self, *, resolved_within: timedelta | None = None, limit: int = 50) -> list[Incident]:
        """Active ones, and those resolved within that time; the newest first."""
        since = self.now() - resolved_within if resolved_within is not None else None
        with self._store() as store:
            return self._incidents(store).find(resolved_since=since, limit=limit)

    def show(self, incident_id: int) -> Shown:
        """Raises UsageError when there is none of that number."""
        with self._store() as store:
            incidents = self._incidents(store)
            incident = self._existing(incidents, incident_id)
            return Shown(
                incident,
                Message.from_json(incident.message) if incident.message else None,
                tuple(incidents.checks(incident_id)),
                tuple(incidents.events(incident_id)),
                tuple(Outbox(store.connection, self.config.environment).of_incident(incident_id)),
            )

    def acknowledge(self, incident_id: int, *, by: str | None = None, why: str = "") -> None:
        """Somebody is on it. Raises UsageError."""
        with self._store() as store:
            incidents = self._incidents(store)
            incidents.lock()
            if not incidents.acknowledge(incident_id, self.now(), by or _user(), why):
                raise self._refused(incidents, incident_id)
            store.connection.commit()

    def snooze(
        self, incident_id: int, duration: timedelta, *, by: str | None = None, why: str = ""
    ) -> None:
        """Silent for that long, unless it gets worse. Raises UsageError."""
        if not timedelta() < duration <= LONGEST_SNOOZE:
            raise UsageError(f"--for: allowed is up to {LONGEST_SNOOZE.days} days")
        now = self.now()
        with self._store() as store:
            incidents = self._incidents(store)
            incidents.lock()
            if not incidents.snooze(incident_id, now + duration, now, by or _user(), why):
                raise self._refused(incidents, incident_id)
            store.connection.commit()

    def resolve(
        self, incident_id: int, *, by: str | None = None, why: str = "", known_bad: bool = False
    ) -> None:
        """Somebody says it is over; a check that is red again reopens it. Raises UsageError.

        `known_bad`: the hours or days that were anomalous stay out of what is usual from now on.
        """
        now, who = self.now(), by or _user()
        with self._store() as store:
            incidents = self._incidents(store)
            incidents.lock()
            before = incidents.get(incident_id)
            event_id = incidents.resolve(incident_id, now, who, why)
            if event_id is None or before is None:
                raise self._refused(incidents, incident_id)
            about = About(incident_id, self.config.environment, self.run_id)
            enqueue(self, store, over(before, about, who, why, now), event_id, now)
            if known_bad:
                self._name_as_bad(store, incident_id, why, who)
            store.connection.commit()

    # ---------------------------------------------------------------- the pieces

    def _name_as_bad(self, store: Store, incident_id: int, why: str, who: str) -> None:
        history = History(store.connection, self.config.environment)
        said = f"incident {incident_id}" + (f": {why}" if why else "")
        if not history.name_incident_as_bad(incident_id, said, who):
            raise UsageError(
                f"incident {incident_id} is about no volume that was anomalous;"
                " `rampart periods add` names a period by hand"
            )

    @contextmanager
    def _store(self) -> Iterator[Store]:
        with connect(self.target) as connection:
            migrate(connection)
            yield Store(connection, self.run_context())

    def _incidents(self, store: Store) -> Incidents:
        return Incidents(store.connection, self.config.environment)

    def _existing(self, incidents: Incidents, incident_id: int) -> Incident:
        found = incidents.get(incident_id)
        if found is None:
            raise UsageError(
                f"there is no incident {incident_id} in environment"
                f" `{self.config.environment}`; see `rampart incidents list --all`"
            )
        return found

    def _refused(self, incidents: Incidents, incident_id: int) -> UsageError:
        found = self._existing(incidents, incident_id)
        return UsageError(
            f"incident {incident_id} was resolved at {found.resolved_at:%Y-%m-%d %H:%M} UTC"
            f" by {found.resolved_by}"
        )


def _user() -> str:
    """The account on this machine, unless --by names somebody."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
