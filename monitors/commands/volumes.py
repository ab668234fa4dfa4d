"""The volumes of a scan: new buckets are counted and judged, a transaction per dataset."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import psycopg

from monitors import log as logs
from monitors.commands.runner import Runner
from monitors.config_volumes import Volume
from monitors.errors import RampartError, UsageError
from monitors.scan.buckets import LOOKED_AT, READ_AGAIN, Counted, Grid, count_rows
from monitors.store.history import History
from monitors.store.postgres import Store
from monitors.store.volumes import Volumes
from monitors.verdict import Verdict
from monitors.warehouse.connection import connect
from monitors.warehouse.dbt import project_name

log = logs.get_logger("Volumes")


@dataclass(frozen=True, slots=True)
class Task:
    """One dataset whose new buckets lie between two moments; `since` is the start of one."""

    dataset: str
    volume: Volume
    since: datetime
    until: datetime
    is_first: bool


def model_volumes(runner: Runner, store: Store) -> None:
    """Count and judge what became complete since the last scan.

    A dataset whose rows cannot be counted stops no other: its verdict is `not modelled`, and why.
    """
    declared = runner.config.volumes
    project = project_name(runner.config.root) or ""
    volumes = Volumes(store.connection, store.run.environment, store.run.run_id, project)
    volumes.undeclare_others(declared)
    tasks = []
    for dataset, volume in declared.items():
        task = _task(runner, volumes, dataset, volume)
        store.connection.commit()
        if task is not None:
            tasks.append(task)
    if not tasks:
        store.connection.commit()
        return
    with logs.stage(log, "volumes", datasets=len(tasks)) as metrics:
        with ThreadPoolExecutor(min(runner.config.scan.parallel, len(tasks))) as pool:
            counted = pool.map(lambda task: _counted(runner, task), tasks)
            changed = sum(
                _judged(volumes, History(store.connection, store.run.environment), task, found)
                for task, found in zip(tasks, counted, strict=True)
            )
        metrics["buckets"] = changed


def recount_volumes(runner: Runner, store: Store, dataset: str) -> Verdict:
    """Count every bucket of a dataset anew, as after a reload of old data. Raises UsageError."""
    if dataset not in runner.config.volumes:
        known = ", ".join(runner.config.volumes) or "none: there is no `volumes:`"
        raise UsageError(f"`{dataset}` is not under `volumes:` in rampart.yml; known: {known}")
    Volumes(store.connection, store.run.environment).recount(dataset)
    store.connection.commit()
    model_volumes(runner, store)
    return Verdict(runner.run_id)


def _task(runner: Runner, volumes: Volumes, dataset: str, volume: Volume) -> Task | None:
    """What has to be counted; None while the clock of its feed has not begun."""
    freshness = runner.config.feed(volume.feed).freshness if volume.feed else None
    clock = freshness.clock if freshness else "wall"
    counted_until = volumes.declare(dataset, volume, clock)
    now = runner.now()
    if clock == "data" and volume.feed is not None:
        moment = volumes.clock_of_feed(volume.feed)
        if moment is None:
            return None
        now = moment
    grid = Grid(volume.every, volume.timezone)
    until = grid.floor(now - volume.lateness)
    since = until - volume.remembered
    if counted_until is not None:
        since = max(since, counted_until - READ_AGAIN[volume.every])
    return Task(dataset, volume, grid.floor(min(since, until)), until, counted_until is None)


def _counted(runner: Runner, task: Task) -> Counted | str:
    """The rows of its table, or why they cannot be counted."""
    timeout = int(runner.config.scan.statement_timeout.total_seconds() * 1000)
    try:
        with connect(runner.target, read_only=True, statement_timeout=timeout) as connection:
            return count_rows(connection, task.dataset, task.volume, task.since, task.until)
    except (psycopg.Error, RampartError) as error:
        return logs.masked(str(error).splitlines()[0])


def _judged(volumes: Volumes, history: History, task: Task, counted: Counted | str) -> int:
    """Store the counts and judge what is new, in one transaction; how many buckets changed."""
    from monitors.scan.volumes import due, judge

    connection = volumes.connection
    dataset, volume = task.dataset, task.volume
    volumes.lock(dataset)
    if isinstance(counted, str):
        log.warning("rows could not be counted", dataset=dataset, reason=counted)
        volumes.counted(dataset, None, counted)
        connection.commit()
        return 0
    if task.is_first:
        volumes.forget(dataset)
    grid = Grid(volume.every, volume.timezone)
    looked_at = task.until - LOOKED_AT[volume.every]
    known = volumes.known_segments(dataset, looked_at)
    changed = volumes.put_buckets(dataset, counted.spine(grid, task.since, task.until, known))
    volumes.counted(dataset, task.until)
    judged = volumes.judged(dataset, looked_at)
    bad = history.bad_periods(dataset)
    for series in volumes.series(dataset, looked_at, task.until):
        due_now = due(series, judged.get(series.segment, {}), volume.every)
        volumes.put_judgements(judge(due_now, dataset, volume, bad))
    connection.commit()
    return changed
