"""States of checks, flips and incidents: read under a lock, decided elsewhere, written here.

Like the store it takes a connection and never commits; the composition does, together with the
verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg.types.json import Jsonb

from monitors.health import HealthFacts, RedCheck
from monitors.results import CheckResult, Layer, Severity, Status
from monitors.store.sql import statement
from monitors.warehouse.connection import Connection

IncidentState = Literal["open", "acknowledged", "snoozed", "resolved"]
HistoryEvent = Literal[
    "opened",
    "joined",
    "worsened",
    "recovered",
    "acknowledged",
    "snoozed",
    "snooze_ended",
    "resolved",
    "reopened",
]
RAMPART = "rampart"
"""Who did it, when no person did."""
CheckKey = tuple[str, str]
"""(check_id, segment)."""


@dataclass(frozen=True, slots=True)
class CheckState:
    """What a check was when it was heard last; `recent` holds r and g, the newest last."""

    check_id: str
    segment: str
    is_red: bool
    recent: str
    status: Status
    severity: Severity
    layer: Layer
    dataset: str
    message: str
    run_id: str
    data_timestamp: datetime | None
    changed_at: datetime

    @property
    def key(self) -> CheckKey:
        return self.check_id, self.segment


@dataclass(frozen=True, slots=True)
class Flip:
    """A change of a check from green to red or back."""

    check_id: str
    segment: str
    turned: Literal["red", "green"]
    old_status: str | None
    new_status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Incident:
    """One root cause, as the store has it. `red` and `recovered` are its checks."""

    incident_id: int
    kind: str
    severity: Severity
    state: IncidentState
    title: str
    topic: str
    place: str
    feed: str | None
    dataset: str
    layer: Layer
    owner: str | None
    lead_check_id: str
    lead_segment: str
    opened_at: datetime
    opened_run_id: str
    changed_at: datetime
    snoozed_until: datetime | None
    resolved_at: datetime | None
    resolved_by: str | None
    red: tuple[CheckKey, ...] = ()
    recovered: tuple[CheckKey, ...] = ()
    message: Mapping[str, Any] | None = None

    @property
    def is_active(self) -> bool:
        return self.state != "resolved"


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one incident in one commit. `incident_id` None: it is opened."""

    event: HistoryEvent
    incident_id: int | None
    kind: str
    severity: Severity
    topic: str
    place: str
    feed: str | None
    dataset: str
    layer: Layer
    owner: str | None
    lead: CheckKey
    title: str
    red: tuple[CheckResult, ...] = ()
    """Checks that join, or are red again."""
    recovered: tuple[CheckKey, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What a decision is made from."""

    states: Mapping[CheckKey, CheckState]
    """Of all but the steady checks."""
    steady: Mapping[CheckKey, str]
    """Checks that are green as long as anybody looks back, with what they said."""
    incidents: Sequence[Incident]
    """Active ones, and those that were resolved not long ago."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the deciding function wants written."""

    states: tuple[CheckState, ...] = ()
    flips: tuple[Flip, ...] = ()
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Changed:
    """A change that was written, with the number of its incident and its event."""

    incident_id: int
    event_id: int
    change: Change


@dataclass(frozen=True, slots=True)
class Event:
    """One line of an incident's history."""

    event_id: int
    event: HistoryEvent
    at: datetime
    run_id: str | None
    done_by: str
    why: str


@dataclass(frozen=True, slots=True)
class IncidentCheck:
    """A check that an incident explains."""

    check_id: str
    segment: str
    dataset: str
    severity: Severity
    message: str
    run_id: str
    joined_at: datetime
    recovered_at: datetime | None


Decide = Callable[[Known], Decision]


@dataclass(frozen=True, slots=True)
class Incidents:
    """Reads and writes of one environment."""

    connection: Connection
    environment: str
    run_id: str | None = None

    # ---------------------------------------------------------------- deciding

    def lock(self) -> None:
        """Whoever changes states or incidents of this environment takes turns until it commits."""
        self._execute("lock_states", environment=self.environment)

    def change(
        self,
        results: Collection[CheckResult],
        moment: datetime,
        decide: Decide,
        *,
        steady: str,
        since: datetime,
    ) -> list[Changed]:
        """Take the lock, let `decide` see what is known, write what it wants.

        `steady`: the recent verdicts of a check that is green as long as anybody looks back;
        `since`: incidents resolved before it are over for good.
        """
        self.lock()
        check_ids = sorted({each.check_id for each in results})
        known = Known(
            self.states(check_ids, steady),
            self.steady(check_ids, steady),
            self.find(active=True, resolved_since=since),
        )
        decision = decide(known)
        self.put_states(decision.states)
        self.add_flips(decision.flips, moment)
        return [self._write(each, moment) for each in decision.changes]

    def steady(self, check_ids: Sequence[str], steady: str) -> dict[CheckKey, str]:
        """{check: status} of the steady ones among them."""
        rows = self._execute(
            "steady_checks", environment=self.environment, check_ids=check_ids, steady=steady
        ).fetchall()
        return {(check_id, segment): status for check_id, segment, status in rows}

    def states(self, check_ids: Sequence[str], steady: str) -> dict[CheckKey, CheckState]:
        """Of the named checks but the steady ones."""
        rows = self._execute(
            "check_states", environment=self.environment, check_ids=check_ids, steady=steady
        ).fetchall()
        found = (_state(row) for row in rows)
        return {each.key: each for each in found}

    def red_check_ids(self, check_ids: Iterable[str]) -> set[str]:
        """Which of them are red as far as we know."""
        rows = self._execute(
            "red_check_ids", environment=self.environment, check_ids=sorted(set(check_ids))
        ).fetchall()
        return {row[0] for row in rows}

    def put_states(self, states: Sequence[CheckState]) -> None:
        if not states:
            return
        rows = [
            {
                "environment": self.environment,
                **{name: getattr(each, name) for name in CheckState.__slots__},
                "status": each.status.value,
                "severity": each.severity.value,
                "layer": each.layer.value,
            }
            for each in states
        ]
        with self.connection.cursor() as cursor:
            cursor.executemany(statement("put_check_state").encode(), rows)

    def add_flips(self, flips: Sequence[Flip], moment: datetime) -> None:
        if not flips:
            return
        rows = [
            {
                "environment": self.environment,
                "run_id": self.run_id,
                "flipped_at": moment,
                **{name: getattr(each, name) for name in Flip.__slots__},
            }
            for each in flips
        ]
        with self.connection.cursor() as cursor:
            cursor.executemany(statement("add_flip").encode(), rows)

    def _write(self, change: Change, moment: datetime) -> Changed:
        incident_id = change.incident_id or self._open(change, moment)
        if change.incident_id is not None:
            self._execute(
                "change_incident",
                incident_id=incident_id,
                event=change.event,
                severity=change.severity.value,
                moment=moment,
                resolved_by=RAMPART,
            )
        rows = [
            {
                "incident_id": incident_id,
                "check_id": each.check_id,
                "segment": each.segment or "",
                "dataset": each.dataset,
                "severity": each.severity.value,
                "message": each.message,
                "run_id": self.run_id,
                "joined_at": moment,
            }
            for each in change.red
        ]
        if rows:
            with self.connection.cursor() as cursor:
                cursor.executemany(statement("put_incident_check").encode(), rows)
        for check_id, segment in change.recovered:
            self._execute(
                "recover_incident_check",
                incident_id=incident_id,
                check_id=check_id,
                segment=segment,
                moment=moment,
            )
        event_id = self.add_event(incident_id, change.event, moment, RAMPART, change.why)
        return Changed(incident_id, event_id, change)

    def _open(self, change: Change, moment: datetime) -> int:
        row = self._execute(
            "open_incident",
            environment=self.environment,
            kind=change.kind,
            severity=change.severity.value,
            title=change.title,
            topic=change.topic,
            place=change.place,
            feed=change.feed,
            dataset=change.dataset,
            layer=change.layer.value,
            owner=change.owner,
            lead_check_id=change.lead[0],
            lead_segment=change.lead[1],
            moment=moment,
            run_id=self.run_id,
        ).fetchone()
        return int(row[0])

    # ---------------------------------------------------------------- texts and persons

    def describe(self, incident_id: int, title: str, message: Mapping[str, Any]) -> None:
        """The text of the incident's latest event that speaks of what is broken."""
        self._execute(
            "describe_incident",
            incident_id=incident_id,
            title=title,
            message=Jsonb(dict(message)),
        )

    def add_event(
        self,
        incident_id: int,
        event: HistoryEvent,
        moment: datetime,
        done_by: str,
        why: str = "",
    ) -> int:
        row = self._execute(
            "add_incident_event",
            incident_id=incident_id,
            event=event,
            at=moment,
            run_id=self.run_id,
            done_by=done_by,
            why=why,
        ).fetchone()
        return int(row[0])

    def acknowledge(self, incident_id: int, moment: datetime, by: str, why: str) -> bool:
        """Somebody is on it. False when it is resolved or does not exist."""
        return self._by_hand("acknowledge_incident", "acknowledged", incident_id, moment, by, why)

    def snooze(
        self, incident_id: int, until: datetime, moment: datetime, by: str, why: str
    ) -> bool:
        """Silent until then. False when it is resolved or does not exist."""
        return self._by_hand(
            "snooze_incident", "snoozed", incident_id, moment, by, why, until=until
        )

    def resolve(self, incident_id: int, moment: datetime, by: str, why: str) -> int | None:
        """Somebody says it is over; its checks count as green until they are heard again.

        The number of the event; None when it is resolved already or does not exist.
        """
        done = self._execute(
            "resolve_incident", incident_id=incident_id, environment=self.environment,
            moment=moment, resolved_by=by,
        ).fetchone()  # fmt: skip
        if done is None:
            return None
        self._execute("forget_red_checks", incident_id=incident_id, environment=self.environment,
                      moment=moment)  # fmt: skip
        self._execute("recover_all_checks", incident_id=incident_id, moment=moment)
        return self.add_event(incident_id, "resolved", moment, by, why)

    def end_snoozes(self, moment: datetime) -> list[tuple[int, int]]:
        """[(incident, event)] of those whose time is over: they are open again."""
        ended = self._execute("end_snoozes", environment=self.environment, moment=moment).fetchall()
        return [(row[0], self.add_event(row[0], "snooze_ended", moment, RAMPART)) for row in ended]

    # ---------------------------------------------------------------- reading

    def find(
        self,
        *,
        active: bool = True,
        resolved_since: datetime | None = None,
        incident_id: int | None = None,
        limit: int = 10_000,
    ) -> list[Incident]:
        """Active ones and those resolved since a moment, or the one of a number. Newest first."""
        rows = self._execute(
            "incidents",
            environment=self.environment,
            active=active,
            resolved_since=resolved_since,
            incident_id=incident_id,
            limit=limit,
        ).fetchall()
        return [_incident(row) for row in rows]

    def get(self, incident_id: int) -> Incident | None:
        found = self.find(active=False, incident_id=incident_id)
        return found[0] if found else None

    def events(self, incident_id: int) -> list[Event]:
        rows = self._execute("incident_events", incident_id=incident_id).fetchall()
        return [Event(*row) for row in rows]

    def checks(self, incident_id: int) -> list[IncidentCheck]:
        rows = self._execute("incident_checks", incident_id=incident_id).fetchall()
        return [_check(row) for row in rows]

    def health_facts(self) -> HealthFacts:
        """What the health of the whole is told from; the present run counts as a scan."""
        red = self._execute("red_checks", environment=self.environment).fetchall()
        row = self._execute(
            "health_facts", environment=self.environment, run_id=self.run_id
        ).fetchone()
        bronze, silver, gold, last_scan_at, open_incidents = row
        return HealthFacts(
            red=tuple(RedCheck(name, Layer(layer), Severity(how)) for name, layer, how in red),
            checks={Layer.BRONZE: bronze, Layer.SILVER: silver, Layer.GOLD: gold},
            last_scan_at=last_scan_at,
            open_incidents=open_incidents,
        )

    # ---------------------------------------------------------------- the driver

    def _by_hand(
        self,
        name: str,
        event: HistoryEvent,
        incident_id: int,
        moment: datetime,
        by: str,
        why: str,
        **values: Any,
    ) -> bool:
        done = self._execute(
            name,
            incident_id=incident_id,
            environment=self.environment,
            moment=moment,
            **values,
        ).fetchone()
        if done is None:
            return False
        self.add_event(incident_id, event, moment, by, why)
        return True

    def _execute(self, name: str, /, **values: Any) -> Any:
        return self.connection.execute(statement(name).encode(), values)


def _state(row: Sequence[Any]) -> CheckState:
    named: dict[str, Any] = dict(zip(CheckState.__slots__, row, strict=True))
    named["status"] = Status(named["status"])
    named["severity"] = Severity(named["severity"])
    named["layer"] = Layer(named["layer"])
    return CheckState(**named)


def _check(row: Sequence[Any]) -> IncidentCheck:
    named: dict[str, Any] = dict(zip(IncidentCheck.__slots__, row, strict=True))
    return IncidentCheck(**{**named, "severity": Severity(named["severity"])})


def _incident(row: Sequence[Any]) -> Incident:
    *values, red, recovered, message = row
    named: dict[str, Any] = dict(zip(Incident.__slots__, values, strict=False))
    named["severity"] = Severity(named["severity"])
    named["layer"] = Layer(named["layer"])
    return Incident(
        **named,
        red=tuple((check_id, segment) for check_id, segment in red or []),
        recovered=tuple((check_id, segment) for check_id, segment in recovered or []),
        message=message,
    )
