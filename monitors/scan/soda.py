"""Soda checks: datasets side by side, each check for itself, every one with a verdict.

    definitions -> one Session per dataset -> queries -> values of the past -> verdicts, measured

Soda gives the language, the metrics and the judging; parsing check by check, running and retrying
the queries, and the history are ours (docs/decisions/0020).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from monitors.log import get_logger
from monitors.results import CheckResult
from monitors.scan.checks_files import Checks, Definition, Section
from monitors.scan.soda_verdicts import (
    judged,
    not_evaluated,
    nothing_to_measure,
    with_blindness,
    with_counts,
    with_evidence,
)
from monitors.store.history import MetricValue, PastValue
from monitors.warehouse.connection import Connection, connect
from monitors.warehouse.target import Target

if TYPE_CHECKING:
    from monitors.scan.soda_history import Asked, Past, Reader
    from monitors.scan.soda_queries import Queries
    from monitors.scan.soda_session import Prepared, Session

log = get_logger("Soda")


@dataclass(frozen=True, slots=True)
class Settings:
    """How checks run."""

    statement_timeout: timedelta = timedelta(minutes=10)
    parallel: int = 4
    """Datasets at once; each has a connection of its own."""
    times: Mapping[str, str] = field(default_factory=dict)
    """{dataset: the column that says when its rows are of}, where the check says nothing."""
    feeds: Mapping[str, str] = field(default_factory=dict)
    """{dataset: the feed whose newest delivery is its moment}, where the check says nothing."""
    moments: Mapping[str, datetime | None] = field(default_factory=dict)
    """{feed: the moment that its newest delivery speaks of, None when nothing has arrived}."""


@dataclass(frozen=True, slots=True)
class SodaOutcome:
    """What the checks said, in the order of the files, and what they measured on the way."""

    results: tuple[CheckResult, ...] = ()
    measured: tuple[MetricValue, ...] = ()


@dataclass
class _Report:
    """One dataset's part; notes are logged by the thread that knows the run."""

    results: list[tuple[Definition, CheckResult]] = field(default_factory=list)
    measured: list[MetricValue] = field(default_factory=list)
    notes: list[tuple[str, dict[str, str]]] = field(default_factory=list)


def run_checks(
    checks: Checks,
    target: Target,
    settings: Settings,
    *,
    history: Reader | None,
    moment: datetime,
    now: datetime,
) -> SodaOutcome:
    """Every check of the files, read-only and in UTC; never raises for a check.

    `moment` is what the data speak of where no feed says it; under it is remembered what was
    measured, and checks of change are held against what `history` knows from before it. `now` is
    the clock of freshness.
    """
    definitions = [_with_known_feed(each, settings) for each in checks.definitions]
    groups = _by_dataset([each for each in definitions if not each.problem], settings)
    open_connections = _Connections(target)
    known = [(each, not_evaluated(each, each.problem)) for each in definitions if each.problem]
    reports = [_Report(known)]
    if groups:
        from monitors.scan.soda_history import Past

        with ThreadPoolExecutor(max_workers=min(settings.parallel, len(groups))) as pool:
            try:
                waiting = [
                    pool.submit(
                        _dataset,
                        group,
                        checks.sections,
                        open_connections,
                        settings,
                        now,
                        Past(history, at or moment),
                    )
                    for at, group in groups
                ]
                reports += [each.result() for each in waiting]
            except BaseException:
                for each in waiting:
                    each.cancel()
                open_connections.cancel()
                raise
    for said, details in (note for report in reports for note in report.notes):
        log.warning(said, **details)
    order = {id(each): index for index, each in enumerate(definitions)}
    results = [pair for report in reports for pair in report.results]
    results.sort(key=lambda pair: order[id(pair[0])])
    measured = {
        (each.metric_id, each.data_timestamp): each
        for report in reports
        for each in report.measured
    }
    return SodaOutcome(tuple(result for _, result in results), tuple(measured.values()))


def _feed_of(definition: Definition, settings: Settings) -> str | None:
    return definition.attributes.get("feed") or settings.feeds.get(definition.dataset)


def _with_known_feed(definition: Definition, settings: Settings) -> Definition:
    feed = _feed_of(definition, settings)
    if feed is None or feed in settings.moments or definition.problem:
        return definition
    known = ", ".join(sorted(settings.moments)) or "none"
    said = f"{definition.where}: attribute `feed`: found `{feed}`, allowed is a feed: {known}"
    return replace(definition, problem=said)


def _by_dataset(
    definitions: Sequence[Definition], settings: Settings
) -> list[tuple[datetime | None, list[Definition]]]:
    """[(the moment of the feed, checks that share their queries)]."""
    groups: dict[tuple[Any, ...], tuple[datetime | None, list[Definition]]] = {}
    for each in definitions:
        alone = f"{each.path}:{each.header}" if each.kind == "each" else ""
        moment = settings.moments.get(_feed_of(each, settings) or "")
        groups.setdefault((each.dataset, alone, moment), (moment, []))[1].append(each)
    return list(groups.values())


