"""`rampart load`: files of the feeds into raw, one transaction each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psycopg

from monitors import log as logs
from monitors.alert.lines import alert_line
from monitors.arrival.loader import Loaded, load_file, moment_of
from monitors.arrival.raw import ensure_table
from monitors.commands.record import job_result, record_jobs
from monitors.commands.runner import Runner
from monitors.config_feeds import Feed
from monitors.errors import ExitCode
from monitors.results import CheckResult
from monitors.store.postgres import StageCounts, Store
from monitors.verdict import FeedLoad, Verdict

log = logs.get_logger("Monitor")

ProgressFactory = Callable[[str, int], Callable[[int], None]]
"""(file name, its bytes) -> a function that is told how many more bytes were read."""


def load_feeds(
    runner: Runner,
    store: Store,
    names: Sequence[str],
    paths: Sequence[Path],
    progress: ProgressFactory | None,
) -> Verdict:
    prepare_feeds(runner, store)
    loads = tuple(_load_feed(runner, store, name, paths, progress) for name in names)
    record_jobs(runner, store, [_job(runner, each) for each in loads])
    alerts = [line for each in loads for line in _load_alerts(each)]
    code = ExitCode.RED if alerts else ExitCode.OK
    return Verdict(runner.run_id, code, loads=loads, alerts=tuple(alerts))


def prepare_feeds(runner: Runner, store: Store) -> None:
    """Settings that SQL reads, and a raw table for every feed, so that dbt can always build."""
    for name, feed in runner.config.feeds.items():
        store.register_feed(name, feed, runner.config.calendar_of(name))
        ensure_table(store.connection, feed)
    store.connection.commit()


def _load_feed(
    runner: Runner,
    store: Store,
    name: str,
    paths: Sequence[Path],
    progress: ProgressFactory | None,
) -> FeedLoad:
    feed = runner.config.feed(name)
    files = [Path(path) for path in paths] or runner.config.files_of(name)
    loaded: list[Loaded] = []
    failed: list[tuple[str, str]] = []
    for path in in_order_of_arrival(files, feed):
        try:
            loaded.append(_load_one(runner, store, name, feed, path, progress))
        except OSError as error:
            failed.append((str(path), error.strerror or str(error)))
        except psycopg.errors.UniqueViolation as error:
            failed.append((str(path), str(error).splitlines()[0]))
    if not files:
        store.start_stage(name, "load", "bronze", feed.path, "skipped")
        store.connection.commit()
    return FeedLoad(name, tuple(loaded), tuple(failed), feed.required)


def _load_one(
    runner: Runner,
    store: Store,
    name: str,
    feed: Feed,
    path: Path,
    progress: ProgressFactory | None,
) -> Loaded:
    """One file, one transaction: its rows, its delivery and its log row commit together."""
    connection = store.connection
    log_id = store.start_stage(name, "load", "bronze", path.name)
    connection.commit()
    try:
        with logs.stage(log, "load", feed=name, source=path.name) as metrics:
            told = progress(path.name, path.stat().st_size) if progress else None
            loaded = load_file(
                store,
                name,
                feed,
                path,
                name=_delivery_name(runner, feed, path),
                thresholds=feed.thresholds or runner.config.thresholds,
                progress=told,
            )
            metrics.update(_load_metrics(loaded))
            status = "succeeded" if loaded.delivery else "skipped"
            store.finish_stage(log_id, status, _load_counts(loaded))
            connection.commit()
    except BaseException as error:
        if not connection.closed:
            connection.rollback()
            counts = StageCounts(error_type=type(error).__name__, error_message=str(error))
            store.finish_stage(log_id, "failed", counts)
            connection.commit()
        raise
    return loaded


def _delivery_name(runner: Runner, feed: Feed, path: Path) -> str:
    """The file's path below the fixed part of the feed's pattern, or else its own name."""
    base = (runner.config.root / feed.folder).resolve()
    full = path.resolve()
    return full.relative_to(base).as_posix() if full.is_relative_to(base) else path.name


# -------------------------------------------------------------------- the pieces


def in_order_of_arrival(files: Iterable[Path], feed: Feed) -> list[Path]:
    """By the moment that the name states, then by path; missing files keep their place by path."""

    def key(path: Path) -> tuple[datetime, str]:
        if feed.moment is None or not path.exists():
            return datetime.min.replace(tzinfo=timezone.utc), path.as_posix()
        return moment_of(path, feed.moment)[0], path.as_posix()

    return sorted(files, key=key)


def _load_metrics(loaded: Loaded) -> dict[str, Any]:
    if loaded.delivery is None:
        return {"already_loaded": True}
    return {
        "rows_read": loaded.delivery.records,
        "rows_written": loaded.delivery.rows,
        "rows_dead_lettered": loaded.delivery.dead_letters,
        "bytes": loaded.delivery.bytes,
        "admission": loaded.delivery.admission,
        "columns_added": list(loaded.drift.added),
        "columns_missing": list(loaded.drift.missing),
        "null_shares": loaded.null_shares,
    }


def _load_counts(loaded: Loaded) -> StageCounts:
    if loaded.delivery is None:
        return StageCounts(rows_read=0, rows_written=0, error_message=None)
    return StageCounts(
        rows_read=loaded.delivery.records,
        rows_written=loaded.delivery.rows,
        rows_dead_lettered=loaded.delivery.dead_letters,
    )


def _job(runner: Runner, each: FeedLoad) -> CheckResult:
    """Whether its files could be loaded; what is wrong with their content is not the job's."""
    feed = runner.config.feed(each.feed)
    why = None
    if each.failed:
        path, reason = each.failed[0]
        more = f" and {len(each.failed) - 1} more" if each.failed[1:] else ""
        why = f"{path}{more}: {reason}"
    return job_result(
        f"job.load.{each.feed}",
        f"files of {each.feed} can be loaded",
        why,
        dataset=feed.table,
    )


def _load_alerts(each: FeedLoad) -> list[str]:
    lines = [alert_line("load failure", f"{each.feed}: {path}: {why}") for path, why in each.failed]
    lines += [
        alert_line("delivery refused", f"{each.feed}: {file.name}: {file.delivery.why}")
        for file in each.refused
        if file.delivery
    ]
    if each.is_absent and each.required:
        why = f"{each.feed}: no file matches its path, and the feed is required"
        lines.append(alert_line("landing failure", why))
    return lines
