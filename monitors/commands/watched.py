"""A command as a job that is watched: its failure is a verdict, and its end sends what is due."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import psycopg

from monitors import log as logs
from monitors.commands.notify import send_due
from monitors.commands.record import job_result, record_jobs
from monitors.commands.runner import Runner
from monitors.errors import RampartError, UsageError, first_line
from monitors.health import health_of
from monitors.store.incidents import Incidents
from monitors.store.postgres import Store
from monitors.verdict import Verdict
from monitors.warehouse.trouble import plainly

log = logs.get_logger("Monitor")


def watched(runner: Runner, store: Store, command: str, job: Callable[[Store], Verdict]) -> Verdict:
    """Do the job. That it could not be done is recorded; a mistyped name is nobody's alert."""
    check_id, name = f"job.{command}", f"`rampart {command}` runs to its end"
    try:
        with plainly():
            verdict = job(store)
    except UsageError:
        raise
    except Exception as error:
        if not store.connection.closed:
            said = logs.masked(first_line(error))
            try:
                store.connection.rollback()
                record_jobs(runner, store, [job_result(check_id, name, said)])
                send_due(runner, store)
            except (RampartError, psycopg.Error) as second:
                log.error("the failure could not be recorded", error_message=first_line(second))
        raise
    record_jobs(runner, store, [job_result(check_id, name, None)])
    send_due(runner, store)
    if not verdict.scanned:
        return verdict
    incidents = Incidents(store.connection, runner.config.environment, runner.run_id)
    return replace(verdict, health=health_of(incidents.health_facts(), runner.now()))
