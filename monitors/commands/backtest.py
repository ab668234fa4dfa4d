"""The composition of `rampart backtest`: stored histories, replayed by the checks of today."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from itertools import groupby

import numpy as np

from monitors import log as logs
from monitors.commands.runner import Runner
from monitors.config import FILE_NAME
from monitors.config_volumes import Volume
from monitors.errors import UsageError
from monitors.scan import volume
from monitors.scan.backtest import Backtest, Check, Settings, backtest
from monitors.scan.backtest import History as ScanHistory
from monitors.scan.backtest_checks import (
    JudgeAll,
    OwnBoundsCheck,
    ThresholdCheck,
    VolumeCheck,
    history_of,
)
from monitors.scan.backtest_report import NO_BOUNDS, NO_HISTORY, UNREADABLE, Report
from monitors.scan.bounds import Bounds, parse_bounds
from monitors.scan.checks_files import Definition, find_files, read_checks
from monitors.scan.threshold_diff import checks_diff, sensitivity_diff
from monitors.scan.volumes import series_of
from monitors.store.history import EVER, BadPeriod, History, StoredSeries
from monitors.store.migrate import migrate
from monitors.store.volumes import Volumes
from monitors.warehouse.connection import connect

log = logs.get_logger("Backtest")

VERDICTS = "monitoring.volume_verdicts"


@dataclass
class _Found:
    """What the store and the files hold."""

    checks: list[VolumeCheck | ThresholdCheck | OwnBoundsCheck] = field(default_factory=list)
    definitions: dict[str, Definition] = field(default_factory=dict)
    suites: dict[str, str] = field(default_factory=dict)
    """{check_id: suite}."""
    not_replayed: dict[str, str] = field(default_factory=dict)
    """{check_id: why}."""


class Backtester(Runner):
    """Replay checks: configure, choose, look at the report. Writes nothing."""

    def backtest(
        self,
        select: Sequence[str] = (),
        settings: Settings | None = None,
        *,
        threshold: str | None = None,
    ) -> Report:
        """Replay the chosen checks, or all, over what is stored of them.

        `select`: check ids, suites or datasets. `threshold`: another one for the only check chosen.
        Raises UsageError when there is no such check, or no history at all.
        """
        settings = settings or Settings()
        found = self._read()
        chosen, without = _selected(found, select)
        if not chosen:
            environment = f"in environment `{self.config.environment}`"
            if select and NO_HISTORY not in without.values():
                whys = "; ".join(f"{name}: {why}" for name, why in without.items())
                raise UsageError(f"nothing to replay {environment}: {whys}")
            names = f" of {', '.join(without)}" if select else ""
            raise UsageError(
                f"no history{names} {environment} yet:"
                " run `rampart scan` after each load, it keeps what it measures"
            )
        if threshold is not None:
            chosen = [_with_threshold(chosen, threshold)]
        with logs.stage(log, "backtest", checks=len(chosen)):
            backtests = [backtest(each, settings) for each in chosen]
        return Report(
            environment=self.config.environment,
            settings=settings,
            backtests=backtests,
            not_replayed=without,
            diffs=self._diffs(backtests, found.definitions),
        )

    # ---------------------------------------------------------------- what there is

    def _read(self) -> _Found:
        files = find_files(self.config.root, self.config.scan.checks)
        definitions = {each.check_id: each for each in read_checks(files).definitions}
        with connect(self.target) as connection:
            migrate(connection)
            connection.commit()
            history = History(connection, self.config.environment)
            volumes = Volumes(connection, self.config.environment)
            bad = history.bad_periods()
            found = _Found(definitions=definitions)
            readers = _readers(definitions.values(), self.config.volumes)
            for dataset, settings in self.config.volumes.items():
                check = _volume_check(volumes, dataset, settings, bad, readers.get(dataset, ()))
                found.suites[check.check_id] = "volume"
                if check.series:
                    found.checks.append(check)
                else:
                    found.not_replayed[check.check_id] = NO_HISTORY
            stored = history.verdict_series()
        reading = {name for names in readers.values() for name in names}
        for check_id, group in groupby(stored, key=lambda each: each.check_id):
            series = list(group)
            if check_id in reading:
                continue  # it says what its volume says
            found.suites[check_id] = series[0].suite_name
            definition = definitions.get(check_id)
            bounds = _bounds_of(definition, series[-1])
            if definition is not None and _has_own_bounds(definition):
                found.checks.append(_own_bounds_check(check_id, series, bad))
            elif bounds is None:
                found.not_replayed[check_id] = NO_BOUNDS
            else:
                found.checks.append(_threshold_check(check_id, series, bounds, bad))
        for check_id, definition in definitions.items():
            if check_id not in found.suites and check_id not in reading:
                found.suites[check_id] = definition.suite
                found.not_replayed[check_id] = UNREADABLE if definition.problem else NO_HISTORY
        return found

    # ---------------------------------------------------------------- what to change

    def _diffs(
        self, backtests: Iterable[Backtest], definitions: Mapping[str, Definition]
    ) -> dict[str, str]:
        """{check_id: the recommended change of the file}, where it can be written as one."""
        root = self.config.root
        diffs = {}
        for each in backtests:
            check, then = each.check, each.recommendation.then
            if then is None:
                continue
            diff = None
            if isinstance(check, VolumeCheck):
                diff = sensitivity_diff(root / FILE_NAME, check.dataset, then.strictness, root)
            elif isinstance(check, ThresholdCheck) and check.check_id in definitions:
                bounds = check.bounds_at(then.strictness)
                diff = checks_diff(definitions[check.check_id], bounds, root)
            if diff:
                diffs[check.check_id] = diff
        return diffs


# -------------------------------------------------------------------- checks from stored rows


def judge_of(settings: Volume) -> JudgeAll:
    """How a scan judges the buckets of a volume."""

    def judge(
        series: volume.Series, first: int, end: int, sensitivity: float
    ) -> Sequence[volume.Judgement]:
        return volume.judge_all(series, first, end, sensitivity, settings.method)

    return judge


def _volume_check(
    volumes: Volumes,
    dataset: str,
    settings: Volume,
    bad: Sequence[BadPeriod],
    read_by: Sequence[str],
) -> VolumeCheck:
    ever = datetime.max.replace(tzinfo=timezone.utc)
    stored = [each for each in volumes.series(dataset, EVER, ever) if each.counts]
    of_dataset = [each for each in bad if each.dataset in (None, dataset)]
    return VolumeCheck(
        dataset=dataset,
        segments=[each.segment for each in stored],
        series=[
            series_of(each.starts, each.counts, settings, of_dataset, each.segment)
            for each in stored
        ],
        strictness=settings.sensitivity,
        judge=judge_of(settings),
        read_by=tuple(read_by),
    )


def _threshold_check(
    check_id: str, stored: Sequence[StoredSeries], bounds: Bounds, bad: Sequence[BadPeriod]
) -> ThresholdCheck:
    latest = stored[-1]
    return ThresholdCheck(
        check_id=check_id,
        dataset=latest.dataset,
        metric=latest.metric_name,
        bounds=bounds,
        histories=[_history(each, bad) for each in stored],
    )


def _own_bounds_check(
    check_id: str, stored: Sequence[StoredSeries], bad: Sequence[BadPeriod]
) -> OwnBoundsCheck:
    return OwnBoundsCheck(
        check_id=check_id,
        dataset=stored[-1].dataset,
        histories=[_history(each, bad) for each in stored],
        lows=[np.array(each.lows, dtype=float) for each in stored],  # None becomes NaN
        highs=[np.array(each.highs, dtype=float) for each in stored],
    )


def _has_own_bounds(definition: Definition) -> bool:
    """What the file says is then no bound of the value that is stored."""
    return "evidence" in definition.attributes or definition.needs_history


def _history(stored: StoredSeries, bad: Sequence[BadPeriod]) -> ScanHistory:
    return history_of(
        stored.segment,
        np.array([_utc(moment) for moment in stored.moments], dtype="datetime64[s]"),
        np.array(stored.values, dtype=float),
        [
            (np.datetime64(_utc(period.starts_at)), np.datetime64(_utc(period.ends_at)))
            for period in bad
            if period.dataset in (None, stored.dataset) and period.segment in (None, stored.segment)
        ],
    )


def _bounds_of(definition: Definition | None, latest: StoredSeries) -> Bounds | None:
    """As the file says them today; else as the latest verdict had them."""
    stated = parse_bounds(definition.text) if definition is not None else None
    if stated is not None or (latest.expected_min is None and latest.expected_max is None):
        return stated
    return Bounds(latest.expected_min, latest.expected_max)


def _readers(
    definitions: Iterable[Definition], datasets: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    """{dataset under `volumes:`: the SodaCL checks that read what was said of it}."""
    found: dict[str, tuple[str, ...]] = {}
    definitions = list(definitions)
    reading = [each for each in definitions if each.dataset == VERDICTS]
    for definition in reading:
        lines = definition.path.read_text(encoding="utf-8").splitlines()
        after = [
            each.line
            for each in definitions
            if each.path == definition.path and each.line > definition.line
        ]
        text = "\n".join(lines[definition.line - 1 : min(after, default=len(lines) + 1) - 1])
        for dataset in datasets:
            if f"'{dataset}'" in text:
                found[dataset] = (*found.get(dataset, ()), definition.check_id)
    return found


# -------------------------------------------------------------------- what is asked


def _selected(found: _Found, select: Sequence[str]) -> tuple[list[Check], dict[str, str]]:
    """(checks to replay, those that cannot be, and why) that are named; all without a name."""
    if not select:
        return list(found.checks), found.not_replayed
    datasets = {each.check_id: each.dataset for each in found.checks}
    datasets |= {each.check_id: each.dataset for each in found.definitions.values()}
    readers = {each.check_id: each.read_by for each in found.checks}
    names = {
        word: {
            check_id
            for check_id, suite in found.suites.items()
            if word in (check_id, suite, datasets.get(check_id), *readers.get(check_id, ()))
            or check_id == f"volume.{word}"
            or check_id.startswith(f"{word}.")
        }
        for word in select
    }
    for word, matching in names.items():
        if not matching:
            near = difflib.get_close_matches(word, found.suites, n=3, cutoff=0.5)
            known = ", ".join(near or sorted(set(found.suites.values()))) or "none"
            kind = "near are" if near else "suites are"
            raise UsageError(f"`{word}`: no check of this id, suite or dataset; {kind}: {known}")
    wanted = set().union(*names.values())
    return (
        [each for each in found.checks if each.check_id in wanted],
        {name: why for name, why in found.not_replayed.items() if name in wanted},
    )


def _with_threshold(chosen: Sequence[Check], threshold: str) -> Check:
    """The only check chosen, with another threshold. Raises UsageError."""
    if len(chosen) != 1:
        raise UsageError(f"--threshold: of one check only, {len(chosen)} are chosen; name it")
    check = chosen[0]
    if isinstance(check, VolumeCheck):
        try:
            sensitivity = float(threshold)
        except ValueError:
            sensitivity = 0.0
        if not 0 < sensitivity <= 10:
            raise UsageError(
                f"--threshold: found `{threshold}`, allowed for a volume is its sensitivity,"
                " a number above 0 and up to 10"
            )
        return replace(check, strictness=sensitivity)
    if not isinstance(check, ThresholdCheck):
        raise UsageError(
            f"--threshold: {check.check_id} has no threshold to try: {check.why_no_recommendation}"
        )
    bounds = parse_bounds(threshold)
    if bounds is None:
        raise UsageError(
            f"--threshold: found `{threshold}`, allowed are bounds as SodaCL writes them,"
            " like `<= 0.05` or `between 10 and 20`"
        )
    return replace(check, bounds=bounds)


def _utc(moment: datetime) -> datetime:
    """numpy knows no time zones."""
    return moment.astimezone(timezone.utc).replace(tzinfo=None)
