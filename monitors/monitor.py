"""`from monitors import DataMonitor`: what the commands do, for Python users."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitors import log as logs
from monitors.alert.lines import alert_line
from monitors.commands.build import build_models, skip_build
from monitors.commands.record import job_result, record_jobs
from monitors.commands.runner import Runner
from monitors.commands.scan import scan_checks
from monitors.commands.volumes import recount_volumes
from monitors.commands.watched import watched
from monitors.config import FILE_NAME
from monitors.errors import ExitCode, UsageError
from monitors.store.migrate import migrate
from monitors.store.postgres import Store
from monitors.verdict import FeedLoad, Verdict
from monitors.warehouse.connection import connect

if TYPE_CHECKING:
    from monitors.commands.load import ProgressFactory

# a command imports what it does when it does it: a scan has to start fast
log = logs.get_logger("Monitor")


class DataMonitor(Runner):
    """Configure, run, look at the results; see Runner for what it takes."""

    def load(
        self,
        feed: str | None = None,
        paths: Sequence[Path] = (),
        progress: ProgressFactory | None = None,
    ) -> Verdict:
        """Load one feed, or all; a file that fails does not stop the others.

        Raises UsageError when there is no feed, or none of that name.
        """
        from monitors.commands.load import load_feeds

        names = self._feeds(feed)
        return self._watched("load", lambda store: load_feeds(self, store, names, paths, progress))

    def landing(self, feed: str | None = None) -> Verdict:
        """What lies where one feed lands, or all; nothing is loaded and nothing recorded."""
        from monitors.commands.landing import show_landing

        return show_landing(self, self._feeds(feed))

    def build(self, select: Sequence[str] = (), *, full_refresh: bool = False) -> Verdict:
        """`dbt build`, recorded."""
        return self._watched("build", lambda store: build_models(self, store, select, full_refresh))

    def scan(
        self,
        select: Sequence[str] = (),
        *,
        soda_results: Path | None = None,
        dbt_target: Path | None = None,
    ) -> Verdict:
        """Run the checks, or take in those of a plain `soda scan`; write every verdict.

        `dbt_target`: the folder with dbt's artifacts, when it is not the project's own.
        """
        return self._watched(
            "scan", lambda store: scan_checks(self, store, select, soda_results, dbt_target)
        )

    def recount(self, dataset: str) -> Verdict:
        """Count the rows of a dataset under `volumes:` anew, hour by hour or day by day."""
        return self.recorded("recount", lambda store: recount_volumes(self, store, dataset))

    def audit(self, select: Sequence[str] = ()) -> Verdict:
        """Every dbt test over whole tables; a build tests what is new."""
        from monitors.commands.audit import audit_tables

        return self._watched("audit", lambda store: audit_tables(self, store, select))

    def run(self, progress: ProgressFactory | None = None) -> Verdict:
        """Load, build and scan as one run, then whatever `run: then:` names, then the report."""
        return self._reported(self._watched("run", lambda store: self._run(store, progress)))

    def deliveries(
        self, feed: str | None = None, *, refused: bool = False, limit: int = 20
    ) -> list[dict[str, Any]]:
        """What arrived, the newest first. Raises ConfigError: there is no such feed or stream."""
        if feed is not None:
            self.config.arrival(feed)
        with connect(self.target) as connection:
            migrate(connection)
            store = Store(connection, self.run_context())
            return store.list_deliveries(feed, refused, limit)

    def let_through(self, feed: str, name: str, *, by: str, why: str) -> None:
        """Let a refused delivery take part. Raises UsageError when there is no such one."""
        self.config.feed(feed)
        with connect(self.target) as connection:
            migrate(connection)
            if not Store(connection, self.run_context()).let_through(feed, name, by, why):
                raise UsageError(
                    f"feed `{feed}` has no refused delivery `{name}`;"
                    f" see `rampart deliveries list {feed} --refused`"
                )

    # ---------------------------------------------------------------- the pieces

    def _feeds(self, named: str | None) -> list[str]:
        """The feed that is named, or all; that there is none is nothing which could be done."""
        names = [named] if named else list(self.config.feeds)
        for name in names:
            self.config.feed(name)
        if not names:
            where = self.config.root / FILE_NAME
            streams = "; its streams: rampart consume" if self.config.streams else ""
            raise UsageError(
                f"no feed in {where}: a block under `feeds:` says what arrives, see README.md,"
                f" Your own data{streams}"
            )
        return names

    def _watched(self, command: str, job: Callable[[Store], Verdict]) -> Verdict:
        return self.recorded(command, lambda store: watched(self, store, command, job))

    def _run(self, store: Store, progress: ProgressFactory | None) -> Verdict:
        from monitors.commands.load import load_feeds

        verdict = load_feeds(self, store, list(self.config.feeds), (), progress)
        stops = [(why, each.stopped_by) for each in verdict.loads if (why := each.stops)]
        if stops and self.config.run.on_red_landing == "stop":
            verdict = verdict.plus(skip_build(self, store, *stops[0]))
        else:
            verdict = verdict.plus(build_models(self, store, (), False))
        verdict = verdict.plus(scan_checks(self, store, (), None))
        critical = [result for result in verdict.results if result.is_critical]
        if self.config.run.then and critical:
            why = f"{critical[0].check_id}: {critical[0].message}; not run: " + ", ".join(
                self.config.run.then
            )
            return replace(verdict, alerts=(*verdict.alerts, alert_line("run stopped", why)))
        for command in self.config.run.then:
            verdict = verdict.plus(self._then(store, command))
        return verdict

    def _reported(self, verdict: Verdict) -> Verdict:
        """With the report written, after the run has ended; that it cannot be is no verdict."""
        path = self.config.run.report
        if path is None:
            return verdict
        try:
            from monitors.commands.report import make_report

            with logs.stage(log, "report", file=str(path)) as metrics:
                written = make_report(self.config, self.target, self.now(), path)
                metrics.update(bytes=written.size, datasets=written.datasets)
        except Exception as error:  # whatever it is: what the run found is found
            said = logs.masked(" ".join(str(error).split()))
            return replace(verdict, report=f"not written: {said}")
        return replace(verdict, report=written.shown)

    def _then(self, store: Store, command: str) -> Verdict:
        with logs.stage(log, "then", command=command) as metrics:
            done = subprocess.run(command, shell=True, cwd=self.config.root, check=False)  # noqa: S602 - the user's own command line
            metrics["exit_code"] = done.returncode
        why = f"`{command}` ended with exit code {done.returncode}"
        job = job_result(
            f"job.then.{command}"[:300], f"`{command}` succeeds", why if done.returncode else None
        )
        record_jobs(self, store, [job])
        if done.returncode == 0:
            return Verdict(self.run_id)
        return Verdict(self.run_id, ExitCode.RED, alerts=(alert_line("job failure", why),))


__all__ = ["DataMonitor", "FeedLoad", "Verdict"]
