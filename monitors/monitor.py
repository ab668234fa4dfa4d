"""The composition: what `rampart load | build | scan | run` do, and the same for Python users.

Everything is built here and passed on; nothing else constructs its collaborators. This class opens
connections and owns their transactions; it prints nothing and never exits.
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol, TypeVar

import psycopg

from monitors import log as logs
from monitors.alert.lines import alert_line, result_line
from monitors.arrival.loader import Loaded, load_file
from monitors.arrival.raw import ensure_table
from monitors.config import Config, Feed, load_config
from monitors.errors import ExitCode, PipelineFailed, UsageError
from monitors.results import CheckResult
from monitors.store.migrate import migrate
from monitors.store.postgres import RunContext, StageCounts, Store
from monitors.verdict import FeedLoad, Verdict
from monitors.warehouse.connection import connect, resolve_target
from monitors.warehouse.dbt import run_dbt, run_results
from monitors.warehouse.packages import install_packages, packages_status
from monitors.warehouse.target import Target

log = logs.get_logger("Monitor")

ProgressFactory = Callable[[str, int], Callable[[int], None]]
"""(file name, its bytes) -> a function that is told how many more bytes were read."""


class Outcome(Protocol):
    """What a recorded job gives back."""

    @property
    def exit_code(self) -> int: ...


OutcomeT = TypeVar("OutcomeT", bound=Outcome)


class DataMonitor:
    """Configure, run, look at the results.

    `config` is a Config, the path of a rampart.yml, or None for the one in the working folder.
    `now` is the clock, so that tests and replays can set it.
    """

    def __init__(
        self,
        config: Config | Path | str | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        quiet_dbt: bool = True,
    ) -> None:
        self.config = config if isinstance(config, Config) else load_config(_path(config))
        self.now = now
        self.quiet_dbt = quiet_dbt
        self.run_id = new_run_id(now())
        logs.bind_run(self.run_id)

    @cached_property
    def target(self) -> Target:
        return resolve_target(self.config.root)

    # ---------------------------------------------------------------- the commands

    def load(
        self,
        feed: str | None = None,
        paths: Sequence[Path] = (),
        progress: ProgressFactory | None = None,
    ) -> Verdict:
        """Load one feed, or all; a file that fails does not stop the others."""
        names = [feed] if feed else list(self.config.feeds)
        for name in names:
            self.config.feed(name)
        return self._recorded("load", lambda store: self._load(store, names, paths, progress))

    def build(self, select: Sequence[str] = (), *, full_refresh: bool = False) -> Verdict:
        """`dbt build`, recorded."""
        return self._recorded("build", lambda store: self._build(store, select, full_refresh))

    def scan(
        self, select: Sequence[str] = (), *, soda_results: Path | None = None
    ) -> Verdict:  # fmt: skip
        """Run the checks, or take in those of a plain `soda scan`; write every verdict."""
        return self._recorded("scan", lambda store: self._scan(store, select, soda_results))

    def run(self, progress: ProgressFactory | None = None) -> Verdict:
        """Load, build and scan as one run, then whatever `run: then:` names."""
        return self._recorded("run", lambda store: self._run(store, progress))

    def deliveries(
        self, feed: str | None = None, *, refused: bool = False, limit: int = 20
    ) -> list[dict[str, Any]]:
        """What arrived, the newest first."""
        with connect(self.target) as connection:
            migrate(connection)
            store = Store(connection, self._run_context())
            return store.list_deliveries(feed, refused, limit)

    def let_through(self, feed: str, name: str, *, by: str, why: str) -> None:
        """Let a refused delivery take part. Raises UsageError when there is no such one."""
        self.config.feed(feed)
        with connect(self.target) as connection:
            migrate(connection)
            if not Store(connection, self._run_context()).let_through(feed, name, by, why):
                raise UsageError(
                    f"feed `{feed}` has no refused delivery `{name}`;"
                    f" see `rampart deliveries list {feed} --refused`"
                )

    # ---------------------------------------------------------------- a run

    def _recorded(self, command: str, job: Callable[[Store], OutcomeT]) -> OutcomeT:
        """A run around a job: its row, its end and exit code, whatever happens."""
        with connect(self.target) as connection:
            migrate(connection)
            store = Store(connection, self._run_context())
            store.start_run(command)
            connection.commit()
            exit_code: int = ExitCode.RED
            try:
                verdict = job(store)
                exit_code = verdict.exit_code
            except (KeyboardInterrupt, SystemExit) as error:
                exit_code = int(getattr(error, "code", None) or ExitCode.INTERRUPTED)
                raise
            except Exception as error:
                exit_code = getattr(error, "exit_code", ExitCode.RED)
                raise
            finally:
                if not connection.closed:
                    connection.rollback()
                    store.finish_run(exit_code)
                    connection.commit()
        log.info("run finished", command=command, exit_code=int(exit_code))
        return verdict

    def _run(self, store: Store, progress: ProgressFactory | None) -> Verdict:
        verdict = self._load(store, list(self.config.feeds), (), progress)
        verdict = verdict.plus(self._build(store, (), False))
        verdict = verdict.plus(self._scan(store, (), None))
        critical = [result for result in verdict.results if result.is_critical]
        if self.config.run.then and critical:
            why = f"{critical[0].check_id}: {critical[0].message}; not run: " + ", ".join(
                self.config.run.then
            )
            return replace(verdict, alerts=(*verdict.alerts, alert_line("run stopped", why)))
        for command in self.config.run.then:
            verdict = verdict.plus(self._then(command))
        return verdict

    def _then(self, command: str) -> Verdict:
        with logs.stage(log, "then", command=command) as metrics:
            done = subprocess.run(command, shell=True, cwd=self.config.root, check=False)  # noqa: S602 - the user's own command line
            metrics["exit_code"] = done.returncode
        if done.returncode == 0:
            return Verdict(self.run_id)
        why = f"`{command}` ended with exit code {done.returncode}"
        return Verdict(self.run_id, ExitCode.RED, alerts=(alert_line("job failure", why),))

    # ---------------------------------------------------------------- load

    def _load(
        self,
        store: Store,
        names: Sequence[str],
        paths: Sequence[Path],
        progress: ProgressFactory | None,
    ) -> Verdict:
        self._prepare_feeds(store)
        loads = tuple(self._load_feed(store, name, paths, progress) for name in names)
        alerts = [line for each in loads for line in _load_alerts(each)]
        code = ExitCode.RED if alerts else ExitCode.OK
        return Verdict(self.run_id, code, loads=loads, alerts=tuple(alerts))

    def _prepare_feeds(self, store: Store) -> None:
        """Settings that SQL reads, and a raw table for every feed, so that dbt can always build."""
        for name, feed in self.config.feeds.items():
            freshness = feed.freshness
            store.register_feed(
                name,
                feed.table,
                feed.required,
                freshness.clock if freshness else "wall",
                freshness.within if freshness else None,
            )
            ensure_table(store.connection, feed)
        store.connection.commit()

    def _load_feed(
        self,
        store: Store,
        name: str,
        paths: Sequence[Path],
        progress: ProgressFactory | None,
    ) -> FeedLoad:
        feed = self.config.feed(name)
        files = [Path(path) for path in paths] or self.config.files_of(name)
        loaded: list[Loaded] = []
        failed: list[tuple[str, str]] = []
        for path in in_order_of_arrival(files, feed):
            try:
                loaded.append(self._load_one(store, name, feed, path, progress))
            except OSError as error:
                failed.append((str(path), error.strerror or str(error)))
            except psycopg.errors.UniqueViolation as error:
                failed.append((str(path), str(error).splitlines()[0]))
        if not files:
            store.start_stage(name, "load", "bronze", feed.path, "skipped")
            store.connection.commit()
        return FeedLoad(name, tuple(loaded), tuple(failed), feed.required)

    def _load_one(
        self,
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
                    name=self._delivery_name(feed, path),
                    thresholds=feed.thresholds or self.config.thresholds,
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

    def _delivery_name(self, feed: Feed, path: Path) -> str:
        """The file's path below the fixed part of the feed's pattern, or else its own name."""
        base = (self.config.root / feed.folder).resolve()
        full = path.resolve()
        return full.relative_to(base).as_posix() if full.is_relative_to(base) else path.name

    # ---------------------------------------------------------------- build

    def _build(self, store: Store, select: Sequence[str], full_refresh: bool) -> Verdict:
        self._prepare_dbt(store)
        self._take_turn(store)
        try:
            return self._build_alone(store, select, full_refresh)
        finally:
            if not store.connection.closed:
                store.connection.rollback()
                store.unlock_builds()
                store.connection.commit()

    def _take_turn(self, store: Store) -> None:
        """Builds that Rampart starts on one warehouse wait for each other."""
        if not store.lock_builds(wait=False):
            log.info("another build runs; this one waits for its turn")
            store.lock_builds(wait=True)
        store.connection.commit()

    def _prepare_dbt(self, store: Store) -> None:
        """What every dbt command finds: a raw table for each feed, and the packages."""
        self._prepare_feeds(store)
        if packages_status(self.config.root) is None:
            log.info(install_packages(self.config.root).message)

    def _build_alone(self, store: Store, select: Sequence[str], full_refresh: bool) -> Verdict:
        arguments = ["build"]
        if select:
            arguments += ["--select", *select]
        if full_refresh:
            arguments.append("--full-refresh")
        log_id = store.start_stage("dbt", "build", "gold", "dbt build")
        store.connection.commit()
        with logs.stage(log, "build") as metrics:
            code = run_dbt(self.target, self.config.root, *arguments, quiet=self.quiet_dbt)
            metrics["exit_code"] = code
        if code == 2:
            error = "dbt could not start; see logs/dbt.log or `rampart doctor`"
            store.finish_stage(log_id, "failed", StageCounts(error_message=error))
            store.connection.commit()
            raise PipelineFailed(f"{error}; `dbt parse` says more")
        counts = StageCounts(error_message="models or tests failed" if code else None)
        store.finish_stage(log_id, "failed" if code else "succeeded", counts)
        store.connection.commit()
        if not code:
            return Verdict(self.run_id, ExitCode.OK, build_exit_code=0)
        # Which tests failed is for the scan to say, from dbt's own results.
        alerts = tuple(result_line(each) for each in self._dbt_results() if each.is_red)
        return Verdict(self.run_id, ExitCode.RED, alerts=alerts, build_exit_code=code)

    # ---------------------------------------------------------------- scan

    def _scan(self, store: Store, select: Sequence[str], soda_results: Path | None) -> Verdict:
        from monitors.scan import checks_files, soda

        started = self.now()
        files = checks_files.find_files(self.config.root, self.config.scan.checks)
        definitions = checks_files.read_definitions(files)
        with logs.stage(log, "scan", files=len(files)) as metrics:
            if soda_results is not None:
                found = soda.read_results_file(soda_results)
            elif definitions:
                timeout = self.config.scan.statement_timeout
                found = soda.run_files(files, self.target, timeout)
            else:
                found = {"checks": []}
            with connect(self.target, read_only=True) as reading:
                results = soda.to_results(found, definitions, reading)
            results += self._dbt_results() if soda_results is None else []
            results = _selected(results, select)
            metrics.update(checks=len(results), red=sum(each.is_red for each in results))
        moment = store.latest_data_moment()
        results = [
            each if each.data_timestamp else replace(each, data_timestamp=moment)
            for each in results
        ]
        store.add_results(results, started)
        store.connection.commit()
        red = [each for each in results if each.is_red]
        since = store.red_since(each.check_id for each in red)
        alerts = [result_line(each) for each in red]
        if (not definitions and soda_results is None) or not results:
            where = ", ".join(self.config.scan.checks)
            alerts.append(alert_line("monitoring failure", f"no check at all in {where}"))
        return Verdict(
            self.run_id,
            ExitCode.RED if alerts else ExitCode.OK,
            results=tuple(results),
            red_since=since,
            alerts=tuple(alerts),
            scanned=True,
        )

    def _dbt_results(self) -> list[CheckResult]:
        """Verdicts of the last build in this project; none when nothing was built here."""
        from monitors.scan.dbt import read_build

        folder = self.config.root / "target"
        found = run_results(folder)
        return read_build(found, folder / "manifest.json") if found else []

    def _run_context(self) -> RunContext:
        return RunContext(
            run_id=self.run_id,
            environment=self.config.environment,
            versions=_versions(),
            git_revision=_git_revision(self.config.root),
        )


# -------------------------------------------------------------------- the pieces


def new_run_id(now: datetime) -> str:
    """Sorts by time: `20261119T063000Z-3f9a1c`."""
    return f"{now.astimezone(timezone.utc):%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(3)}"


def in_order_of_arrival(files: Iterable[Path], feed: Feed) -> list[Path]:
    """By the moment that the name states, then by path; missing files keep their place by path."""
    from monitors.arrival.loader import moment_of

    def key(path: Path) -> tuple[datetime, str]:
        if feed.moment is None or not path.exists():
            return datetime.min.replace(tzinfo=timezone.utc), path.as_posix()
        return moment_of(path, feed.moment)[0], path.as_posix()

    return sorted(files, key=key)


def _path(config: Path | str | None) -> Path | None:
    return Path(config) if config is not None else None


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


def _selected(results: list[CheckResult], select: Sequence[str]) -> list[CheckResult]:
    """Checks whose id, suite, dataset, layer or category is named; all when nothing is named.

    Raises UsageError when nothing matches: a typo must not look like a green scan.
    """
    if not select:
        return results
    wanted = [
        each
        for each in results
        if any(
            word in (each.suite_name, each.dataset, each.layer.value, each.category.value)
            or each.check_id == word
            or each.check_id.startswith(f"{word}.")
            for word in select
        )
    ]
    if not wanted:
        suites = ", ".join(sorted({each.suite_name for each in results}))
        raise UsageError(f"--select {' '.join(select)}: no check matches; suites: {suites}")
    return wanted


def _versions() -> dict[str, str]:
    found = {}
    for name in ("rampart", "dbt-core", "dbt-postgres", "soda-core-postgres"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _git_revision(root: Path) -> str | None:
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


__all__ = ["DataMonitor", "FeedLoad", "Verdict", "new_run_id"]
