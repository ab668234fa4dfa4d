"""What tests of alerts share: verdicts out of nothing, runs that record them, a set clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from monitors.commands.notify import Notifier, Sent
from monitors.commands.record import record_results
from monitors.commands.watched import watched
from monitors.config import Config
from monitors.results import CheckResult, Layer, Severity, Status
from monitors.store.postgres import Store
from monitors.verdict import Verdict
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target

MORNING = datetime(2026, 3, 2, 6, 0, tzinfo=timezone.utc)


@dataclass
class Clock:
    """Stands still until somebody moves it."""

    moment: datetime = MORNING

    def __call__(self) -> datetime:
        return self.moment

    def move(self, **by: float) -> None:
        self.moment += timedelta(**by)


def verdict_of(check_id: str, status: Status = Status.FAIL, **values: Any) -> CheckResult:
    """A verdict; red unless told otherwise."""
    found: dict[str, Any] = {
        "check_name": f"{check_id} holds",
        "suite_name": "shop",
        "dataset": "facts.fact_orders",
        "layer": Layer.SILVER,
        "severity": Severity.HIGH,
        "message": "value=7 (max 0)" if status.is_red else "value=0 (max 0)",
    }
    return CheckResult(check_id=check_id, status=status, **{**found, **values})


@dataclass
class Desk:
    """A project without dbt and feeds, whose scans say what a test tells them to."""

    target: Target
    root: Path
    settings: dict[str, Any] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)

    @property
    def config(self) -> Config:
        return Config.model_validate(self.settings).model_copy(update={"root": self.root})

    def scan(self, *results: CheckResult) -> Verdict:
        """One run that ends with these verdicts, and sends what is due."""
        runner = Notifier(self.config, now=self.clock)

        def job(store: Store) -> Verdict:
            record_results(runner, store, results, runner.now())
            return Verdict(runner.run_id, results=tuple(results), scanned=True)

        return runner.recorded("scan", lambda store: watched(runner, store, "scan", job))

    def notify(self, **options: Any) -> Sent:
        return Notifier(self.config, now=self.clock).notify(**options)

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with connect(self.target) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def events(self) -> list[tuple[int, str]]:
        """[(incident, event)] in order."""
        return self.rows(
            "select incident_id, event from monitoring.incident_events order by event_id"
        )
