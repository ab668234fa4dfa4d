"""`rampart load`: files of the feeds into raw, one transaction each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from stat import S_ISDIR
from typing import Any

import psycopg

from monitors import log as logs
from monitors.alert.lines import alert_line, result_line
from monitors.arrival.landing import Look, with_load
from monitors.arrival.loader import Loaded, load_file, moment_in_name
from monitors.arrival.storage import LandedFile, has_changed, landed
from monitors.commands.admission import admission_of, refusal_lines
from monitors.commands.feeds import prepare_feeds
from monitors.commands.landing import look_at
from monitors.commands.record import job_result, record_jobs, record_results
from monitors.commands.runner import Runner
from monitors.config_feeds import Feed, place_of
from monitors.errors import ExitCode, UsageError, first_line
from monitors.results import CheckResult, Status
from monitors.store.postgres import StageCounts, Store
from monitors.verdict import FeedLoad, Verdict
from monitors.warehouse.trouble import plainly

log = logs.get_logger("Monitor")

NO_FILE = "no file matches its path"
SKIPPED_NO_DATA = "SKIPPED_NO_DATA"
"""What pipeline_logs says of an optional feed that brought nothing."""
REFUSED = "REFUSED"
"""The same of a delivery that may not take part; its rows are in raw all the same."""

logs.expect(lambda error: isinstance(error, OSError))  # a file that cannot be read is no bug

ProgressFactory = Callable[[str, int], Callable[[int], None]]
"""(file name, its bytes) -> a function that is told how many more bytes were read."""


class StillGrowing(Exception):
    """Somebody writes a file that was just read; it comes whole with a later run."""

    why = "changed while it was read"


def load_feeds(
    runner: Runner,
    store: Store,
    names: Sequence[str],
    paths: Sequence[Path],
    progress: ProgressFactory | None,
) -> Verdict:
    """Look at each landing place, then load what is whole; `paths` are loaded without a look.

    Raises UsageError, before anything is loaded, when one of `paths` is no file.
    """
    _refuse_no_files(names, paths)
    prepare_feeds(runner, store)
    loads = tuple(_load_feed(runner, store, name, paths, progress) for name in names)
    results = tuple(result for each in loads for result in each.results)
    record_results(runner, store, results, runner.now())
    admissions = tuple(each.admission for each in loads if each.admission)
    jobs = [_job(runner, each) for each in loads]
    jobs += [_arrived_unseen(runner, each) for each in loads if each.has_come_unseen]
    record_jobs(runner, store, [*jobs, *admissions])
    results += tuple(each for each in admissions if each.is_failed)
    alerts = [line for each in loads for line in _load_alerts(each)]
    code = ExitCode.RED if alerts else ExitCode.OK
    since = store.red_since(each.check_id for each in results if each.is_red)
    return Verdict(
        runner.run_id, code, loads=loads, results=results, red_since=since, alerts=tuple(alerts)
    )


def _refuse_no_files(names: Sequence[str], paths: Sequence[Path]) -> None:
    for path in paths:
        if why := _no_file(path):
            with logs.stage(log, "load", feed=", ".join(names), source=path.name):
                raise UsageError(f"{path}: {why}; nothing was loaded")


def _no_file(path: Path) -> str | None:
    """Why a path names no file; what else is wrong with it is told by whoever opens it."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "there is no such file"
    except OSError:
        return None
    return "it is a folder" if S_ISDIR(mode) else None


def _load_feed(
    runner: Runner,
    store: Store,
    name: str,
    paths: Sequence[Path],
    progress: ProgressFactory | None,
) -> FeedLoad:
    feed = runner.config.feed(name)
    seen = _named(runner, feed, paths) if paths else look_at(runner, store.connection, name)
    loaded: list[Loaded] = []
    failed: list[tuple[str, str]] = []
    skipped: list[tuple[str, str]] = list(seen.skipped)
    for file in in_order_of_arrival(seen.files, feed):
        if file.name in seen.unchanged:
            loaded.append(Loaded(file.name, None))
            continue
        try:
            loaded.append(_load_one(runner, store, name, feed, file, progress))
        except StillGrowing as error:
            skipped.append((file.name, str(error)))
        except OSError as error:
            failed.append((str(file.source), error.strerror or str(error)))
        except psycopg.errors.UniqueViolation as error:
            failed.append((str(file.source), str(error).splitlines()[0]))
    results = _results_after(seen, loaded, skipped)
    unreadable = frozenset(str(each.source) for each in seen.files if each.name in seen.unreadable)
    done = FeedLoad(
        name, tuple(loaded), tuple(failed), feed.required, tuple(skipped), results, unreadable
    )
    done = replace(done, **admission_of(runner, store.connection, name))
    if done.is_absent and not paths:
        _record_absence(store, done, feed)
    store.connection.commit()
    return done


def _results_after(
    seen: Look, loaded: Sequence[Loaded], skipped: Sequence[tuple[str, str]]
) -> tuple[CheckResult, ...]:
    """What the look found, and what only the load could see."""
    zero = {each.name for each in seen.files if not each.size}  # said by the look already
    empty = [each.name for each in loaded if each.delivery and not each.delivery.records]
    growing = [name for name, why in skipped if why == StillGrowing.why]
    return with_load(seen, growing, [name for name in empty if name not in zero])


