"""What a recorded job means for people: its failure is a verdict, an incident and an alert."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy

from monitors.commands.notify import send_due
from monitors.commands.record import job_result, record_jobs
from monitors.commands.runner import Runner
from monitors.results import CheckResult, Layer
from monitors.store.journal import RunRecord, StageRecord
from monitors.store.postgres import RunContext, Store
from monitors.warehouse.connection import Connection


def teller(runner: Runner) -> Callable[[Connection, RunRecord], None]:
    """A function that tells of a record within the transaction that writes it, and commits.

    A record that is written twice is told once: verdicts and flips are by run and check.
    """

    def tell(connection: Connection, record: RunRecord) -> None:
        if record.ended_at is None:
            return
        of_run = copy(runner)
        of_run.run_id = record.run_id
        store = Store(connection, RunContext(record.run_id, record.environment))
        record_jobs(of_run, store, [_verdict(record, stage) for stage in record.stages])
        connection.commit()
        send_due(of_run, store)

    return tell


def _verdict(record: RunRecord, stage: StageRecord) -> CheckResult:
    why = None
    if stage.status == "failed":
        said = next(iter((stage.error_message or "").strip().splitlines()), "")
        why = said or stage.error_type or "failed"
    return job_result(
        f"job.{record.command}.{stage.pipeline_name}",
        f"{stage.pipeline_name} runs to its end",
        why,
        dataset=stage.pipeline_name,
        layer=Layer(stage.layer),
    )
