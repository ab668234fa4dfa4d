"""`rampart export`: files to a landing place, each whole or not at all, warehouse or none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from time import sleep as wait

from monitors import log as logs
from monitors.alert.lines import alert_line
from monitors.arrival.copies import Copies
from monitors.arrival.export import Exported, ExportFailed, export_file
from monitors.arrival.growth import Growth
from monitors.arrival.storage import fits, list_place
from monitors.arrival.unfinished import unfinished
from monitors.commands.job_verdicts import teller
from monitors.commands.journal import Journal
from monitors.commands.runner import Runner, context_of, new_run_id
from monitors.config import Config
from monitors.config_exports import SETTLE, Export
from monitors.config_feeds import place_of
from monitors.errors import ExitCode, RampartError, UsageError, first_line
from monitors.store.journal import RunRecord, StageRecord
from monitors.warehouse.connection import state_folder

log = logs.get_logger("Export")

SHOWN = 5
"""How many failed files of one export have an alert line each."""


@dataclass(frozen=True, slots=True)
class ExportOutcome:
    """What became of the files of one export."""

    name: str
    files: tuple[Exported, ...] = ()
    failed: tuple[str, ...] = ()
    """Why, for each file that is not there."""
    required: bool = True
    cut_short: tuple[str, str] | None = None
    """(error_type, why) when it ended before its last file."""

    @property
    def copied(self) -> list[Exported]:
        return [each for each in self.files if each.copied]

    @property
    def is_absent(self) -> bool:
        return not self.files and not self.failed and not self.cut_short

    @property
    def alerts(self) -> list[str]:
        why = [self.cut_short[1]] if self.cut_short else []
        why += self.failed[:SHOWN]
        if (more := len(self.failed) - SHOWN) > 0:
            why.append(f"and {more:,} more files")
        if self.is_absent and self.required:
            why = ["no file matches, and the export is required"]
        return [alert_line("export pipeline failure", f"{self.name}: {each}") for each in why]


@dataclass(frozen=True, slots=True)
class ExportsOutcome:
    """The outcome of the command."""

    run_id: str
    exports: tuple[ExportOutcome, ...]
    not_recorded: str | None = None
    """Why its record is not in the warehouse."""
    waits: bool = False
    """Whether the record lies in the spool, for the next command that reaches the warehouse."""
    stopped: int | None = None
    """The exit code of a stop: 130 or 143."""

    @property
    def alerts(self) -> list[str]:
        return [line for each in self.exports for line in each.alerts]

    @property
    def exit_code(self) -> int:
        return self.stopped or (ExitCode.RED if self.alerts else ExitCode.OK)


class Stopped(RampartError):
    """Told to stop in the middle: by which signal, and the exit code that says so."""

    def __init__(self, signal_name: str, exit_code: ExitCode) -> None:
        super().__init__(f"stopped by {signal_name}")
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Plan:
    """One export: (file, its name in the target folder) of all that is to be there."""

    name: str
    origin: str
    folder: Path
    files: tuple[tuple[Path, str], ...]
    faults: tuple[str, ...] = ()
    """Why the place of the files, or a part of it, cannot be listed."""
    required: bool = True
    settle: timedelta = SETTLE
    overwrite: bool = False


def plan_configured(config: Config, names: Sequence[str]) -> list[Plan]:
    """Exports of rampart.yml, all when none is named. Raises UsageError."""
    known = ", ".join(config.exports) or "none yet: there is no `exports:`"
    for name in names or ([] if config.exports else ["exports"]):
        if name not in config.exports:
            raise UsageError(f"export `{name}` is not in rampart.yml; known: {known}")
    return [_plan_of(config.root, name, config.exports[name]) for name in names or config.exports]


def plan_named(sources: Iterable[Path], folder: Path) -> list[Plan]:
    """Files that somebody named, into one folder. Raises UsageError when two have one name."""
    files = [(path, path.name) for path in sources]
    names = [name for _path, name in files]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"two sources are called {twice[0]}: they cannot both be in {folder}")
    return [Plan("export", str(files[0][0]), folder, tuple(files))]


def export_files(
    plans: Sequence[Plan],
    config: Config | None,
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    sleep: Callable[[float], None] = wait,
) -> ExportsOutcome:
    """Carry out the plans one after the other. `config` None: there is no rampart.yml.

    A file that fails stops no other one; SIGTERM and Ctrl-C end it as a failed one that says so.
    """
    run_id, started = new_run_id(now()), now()
    context = context_of(run_id, config)
    journal = Journal(config.root, teller(Runner(config, now=now))) if config else Journal(None)
    logs.bind_run(run_id)
    run = RunRecord(
        run_id, "export", context.environment, started,
        versions=context.versions, git_revision=context.git_revision,
    )  # fmt: skip
    copies = Copies(state_folder(config.root) / "exported" if config else None)
    work = [_Work(plan, started, copies) for plan in plans]
    stopped: int | None = None
    try:
        with _stop_named():
            journal.write(replace(run, stages=tuple(each.stage for each in work)))
            for each in work:
                each.carry_out(now, sleep)
            copies.tidy()
    except Stopped as stop:
        stopped = stop.exit_code
        _cut_short(work, "STOPPED", str(stop), now())
    except Exception as error:
        _cut_short(work, type(error).__name__, first_line(error), now())
        journal.write(_ended(run, work, now(), getattr(error, "exit_code", ExitCode.RED)))
        raise
    outcome = ExportsOutcome(run_id, tuple(each.outcome for each in work), stopped=stopped)
    not_recorded = journal.write(_ended(run, work, now(), outcome.exit_code))
    log.info("run finished", command="export", exit_code=int(outcome.exit_code))
    return replace(outcome, not_recorded=not_recorded, waits=journal.waits)


# -------------------------------------------------------------------- the pieces


def _plan_of(root: Path, name: str, export: Export) -> Plan:
    folder, pattern = place_of(export.source)
    listing = list_place(export.source, root)
    files = tuple(
        (root / folder / each.name, each.name)
        for each in listing.files
        if fits(each.name, pattern)
        and each.name.rsplit("/", 1)[-1][0] != "."
        and not unfinished(each.name, pattern.rsplit("/", 1)[-1])
    )
    faults = tuple(f"{listing.where}: {fault}" for fault in listing.faults)
    if listing.is_absent:
        faults = (f"the source folder {root / folder} does not exist",)
    target = root / Path(export.to).expanduser()
    return Plan(
        name, export.source, target, files, faults, export.required, export.settle, export.overwrite
    )  # fmt: skip


@dataclass(slots=True)
class _Work:
    """One export while it runs."""

    plan: Plan
    started: datetime
    copies: Copies
    files: list[Exported] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    cut_short: tuple[str, str] | None = None
    ended: datetime | None = None

    def carry_out(self, now: Callable[[], datetime], sleep: Callable[[float], None]) -> None:
        self.failed += self.plan.faults
        sources = (source for source, _name in self.plan.files)
        growth = Growth(sources, self.plan.settle, lambda: now().timestamp(), sleep)
        for source, name in self.plan.files:
            try:
                self.files.append(self._export(source, name, growth))
            except ExportFailed as error:
                self.failed.append(str(error))
            except Stopped:
                raise
            except Exception as error:  # nobody foresaw it; the others go on all the same
                self.failed.append(f"{source}: {type(error).__name__}: {first_line(error)}")
        self.ended = now()

    def _export(self, source: Path, name: str, growth: Growth) -> Exported:
        context = {"pipeline": self.plan.name, "source": str(source)}
        with logs.stage(log, "export", **context) as metrics, _stop_named():
            exported = export_file(
                source, self.plan.folder, name,
                look=growth.settled, copies=self.copies, overwrite=self.plan.overwrite,
            )  # fmt: skip
            metrics.update(
                target=str(exported.target), bytes=exported.bytes, sha256=exported.sha256,
                already_there=not exported.copied,
            )  # fmt: skip
        return exported

    @property
    def outcome(self) -> ExportOutcome:
        plan = self.plan
        return ExportOutcome(
            plan.name, tuple(self.files), tuple(self.failed), plan.required, self.cut_short
        )

    @property
    def stage(self) -> StageRecord:
        """As it is now: begun, or ended."""
        source = f"{self.plan.origin} -> {self.plan.folder}"
        begun = StageRecord(
            self.plan.name, "export", "bronze", "started", self.started, source=source
        )
        if self.ended is None:
            return begun
        status, error_type, message = _verdict(self.outcome)
        return replace(
            begun, status=status, finished_at=self.ended, error_type=error_type,
            error_message=message,
        )  # fmt: skip


def _verdict(outcome: ExportOutcome) -> tuple[str, str | None, str | None]:
    """(status, error_type, error_message) as pipeline_logs has them."""
    if outcome.cut_short:
        return "failed", outcome.cut_short[0], outcome.cut_short[1]
    if outcome.alerts:
        error_type = "NO_DATA" if outcome.is_absent else "EXPORT_FAILED"
        return "failed", error_type, "; ".join(outcome.failed[:SHOWN]) or "no file matches"
    if outcome.is_absent:
        return "skipped", "SKIPPED_NO_DATA", "no file matches"
    return "succeeded", None, None


def _cut_short(work: Sequence[_Work], error_type: str, why: str, now: datetime) -> None:
    """End whatever has not ended."""
    for each in work:
        if each.ended is None:
            done, files = len(each.files), len(each.plan.files)
            each.cut_short = (error_type, f"{why}; {done:,} of {files:,} files are there")
            each.ended = now


def _ended(run: RunRecord, work: Sequence[_Work], now: datetime, exit_code: int) -> RunRecord:
    stages = tuple(each.stage for each in work)
    return replace(run, ended_at=now, exit_code=int(exit_code), stages=stages)


@contextmanager
def _stop_named() -> Iterator[None]:
    """SIGTERM (which the command line turns into SystemExit) and Ctrl-C as Stopped."""
    try:
        yield
    except KeyboardInterrupt:
        raise Stopped("SIGINT", ExitCode.INTERRUPTED) from None
    except SystemExit:
        raise Stopped("SIGTERM", ExitCode.TERMINATED) from None
