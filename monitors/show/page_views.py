"""What stands on each page, put together from the store: plain values, no markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from monitors.config_volumes import Volume
from monitors.health import health_of
from monitors.owners import Owner, of_incident
from monitors.show import page_charts as charts
from monitors.show.page_claims import Claimed, claimed
from monitors.show.page_counts import Counting, counting
from monitors.show.page_quarantine import QuarantineView, read_quarantine
from monitors.show.page_state import (
    Answer,
    DatasetRow,
    Grouped,
    Line,
    answer_of,
    grouped,
    layer_of,
    owner_of,
    rows_of,
    word_of,
)
from monitors.store.history import BadPeriod, History, Mute
from monitors.store.incidents import Event, Incident, IncidentCheck, Incidents
from monitors.store.pages import (
    WORDS,
    CheckHistory,
    CheckNow,
    FeedRun,
    Integrity,
    Pages,
    RunNow,
    Scan,
    SegmentVerdict,
)

RUNS = 15
SEGMENTS = 4
BUCKETS = {"day": 400, "hour": 24 * 14}
"""So many buckets a volume chart shows at most."""


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A check as a line of a dataset's page."""

    check: CheckNow
    word: str
    mute: Mute | None
    history: CheckHistory | None
    spark: charts.Spark | None
    said: Claimed


@dataclass(frozen=True, slots=True)
class MutedCheck:
    """A check that somebody muted, and its status now; `check` None: it did not report of late."""

    mute: Mute
    check: CheckNow | None
    word: str


@dataclass(frozen=True, slots=True)
class VolumeView:
    """The volume of one segment; the whole has the segment ''."""

    verdict: SegmentVerdict
    counting: Counting
    chart: charts.Chart | None
    every: str
    timezone: str
    latest: tuple[Any, ...]
    """The latest buckets, the newest first, as a table."""


@dataclass(frozen=True, slots=True)
class DatasetView:
    """Everything about one dataset."""

    row: DatasetRow
    checks: tuple[CheckRow, ...]
    related: tuple[CheckRow, ...]
    volumes: tuple[VolumeView, ...]
    more_segments: int
    periods: tuple[BadPeriod, ...]
    quarantine: tuple[QuarantineView, ...]
    integrity: tuple[Integrity, ...]
    incidents: tuple[Incident, ...]
    feed_runs: tuple[FeedRun, ...]
    feeds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IncidentView:
    """Everything about one incident; `message` is its neutral text, as alerts carry it."""

    incident: Incident
    checks: tuple[IncidentCheck, ...]
    events: tuple[Event, ...]
    said: Mapping[tuple[str, str], Claimed]
    """{(check_id, segment): what it says now} of those that reported of late."""

    @property
    def message(self) -> Mapping[str, Any]:
        return self.incident.message or {}