def _record_absence(store: Store, done: FeedLoad, feed: Feed) -> None:
    """No file: a required feed that has not come has failed; any other one is skipped."""
    arrival = done.arrival
    has_come = arrival is None or arrival.status is Status.PASS
    why = NO_FILE if arrival is None else arrival.message
    log_id = store.start_stage(done.feed, "load", "bronze", feed.path, "skipped")
    status, error_type = ("skipped", SKIPPED_NO_DATA) if has_come else ("failed", "NO_DATA")
    counts = StageCounts(rows_read=0, rows_written=0, error_type=error_type, error_message=why)
    store.finish_stage(log_id, status, counts)
    log.info("no data", feed=done.feed, status=status, error_type=error_type)


def _named(runner: Runner, feed: Feed, paths: Sequence[Path]) -> Look:
    """Files that a person named: whatever they look like, they are meant."""
    named = [Path(path) for path in paths]
    return Look(tuple(landed(path, _delivery_name(runner, feed, path)) for path in named))


def _load_one(
    runner: Runner,
    store: Store,
    name: str,
    feed: Feed,
    file: LandedFile,
    progress: ProgressFactory | None,
) -> Loaded:
    """One file, one transaction: its rows, its delivery and its log row commit together.

    Raises StillGrowing when the file was changed while it was read; nothing of it is loaded then.
    """
    connection = store.connection
    path = file.source
    log_id = store.start_stage(name, "load", "bronze", path.name)
    connection.commit()
    try:
        with logs.stage(log, "load", feed=name, source=path.name) as metrics, plainly():
            before = path.stat()
            told = progress(path.name, before.st_size) if progress else None
            loaded = load_file(
                store,
                name,
                feed,
                path,
                name=file.name,
                thresholds=feed.thresholds or runner.config.thresholds,
                progress=told,
            )
            is_growing = loaded.delivery is not None and has_changed(path, before)
            metrics.update({"still_growing": True} if is_growing else _load_metrics(loaded))
            if not is_growing:
                store.finish_stage(log_id, _load_status(loaded), _load_counts(loaded))
                connection.commit()
        if is_growing:
            raise StillGrowing(StillGrowing.why)
    except BaseException as error:
        _record_failure(store, log_id, error)
        raise
    return loaded


def _record_failure(store: Store, log_id: int, error: BaseException) -> None:
    """Close the stage of a load that came to nothing; the error itself is the caller's to raise."""
    if store.connection.closed:
        return
    counts = StageCounts(
        error_type=type(error).__name__, error_message=logs.masked(first_line(error))
    )
    status = "skipped" if isinstance(error, StillGrowing) else "failed"
    try:
        store.connection.rollback()
        store.finish_stage(log_id, status, counts)
        store.connection.commit()
    except psycopg.Error as second:
        log.error("the failure could not be recorded", error_message=first_line(second))


def _delivery_name(runner: Runner, feed: Feed, path: Path) -> str:
    """The file's path below the fixed part of the feed's pattern, or else its own name."""
    base = (runner.config.root / place_of(feed.path)[0]).resolve()
    full = path.resolve()
    return full.relative_to(base).as_posix() if full.is_relative_to(base) else path.name


# -------------------------------------------------------------------- the pieces


def in_order_of_arrival(files: Iterable[LandedFile], feed: Feed) -> list[LandedFile]:
    """By the moment that the name states, or else the file's time; then by name."""

    def key(file: LandedFile) -> tuple[datetime, str]:
        if feed.moment is None:
            return datetime.min.replace(tzinfo=timezone.utc), file.name
        return moment_in_name(file.source.name, feed.moment) or file.modified, file.name

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


def _load_status(loaded: Loaded) -> str:
    if loaded.delivery is None:
        return "skipped"
    return "failed" if loaded.delivery.admission == "refused" else "succeeded"


def _load_counts(loaded: Loaded) -> StageCounts:
    if loaded.delivery is None:
        return StageCounts(rows_read=0, rows_written=0, error_message=None)
    return StageCounts(
        rows_read=loaded.delivery.records,
        rows_written=loaded.delivery.rows,
        rows_dead_lettered=loaded.delivery.dead_letters,
        error_type=REFUSED if loaded.delivery.admission == "refused" else None,
        error_message=loaded.delivery.why,
        details={"null_shares": loaded.null_shares} if loaded.null_shares else {},
    )


def _job(runner: Runner, each: FeedLoad) -> CheckResult:
    """Whether its files could be loaded; what is wrong with their content is not the job's."""
    feed = runner.config.feed(each.feed)
    why = None
    if each.untold:
        path, reason = each.untold[0]
        more = f" and {len(each.untold) - 1} more" if each.untold[1:] else ""
        why = f"{path}{more}: {reason}"
    return job_result(
        f"job.load.{each.feed}",
        f"files of {each.feed} can be loaded",
        why,
        dataset=feed.table,
    )


def _arrived_unseen(runner: Runner, each: FeedLoad) -> CheckResult:
    """Ends what an earlier look had found: its files were named, or it has become optional."""
    table = runner.config.feed(each.feed).table
    result = job_result(
        f"landing.{each.feed}.arrived", f"files of {each.feed} have arrived", None, dataset=table
    )
    return replace(result, suite_name="landing")


def _load_alerts(each: FeedLoad) -> list[str]:
    lines = [result_line(result) for result in each.results if result.is_red]
    lines += [
        alert_line("load failure", f"{each.feed}: {path}: {why}") for path, why in each.untold
    ]
    lines += refusal_lines(each)
    if each.is_absent and each.required and not each.results:  # files that a person named
        lines += [
            alert_line("load failure", f"{each.feed}: {file}: {why}") for file, why in each.skipped
        ]
    return lines
