"""`rampart exec` and `with job(...)`: any job as a run: its start, its end and what it counted."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from monitors import log as logs
from monitors.alert.lines import alert_line
from monitors.commands.child import Child, Ended
from monitors.commands.job_reasons import lines_to_keep, reason
from monitors.commands.job_verdicts import teller
from monitors.commands.journal import Journal
from monitors.commands.runner import Runner
from monitors.config import Config
from monitors.errors import ExitCode
from monitors.store.journal import COUNTS, LARGEST_COUNT, RunRecord, StageRecord

log = logs.get_logger("Job")

TIMED_OUT = 124
"""The exit code of a job whose time was over, as of timeout(1): whatever the job itself said."""
_SECRET_NAME = re.compile(
    r"(?i)password|passwd|secret|token|api_?key|private_?key|credential|access_?key"
)
_SECRET_IN_TEXT = (
    (re.compile(r"//[^/@\s:]+:[^/@\s]+@"), "//***@"),
    (re.compile(r"(?i)\b((?:password|passwd|pwd|secret|token|api_?key)\s*[=:]\s*)\S+"), r"\1***"),
)
_SHORTEST_SECRET = 6
"""A shorter value of a variable would be found in every other word."""


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """How a job ended; `exit_code` is its own."""

    run_id: str
    exit_code: int
    alerts: tuple[str, ...] = ()
    not_recorded: str | None = None
    """Why its record is not in the warehouse yet."""


class JobRun:
    """One run of a job, while it runs."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.counts: dict[str, int] = {}

    def rows(self, **counts: int) -> None:
        """Note totals: read, written, created, updated, deleted, rejected, dead_lettered.

        A later total of the same name replaces it. Raises TypeError for any other name, and
        ValueError for what is no count.
        """
        for name, number in counts.items():
            if f"rows_{name}" not in COUNTS:
                allowed = ", ".join(each.removeprefix("rows_") for each in COUNTS)
                raise TypeError(f"rows({name}=...): allowed are {allowed}")
            if not 0 <= (count := int(number)) <= LARGEST_COUNT:
                raise ValueError(f"rows({name}={count}): allowed are 0 to {LARGEST_COUNT}")
            self.counts[f"rows_{name}"] = count


class Jobs(Runner):
    """Watch jobs: configure, run one, look at its outcome."""

    def exec(
        self,
        command: Sequence[str],
        *,
        pipeline: str,
        stage: str = "job",
        layer: str = "gold",
        timeout: timedelta | None = None,
        grace: timedelta = timedelta(seconds=10),
    ) -> JobOutcome:
        """Run a command and record it; its output passes through. Exit code 2: it cannot start."""
        _hide_secrets()
        recorder = _Recorder(self, pipeline, stage, layer, " ".join(command[:1]))
        recorder.begin()
        child = Child(
            command,
            {"RAMPART_RUN_ID": self.run_id, "RAMPART_PIPELINE": pipeline},
            timeout=timeout.total_seconds() if timeout else None,
            grace=grace.total_seconds(),
            on_report=lambda problem: log.warning("report not understood", problem=problem),
        )
        try:
            ended = child.run()
        except OSError as error:
            said = f"cannot start `{command[0]}`: {error.strerror or error}"
            recorder.end("failed", ExitCode.UNUSABLE, {}, ("NOT_STARTED", said))
            line = alert_line("job failure", f"{pipeline}: {said}")
            return JobOutcome(self.run_id, ExitCode.UNUSABLE, (line,), recorder.not_recorded)
        error_type, why = _failure(ended, timeout)
        code = TIMED_OUT if ended.timed_out else ended.exit_code
        if not why:
            recorder.end("succeeded", code, ended.counts, None)
            return JobOutcome(self.run_id, code, (), recorder.not_recorded)
        said = ": ".join(filter(None, [why, reason(ended.stdout, ended.stderr)]))
        message = hidden("\n".join([said, *lines_to_keep(ended.stdout, ended.stderr)]))
        recorder.end("failed", code, ended.counts, (error_type, message))
        line = alert_line("job failure", hidden(f"{pipeline}: {said}"))
        return JobOutcome(self.run_id, code, (line,), recorder.not_recorded)