@dataclass
class Facts:
    """What every page is made from, read once; details are read when they are asked for."""

    pages: Pages
    history: History
    incidents: Incidents
    now: datetime
    days: int
    oldest_scan: timedelta | None = None
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    """`volumes:` of rampart.yml."""
    _quarantine: dict[str, QuarantineView] = field(default_factory=dict)

    @property
    def environment(self) -> str:
        return self.pages.environment

    @property
    def since(self) -> datetime:
        return self.now - timedelta(days=self.days)

    # ---------------------------------------------------------------- the whole

    @cached_property
    def is_there(self) -> bool:
        """Whether a store of this version exists; without one everything is empty."""
        return self.pages.is_there()

    @cached_property
    def checks(self) -> list[CheckNow]:
        return self.pages.checks() if self.is_there else []

    @cached_property
    def _checks_by_key(self) -> dict[tuple[str, str], CheckNow]:
        return {(check.check_id, check.segment): check for check in self.checks}

    @cached_property
    def mutes(self) -> dict[str, Mute]:
        return self.history.mutes(self.now) if self.is_there else {}

    @cached_property
    def scans(self) -> list[Scan]:
        """The newest first."""
        return self.pages.scans(charts.SCANS) if self.is_there else []

    @cached_property
    def groups(self) -> dict[str, Grouped]:
        if not self.is_there:
            return {}
        feeds: dict[str, list[str]] = {table: [feed] for feed, table in self._feeds.items()}
        for dataset, series in self._series.items():
            if series.feed is not None:
                feeds.setdefault(dataset, []).append(series.feed)
        return grouped(self.checks, feeds)

    @cached_property
    def rows(self) -> list[DatasetRow]:
        runs = [scan.run_id for scan in self.scans]
        strips = self.pages.strips(runs) if runs else []
        return rows_of(self.groups, self.mutes, strips, len(runs))

    @cached_property
    def checks_by_word(self) -> dict[str, list[CheckNow]]:
        found: dict[str, list[CheckNow]] = {}
        for check in self.checks:
            found.setdefault(word_of(check, self.mutes), []).append(check)
        return found

    @property
    def counts(self) -> dict[str, int]:
        """{word: how many checks}, worst first."""
        found = self.checks_by_word
        return {word: len(found[word]) for word in WORDS if word in found}

    @cached_property
    def answer(self) -> Answer:
        if not self.is_there:
            lines = (
                Line("The store is not there yet, or of an older version."),
                Line(
                    "Every command that writes brings it up to date: `rampart run`, or"
                    " `rampart db migrate`."
                ),
            )
            return Answer("unknown", "Nobody can say yet.", lines, ())
        facts = self.incidents.health_facts()
        # one that was muted since the last scan is red there, and no reason here
        red = tuple(each for each in facts.red if each.check_id not in self.mutes)
        health = health_of(replace(facts, red=red), self.now, self.oldest_scan)
        last, oldest = facts.last_scan_at, self.oldest_scan
        return answer_of(
            health,
            self.rows,
            self.checks_by_word,
            has_scanned=last is not None,
            is_late=last is not None and oldest is not None and self.now - last > oldest,
        )

    @cached_property
    def scores(self) -> dict[str, float]:
        """{layer: what its checks say on average, 0 to 100}, of layers with an opinion."""
        found: dict[str, list[float]] = {}
        for check in self.checks:
            if check.success_rate is not None:
                found.setdefault(check.layer, []).append(check.success_rate)
        return {
            layer: sum(found[layer]) / len(found[layer])
            for layer in ("bronze", "silver", "gold")
            if layer in found
        }

    @cached_property
    def recent_incidents(self) -> list[Incident]:
        """Active ones and those resolved within the window, the newest first."""
        if not self.is_there:
            return []
        return self.incidents.find(resolved_since=self.since, limit=500)

    @property
    def active_incidents(self) -> list[Incident]:
        severities = ("critical", "high", "medium", "low")
        active = [each for each in self.recent_incidents if each.is_active]
        return sorted(active, key=lambda each: severities.index(each.severity.value))

    @cached_property
    def muted(self) -> list[MutedCheck]:
        said: dict[str, CheckNow] = {}
        for check in self.checks:
            if check.check_id in self.mutes:
                before = said.get(check.check_id)
                if before is None or _rank(check) < _rank(before):
                    said[check.check_id] = check
        return [
            MutedCheck(mute, said.get(check_id), said[check_id].status if check_id in said else "")
            for check_id, mute in sorted(self.mutes.items())
        ]

    @cached_property
    def runs(self) -> list[RunNow]:
        return self.pages.runs(RUNS) if self.is_there else []

    @cached_property
    def _series(self) -> dict[str, Any]:
        return self.pages.volume_series()

    @cached_property
    def _feeds(self) -> dict[str, str]:
        return self.pages.feeds()

    @cached_property
    def _periods(self) -> list[BadPeriod]:
        return self.history.bad_periods()

    # ---------------------------------------------------------------- one dataset

    def dataset(self, name: str) -> DatasetView | None:
        """None when no check speaks of a dataset of that name."""
        group = self.groups.get(name)
        if group is None:
            return None
        ids = sorted({check.check_id for check in group.all})
        histories = self.pages.histories(ids, self.since, self.now)
        feeds = self.feeds_of(name, group)
        volumes, more = self._volumes(name)
        has_chains = any(check.metric_name == "integrity_score" for check in group.own)
        return DatasetView(
            row=self._row(name, group),
            checks=self._rows(group, group.own, histories),
            related=self._rows(group, group.related, histories),
            volumes=volumes,
            more_segments=more,
            periods=tuple(self._periods_of(name)) if volumes else (),
            quarantine=tuple(
                view for feed in feeds if (view := self.quarantine(feed)).is_worth_a_look
            ),
            integrity=tuple(self.pages.integrity(name)) if has_chains else (),
            incidents=tuple(self._incidents_of(name, set(ids))),
            feed_runs=tuple(self.pages.feed_runs(feeds, self.since, RUNS)),
            feeds=tuple(feeds),
        )

    def _row(self, name: str, group: Grouped) -> DatasetRow:
        """The line of one dataset, without those of all others unless they are there already."""
        if "rows" in self.__dict__:
            return self._rows_by_name[name]
        runs = [scan.run_id for scan in self.scans]
        datasets = {check.dataset for check in group.all}
        strips = self.pages.strips(runs, datasets) if runs else []
        (row,) = rows_of({name: group}, self.mutes, strips, len(runs))
        return row

    @cached_property
    def _rows_by_name(self) -> dict[str, DatasetRow]:
        return {row.name: row for row in self.rows}

    def feeds_of(self, name: str, group: Grouped) -> list[str]:
        """Feeds that a dataset is made from, as far as raw table, volume and check ids tell."""
        found = [feed for feed, table in self._feeds.items() if table == name]
        if name in self._series and self._series[name].feed in self._feeds:
            found.append(self._series[name].feed)
        named = (check.check_id.split(".", 1)[0] for check in group.all)
        found += [feed for feed in named if feed in self._feeds]
        return sorted(set(found))

    def quarantine(self, feed: str) -> QuarantineView:
        if feed not in self._quarantine:
            self._quarantine[feed] = read_quarantine(
                self.pages, feed, self.since, self.now, self._rate_limit(feed)
            )
        return self._quarantine[feed]

    def _rate_limit(self, feed: str) -> float | None:
        """What its check of the quarantine rate allows."""
        wanted = f"{feed}.quarantine_rate"
        limits = (each.expected_max for each in self.checks if each.check_id == wanted)
        return next(limits, None)

    def _rows(
        self,
        group: Grouped,
        checks: Sequence[CheckNow],
        histories: Mapping[tuple[str, str], CheckHistory],
    ) -> tuple[CheckRow, ...]:
        rows = []
        for check in checks:
            history = histories.get((check.check_id, check.segment))
            drawn = charts.spark(history, self.since, self.now) if history else None
            word = word_of(check, self.mutes)
            said = claimed(check, word, group.because_of(check))
            mute = self.mutes.get(check.check_id)
            rows.append(CheckRow(check, word, mute, history, drawn, said))
        return tuple(sorted(rows, key=lambda row: (WORDS.index(row.word), row.check.check_id)))

    def _volumes(self, name: str) -> tuple[tuple[VolumeView, ...], int]:
        series = self._series.get(name)
        if series is None:
            return (), 0
        verdicts = self.pages.segment_verdicts(name)
        shown = verdicts[:SEGMENTS]
        buckets = self.pages.buckets(
            name, [each.segment for each in shown], self.since, BUCKETS[series.every]
        )
        views = []
        for verdict in shown:
            mine = [bucket for bucket in buckets if bucket.segment == verdict.segment]
            periods = [
                period
                for period in self._periods_of(name)
                if period.segment in (None, verdict.segment)
            ]
            said = counting(
                series,
                self.volumes.get(name),
                layer_of(self.groups[name].own),
                is_raw=name in self._feeds.values(),
                segment=verdict.segment,
            )
            chart = charts.volume(mine, series.every, periods, said.label)
            latest = tuple(reversed(mine[-14:]))
            views.append(VolumeView(verdict, said, chart, series.every, series.timezone, latest))
        return tuple(views), len(verdicts) - len(shown)

    def _periods_of(self, name: str) -> list[BadPeriod]:
        return [period for period in self._periods if period.dataset in (None, name)]

    def _incidents_of(self, name: str, check_ids: set[str]) -> list[Incident]:
        return [
            incident
            for incident in self.recent_incidents
            if incident.dataset == name
            or any(check_id in check_ids for check_id, _ in (*incident.red, *incident.recovered))
        ]

    # ---------------------------------------------------------------- one incident

    def owner_of(self, incident: Incident) -> Owner | None:
        """Of its leading check or of its dataset: the same as stands at the dataset."""
        group = self.groups.get(incident.dataset)
        check = self._checks_by_key.get((incident.lead_check_id, incident.lead_segment))
        lead = owner_of(check) if check else None
        if lead is None and incident.owner:
            lead = Owner(incident.owner)
        return of_incident(lead, group.owner if group else None)

    def incident(self, incident_id: int) -> IncidentView | None:
        """None when there is none of that number in this environment."""
        found = self.incidents.get(incident_id) if self.is_there else None
        if found is None:
            return None
        checks = tuple(self.incidents.checks(incident_id))
        said = {
            (each.check_id, each.segment): claimed(now, word_of(now, self.mutes))
            for each in checks
            if (now := self._checks_by_key.get((each.check_id, each.segment)))
        }
        return IncidentView(found, checks, tuple(self.incidents.events(incident_id)), said)


def _rank(check: CheckNow) -> int:
    return WORDS.index(check.status)
