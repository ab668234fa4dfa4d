"""`rampart export`: files to a landing place, each whole or not at all, warehouse or none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from monitors import log as logs
from monitors.alert.lines import alert_line
from monitors.arrival.export import Exported, ExportFailed, export_file
from monitors.arrival.storage import fits, list_place
from monitors.arrival.unfinished import unfinished
from monitors.commands.job_verdicts import teller
from monitors.commands.journal import Journal
from monitors.commands.runner import Runner, context_of, new_run_id
from monitors.config import Config
from monitors.config_exports import Export
from monitors.config_feeds import place_of
from monitors.errors import ExitCode, UsageError
from monitors.store.journal import RunRecord, StageRecord

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

    @property
    def copied(self) -> list[Exported]:
        return [each for each in self.files if each.copied]

    @property
    def is_absent(self) -> bool:
        return not self.files and not self.failed

    @property
    def alerts(self) -> list[str]:
        why = [*self.failed[:SHOWN]]
        if more := len(self.failed) - SHOWN:
            why += [f"and {more:,} more files"] if more > 0 else []
        if self.is_absent and self.required:
            why = ["no file matches, and the export is required"]
        return [alert_line("export pipeline failure", f"{self.name}: {each}") for each in why]


@dataclass(frozen=True, slots=True)
class ExportsOutcome:
    """The outcome of the command."""

    run_id: str
    exports: tuple[ExportOutcome, ...]
    not_recorded: str | None = None

    @property
    def alerts(self) -> list[str]:
        return [line for each in self.exports for line in each.alerts]

    @property
    def exit_code(self) -> int:
        return ExitCode.RED if self.alerts else ExitCode.OK


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
) -> ExportsOutcome:
    """Carry out the plans one after the other. `config` None: there is no rampart.yml.

    A file that fails stops no other one.
    """
    run_id, started = new_run_id(now()), now()
    context = context_of(run_id, config)
    journal = Journal(config.root, teller(Runner(config, now=now))) if config else Journal(None)
    logs.bind_run(run_id)
    run = RunRecord(
        run_id, "export", context.environment, started,
        versions=context.versions, git_revision=context.git_revision,
    )  # fmt: skip
    stages: dict[str, StageRecord] = {}
    done: list[ExportOutcome] = []
    exit_code: int = ExitCode.TERMINATED
    for plan in plans:
        source = f"{plan.origin} -> {plan.folder}"
        stages[plan.name] = StageRecord(
            plan.name, "export", "bronze", "started", started, None, source
        )
    journal.write(_with(run, stages))
    try:
        for plan in plans:
            outcome = _carry_out(plan)
            done.append(outcome)
            stages[plan.name] = _ended(stages[plan.name], outcome, now())
        exit_code = ExportsOutcome(run_id, tuple(done)).exit_code
    finally:
        ended = _with(run, stages, now(), exit_code)
        not_recorded = journal.write(ended)
    log.info("run finished", command="export", exit_code=int(exit_code))
    return ExportsOutcome(run_id, tuple(done), not_recorded)


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
    target = root / Path(export.to).expanduser()
    return Plan(name, export.source, target, files, faults, export.required)


def _carry_out(plan: Plan) -> ExportOutcome:
    files: list[Exported] = []
    failed: list[str] = list(plan.faults)
    for source, name in plan.files:
        try:
            with logs.stage(log, "export", pipeline=plan.name, source=str(source)) as metrics:
                exported = export_file(source, plan.folder, name)
                metrics.update(
                    target=str(exported.target), bytes=exported.bytes, sha256=exported.sha256,
                    already_there=not exported.copied,
                )  # fmt: skip
            files.append(exported)
        except ExportFailed as error:
            failed.append(str(error))
    return ExportOutcome(plan.name, tuple(files), tuple(failed), plan.required)


def _ended(stage: StageRecord, outcome: ExportOutcome, now: datetime) -> StageRecord:
    status, error_type, message = "succeeded", None, None
    if outcome.alerts:
        status, error_type = "failed", "NO_DATA" if outcome.is_absent else "EXPORT_FAILED"
        message = "; ".join(outcome.failed[:SHOWN]) or "no file matches"
    elif outcome.is_absent:
        status, error_type, message = "skipped", "SKIPPED_NO_DATA", "no file matches"
    return StageRecord(
        stage.pipeline_name, stage.stage, stage.layer, status, stage.started_at, now, stage.source,
        error_type, message,
    )  # fmt: skip


def _with(
    run: RunRecord,
    stages: Mapping[str, StageRecord],
    ended_at: datetime | None = None,
    exit_code: int | None = None,
) -> RunRecord:
    return RunRecord(
        run.run_id, run.command, run.environment, run.started_at, ended_at, exit_code,
        run.versions, run.git_revision, tuple(stages.values()),
    )  # fmt: skip
