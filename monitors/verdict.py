"""The outcome of a command: what was loaded, built and found, and the exit code it comes to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from monitors.arrival.loader import Loaded
from monitors.errors import ExitCode
from monitors.health import Health
from monitors.results import CheckResult, Status, worst
from monitors.store.landing import Refusal
from monitors.store.postgres import Score


@dataclass(frozen=True, slots=True)
class FeedLoad:
    """What one feed brought in this run."""

    feed: str
    files: tuple[Loaded, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    """(file, why) of those that could not be loaded at all."""
    required: bool = True
    skipped: tuple[tuple[str, str], ...] = ()
    """(file, why) of those that are not whole yet and wait for a later run."""
    results: tuple[CheckResult, ...] = ()
    """What was found where the feed lands."""
    unreadable: frozenset[str] = frozenset()
    """Those of `failed` that the look had already found, and told, to be unreadable."""
    open_refusals: tuple[Refusal, ...] = ()
    """Deliveries, of this run or of any before, that were refused and that nothing has answered."""
    admission: CheckResult | None = None
    """The verdict on them; None when the feed was not asked."""

    @property
    def new(self) -> list[Loaded]:
        return [file for file in self.files if file.delivery is not None]

    @property
    def rows(self) -> int:
        return sum(file.delivery.rows for file in self.files if file.delivery)

    @property
    def dead_letters(self) -> int:
        return sum(file.delivery.dead_letters for file in self.files if file.delivery)

    @property
    def refused(self) -> list[Loaded]:
        return [file for file in self.new if file.delivery and file.delivery.admission == "refused"]

    @property
    def refused_before(self) -> list[Refusal]:
        now = {file.delivery.delivery_id for file in self.refused if file.delivery}
        return [each for each in self.open_refusals if each.delivery_id not in now]

    @property
    def is_absent(self) -> bool:
        """There was no file at all, new or old."""
        return not self.files and not self.failed

    @property
    def arrival(self) -> CheckResult | None:
        """Whether a required feed has come; None: it is optional, or nobody looked."""
        check_id = f"landing.{self.feed}.arrived"
        return next((each for each in self.results if each.check_id == check_id), None)

    @property
    def untold(self) -> list[tuple[str, str]]:
        """What failed, without what a red check of the landing place says."""
        is_told = any(each.is_red and each.check_id.endswith(".mount") for each in self.results)
        return [each for each in self.failed if not (is_told and each[0] in self.unreadable)]

    @property
    def has_come_unseen(self) -> bool:
        """Nobody looked where it lands: its files were named, or it may stay away."""
        return self.arrival is None and (bool(self.files) or not self.required)

    @property
    def stops(self) -> str | None:
        """Why nothing should be built on what is here; None: nothing required is red at landing."""
        if not self.required:
            return None
        red = next((each for each in self.results if each.is_red), None)
        return f"{red.check_id}: {red.message}" if red is not None else None

    @property
    def stopped_by(self) -> str:
        """The check that says so: what was not built counts there, and only there."""
        red = next((each for each in self.results if each.is_red), None)
        return red.check_id if red else f"landing.{self.feed}.arrived"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a command. `exit_code` is what a scheduler gets."""

    run_id: str
    exit_code: int = ExitCode.OK
    loads: tuple[FeedLoad, ...] = ()
    results: tuple[CheckResult, ...] = ()
    red_since: dict[tuple[str, str], tuple[datetime, str]] = field(default_factory=dict)
    alerts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """Checks that are valid and probably do not say what was meant: file, line, the right form."""
    build_exit_code: int | None = None
    build_skipped: str | None = None
    """Why nothing was built although a build was due."""
    not_expected: tuple[tuple[str, int], ...] = ()
    """(optional feed of which nothing has ever come, how many checks therefore cannot report)."""
    scanned: bool = False
    scores: tuple[Score, ...] = ()
    health: Health | None = None
    """Of the whole, after this run; None when nothing was judged."""
    report: str = ""
    """Where the report of this run is, or why there is none; empty when none was asked for."""

    @property
    def red(self) -> list[CheckResult]:
        """Red checks, the most severe first."""
        order = ["critical", "high", "medium", "low"]
        found = [result for result in self.results if result.is_red]
        return sorted(found, key=lambda each: (order.index(each.severity.value), each.status.rank))

    @property
    def status(self) -> Status:
        return worst(self.results)

    def plus(self, other: Verdict) -> Verdict:
        """Both outcomes as one; the worse exit code counts."""
        return replace(
            self,
            exit_code=max(self.exit_code, other.exit_code),
            loads=self.loads + other.loads,
            results=self.results + other.results,
            red_since={**self.red_since, **other.red_since},
            alerts=self.alerts + other.alerts,
            warnings=self.warnings + other.warnings,
            build_exit_code=self.build_exit_code
            if other.build_exit_code is None
            else other.build_exit_code,
            build_skipped=self.build_skipped or other.build_skipped,
            not_expected=self.not_expected + other.not_expected,
            scanned=self.scanned or other.scanned,
            scores=other.scores or self.scores,
            health=other.health or self.health,
            report=other.report or self.report,
        )