class _Connections:
    """Opens connections for the threads, and stops what runs on them when a person says so."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.stopped = Event()
        self._open: list[Connection] = []
        self._lock = Lock()

    def open(self) -> Connection:
        connection = connect(self.target, autocommit=True, read_only=True)
        with self._lock:
            self._open = [each for each in self._open if not each.closed]
            self._open.append(connection)
        return connection

    def cancel(self) -> None:
        self.stopped.set()
        with self._lock:
            for each in self._open:
                if not each.closed:
                    each.cancel()


# -------------------------------------------------------------------- one dataset


def _dataset(
    definitions: Sequence[Definition],
    sections: Sequence[Section],
    connections: _Connections,
    settings: Settings,
    now: datetime,
    past: Past,
) -> _Report:
    """The checks of one dataset; whatever happens, each has a verdict."""
    from monitors.scan.soda_queries import Queries
    from monitors.scan.soda_session import Session

    report = _Report()
    queries: Queries | None = None
    try:
        session = Session(sections, now, past.moment)
        timeout = settings.statement_timeout
        queries = Queries(connections.open, session, timeout, connections.stopped)
        prepared = [each for definition in definitions for each in session.prepare(definition)]
        queries.run(list(session.queries()))
        asked = _asked(prepared, session, queries, settings, past, report)
        for each in prepared:
            known = asked.get(id(each))
            _report_on(each, known, queries, settings, past.moment, now, report)
    except Exception as error:  # a lost server, or a bug: it stays with this dataset
        done = {id(definition) for definition, _ in report.results}
        report.results += [
            (each, not_evaluated(each, " ".join(str(error).split())))
            for each in definitions
            if id(each) not in done
        ]
    finally:
        if queries is not None:
            queries.connection.close()
    return report


def _asked(
    prepared: Sequence[Prepared],
    session: Session,
    queries: Queries,
    settings: Settings,
    past: Past,
    report: _Report,
) -> dict[int, Asked]:
    """What the checks of change ask of the past, after what is lacking was computed."""
    from monitors.scan.soda_history import why_not_computable

    found: dict[int, Asked] = {}
    for each in prepared:
        for descriptor in each.check.historic_descriptors.values() if each.check else ():
            metric = each.metrics[0]
            found[id(each)] = asked = past.asked(each.of_table, metric, descriptor)
            lacking = [at for at in asked.lacking() if not past.is_bad(asked, at)]
            time = each.definition.attributes.get("time") or settings.times.get(asked.dataset)
            why = why_not_computable(metric, time)
            if lacking and why:
                asked.why_not_computed = why
            elif lacking:
                each.past = {at: session.up_to(each, str(time), at) for at in lacking}
    queries.run_within(session.past_queries())
    for each in prepared:
        if each.past:
            _take_computed(each, found[id(each)], queries, report)
    return found


def _take_computed(each: Prepared, asked: Asked, queries: Queries, report: _Report) -> None:
    """Values of moments at which there were rows; the others were before the dataset's time."""
    from monitors.scan.soda_history import newest_first, remembered

    for moment, (check, rows) in each.past.items():
        metric = next(iter(check.metrics.values()))
        why = queries.value_or_why(metric) or queries.value_or_why(rows)
        if why:
            asked.why_not_computed = f"a past day cannot be computed: {why}"
            continue
        value = remembered(asked.metric_id, asked.dataset, metric, moment, "recomputed")
        if value is not None and rows.value:
            report.measured.append(value)
            known = PastValue(moment, value.value, None, "recomputed")
            asked.values = newest_first([*asked.values, known])


def _report_on(
    each: Prepared,
    asked: Asked | None,
    queries: Queries,
    settings: Settings,
    moment: datetime,
    now: datetime,
    report: _Report,
) -> None:
    from monitors.scan.soda_history import metric_id, remembered

    definition = each.of_table
    result, why = with_counts(_verdict(each, definition, asked, queries, now), queries.one_row)
    if why:
        reason = {"check_id": result.check_id, "reason": why}
        report.notes.append(("a counts query failed", reason))
    result = with_blindness(with_evidence(result, queries.one_row), asked)
    if each.table is not None:
        result = replace(result, dataset=each.table, segment=each.table)
    if settings.moments.get(_feed_of(definition, settings) or ""):
        result = replace(result, data_timestamp=moment)
    report.results.append((each.definition, result))
    for metric in each.metrics:
        if not queries.why_undefined(metric):
            identity = metric_id(definition.dataset, metric)
            value = remembered(identity, definition.dataset, metric, moment)
            report.measured += [value] if value is not None else []


def _verdict(
    each: Prepared,
    definition: Definition,
    asked: Asked | None,
    queries: Queries,
    now: datetime,
) -> CheckResult:
    from monitors.scan.soda_judged import found_by

    if each.problem:
        return not_evaluated(definition, each.problem)
    why = next(filter(None, map(queries.value_or_why, each.metrics)), "")
    if why:
        return not_evaluated(definition, why)
    try:
        found = found_by(each.check, asked, now)
    except Exception as error:
        return not_evaluated(definition, " ".join(str(error).split()) or type(error).__name__)
    return nothing_to_measure(definition) if found is None else judged(definition, found)