@contextmanager
def job(
    pipeline: str,
    *,
    stage: str = "job",
    layer: str = "gold",
    config: Config | Path | str | None = None,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr),  # noqa: T201
) -> Iterator[JobRun]:
    """Record a part of a Python program as a run.

    with job("spark_daily") as run:
        run.rows(written=frame.count())

    An error is recorded with the end of its traceback, said as an alert line through `say`, and
    goes on to the caller. SIGTERM ends the block as SystemExit(143) does, so that it is recorded.
    Raises ValueError when it has no name.
    """
    if not pipeline.strip():
        raise ValueError(f"job({pipeline!r}): allowed is a name")
    _hide_secrets()
    runner = Runner(config)
    recorder = _Recorder(runner, pipeline, stage, layer, None)
    recorder.begin()
    run = JobRun(runner.run_id)
    try:
        with _sigterm_raises():
            yield run
    except BaseException as error:
        code, why = _code_of(error), f"{type(error).__name__}: {error}"
        if code == ExitCode.OK:  # sys.exit() is an end like another
            recorder.end("succeeded", code, run.counts, None)
            raise
        trace = "".join(traceback.format_exception(error)).strip()
        recorder.end("failed", code, run.counts, (type(error).__name__, hidden(trace)))
        say(alert_line("job failure", hidden(f"{pipeline}: {why}")))
        raise
    recorder.end("succeeded", ExitCode.OK, run.counts, None)


def hidden(text: str) -> str:
    """The text without any secret that is known or looks like one."""
    text = logs.masked(text)
    for pattern, instead in _SECRET_IN_TEXT:
        text = pattern.sub(instead, text)
    return text


# -------------------------------------------------------------------- the pieces


class _Recorder:
    """The run and its one stage, written at the start and at the end."""

    def __init__(
        self, runner: Runner, pipeline: str, stage: str, layer: str, source: str | None
    ) -> None:
        self._now = runner.now
        self._journal = Journal(runner.config.root, teller(runner))
        self.not_recorded: str | None = None
        context = runner.run_context()
        now = runner.now()
        self._stage = StageRecord(pipeline, stage, layer, "started", now, source=source)
        self._run = RunRecord(
            run_id=context.run_id,
            command="exec",
            environment=context.environment,
            started_at=now,
            versions=context.versions,
            git_revision=context.git_revision,
        )

    def begin(self) -> None:
        self._journal.write(replace(self._run, stages=(self._stage,)))
        log.info("job started", pipeline=self._stage.pipeline_name, stage=self._stage.stage)

    def end(
        self, status: str, code: int, counts: dict[str, int], error: tuple[str, str] | None
    ) -> None:
        now = self._now()
        error_type, message = error or (None, None)
        stage = replace(
            self._stage,
            status=status,
            finished_at=now,
            counts=counts,
            error_type=error_type,
            error_message=message,
        )
        record = replace(self._run, ended_at=now, exit_code=int(code), stages=(stage,))
        self.not_recorded = self._journal.write(record)
        log.info(
            "job ended",
            pipeline=stage.pipeline_name,
            stage=stage.stage,
            status=status,
            exit_code=int(code),
            duration_seconds=round((now - stage.started_at).total_seconds(), 3),
            error_type=error_type,
            **counts,
        )
        log.info("run finished", command="exec", exit_code=int(code))


def _failure(ended: Ended, timeout: timedelta | None) -> tuple[str, str]:
    """(error_type, why) of a job that failed; blank ones of a job that did not."""
    took = f"after {ended.seconds:,.0f} s"
    if ended.timed_out:
        limit = timeout.total_seconds() if timeout else 0
        return "TIMED_OUT", f"not done within {limit:,.0f} s, so it was stopped"
    if not ended.exit_code:
        return "", ""
    if ended.stopped_by is not None:
        name = signal.Signals(ended.stopped_by).name
        return "STOPPED", f"stopped by {name} {took}, exit code {ended.exit_code}"
    if ended.exit_code > 128 and ended.exit_code - 128 in set(signal.Signals):
        name = signal.Signals(ended.exit_code - 128).name
        return "KILLED", f"killed by {name} {took}, exit code {ended.exit_code}"
    return "EXIT_CODE", f"exit code {ended.exit_code} {took}"


def _hide_secrets() -> None:
    """Values of variables that are named like secrets reach no log line and no row."""
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST_SECRET and _SECRET_NAME.search(name):
            logs.hide(value)


def _code_of(error: BaseException) -> int:
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            return (error.code or 0) & 0xFF  # as the system gives it to whoever waits
        return ExitCode.RED
    return ExitCode.INTERRUPTED if isinstance(error, KeyboardInterrupt) else ExitCode.RED


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Where nobody else has said what SIGTERM means, and only the main thread may say it."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def end(_number: int, _frame: Any) -> None:
        raise SystemExit(int(ExitCode.TERMINATED))

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
