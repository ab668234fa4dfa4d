"""What is gathered for the text of an incident, read-only and in little time.

Everything here is looked at on a connection of its own, each statement with a limit: what cannot be
read is named in the text, and neither stops the alert nor the run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from monitors import log as logs
from monitors.alert.explain import likeliest
from monitors.alert.facts import Cause, Facts, Finding
from monitors.alert.places import Places
from monitors.alert.topics import Topic, topic_of
from monitors.commands.runner import Runner
from monitors.lineage import Lineage, meta_of, relation_of
from monitors.mask import HIDDEN, mask_row
from monitors.results import CheckResult, number_text
from monitors.store.decisions import Decisions
from monitors.store.evidence import Arrived, Evidence
from monitors.store.incidents import Change
from monitors.warehouse.connection import Connection, connect

log = logs.get_logger("Alerts")

Value = TypeVar("Value")

STATEMENT_TIMEOUT = 3_000
"""Milliseconds for one look."""
SAMPLES = 3
ODD = 0.5
"""A delivery of which the records differ from the usual ones by this share is odd."""
_OF_LATEST_LOAD = (Topic.QUARANTINE, Topic.VALIDATION)
MANIFESTS = (Path("target") / "last_build" / "manifest.json", Path("target") / "manifest.json")


def places_of(runner: Runner) -> Places:
    """The lineage of the last build and the feeds above it; little when nothing was built."""
    feeds = {name: feed.table for name, feed in runner.config.feeds.items()}
    return Places(Lineage(read_manifest(runner.config.root)), feeds)


def read_manifest(root: Path) -> dict[str, Any]:
    for path in MANIFESTS:
        try:
            found: dict[str, Any] = json.loads((root / path).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return found
    return {}


@dataclass
class Investigation:
    """Gathers facts for the incidents of one run; opens its connection when it is first used."""

    runner: Runner
    places: Places
    results: Collection[CheckResult]
    _unreadable: list[str] = field(default_factory=list)

    @contextmanager
    def open(self) -> Iterator[Investigation]:
        try:
            yield self
        finally:
            if "connection" in self.__dict__:
                self.connection.close()

    @cached_property
    def connection(self) -> Connection:
        connection = connect(self.runner.target, autocommit=True, read_only=True)
        connection.execute(f"set statement_timeout = {STATEMENT_TIMEOUT}")
        return connection

    def facts(self, change: Change, lead: CheckResult, now: datetime) -> Facts:
        """Everything that the text of this incident may say; little when nothing can be read."""
        self._unreadable = []
        try:
            return self._gather(change, lead, now)
        except (
            Exception
        ) as error:  # an alert that says little is better than a verdict that is lost
            said = f"{type(error).__name__}: {' '.join(str(error).split())}"
            log.warning("evidence cannot be read", what="everything", reason=said)
            return Facts(since=(now, self.runner.run_id), unreadable=(logs.masked(said),))

    def _gather(self, change: Change, lead: CheckResult, now: datetime) -> Facts:
        streak = self._look("history", lambda: self._evidence.streak(*_key(lead)))
        last_green = (
            (streak.green_at, streak.green_run)
            if streak and streak.green_at and streak.green_run
            else None
        )
        topic = topic_of(lead)
        findings, arrived = self._arrival(change, lead, last_green)
        findings += self._faults(topic)
        findings += self._code(lead, change, last_green)
        findings += self._versions(last_green)
        findings += self._other_hands(lead, last_green)
        samples, note = self._samples(change, lead, findings, arrived)
        return Facts(
            since=(streak.red_at, streak.red_run)
            if streak and streak.red_at and streak.red_run
            else (now, self.runner.run_id),
            last_green=last_green,
            findings=findings,
            samples=samples,
            samples_note=note,
            downstream=self._readers(change, lead),
            statement=self._statement(change, lead, findings),
            also_red=[each for each in change.red if _key(each) != _key(lead)],
            blocked=self._blocked(change, lead),
            unreadable=tuple(self._unreadable),
        )

    # ---------------------------------------------------------------- what came

    def _arrival(
        self, change: Change, lead: CheckResult, last_green: tuple[datetime, str] | None
    ) -> tuple[list[Finding], list[Arrived]]:
        """What its feeds brought since it was green: files, columns, letters, broken rules."""
        findings: list[Finding] = []
        arrived: list[Arrived] = []
        for feed in self._feeds(change):
            latest = self._list(feed, partial(self._evidence.latest_deliveries, feed))
            since = latest
            if last_green is not None:
                look = partial(self._evidence.deliveries_since, feed, last_green[0])
                since = self._list(feed, look)
            findings += self._deliveries(feed, since, latest, last_green is not None)
            # rates speak of the latest load, whenever that was; what stands in the marts by itself
            # was there when they were green
            judged = since or (latest if topic_of(lead) in _OF_LATEST_LOAD else [])
            findings += self._contents(feed, judged)
            if feed == change.feed:
                arrived = judged
        return findings, arrived

    def _deliveries(
        self, feed: str, since: list[Arrived], latest: list[Arrived], was_green: bool
    ) -> list[Finding]:
        findings = [
            Finding(Cause.REFUSED, f"{each.name} of {feed} was refused: {each.why}", each.records)
            for each in since
            if each.admission == "refused"
        ]
        taken = [each for each in since if each.admission != "refused"]
        for each in taken[:SAMPLES]:
            look = partial(self._evidence.usual_records, feed, each.kind, each.delivery_id)
            usual = self._look(feed, look)
            if usual and abs(each.records - usual) / usual >= ODD:
                change = (each.records - usual) / usual
                text = (
                    f"{each.name} of {feed} brought {each.records:,} records,"
                    f" usual are {number_text(round(usual))} ({change:+.0%})"
                )
                findings.append(Finding(Cause.ODD_DELIVERY, text, each.records))
        if not taken and not findings:
            newest = latest[0] if latest else None
            said = (
                f"the last is {newest.name} of {newest.loaded_at:%Y-%m-%d %H:%M} UTC"
                if newest
                else "nothing ever did"
            )
            findings.append(Finding(Cause.NO_DELIVERY, f"nothing new came of {feed}; {said}"))
        elif taken and was_green:
            rows = sum(each.rows for each in taken)
            named = (
                taken[0].name if len(taken) == 1 else f"{taken[0].name} and {len(taken) - 1} more"
            )
            findings.append(Finding(Cause.DELIVERY, f"{feed} brought {named}, {rows:,} rows", rows))
        return findings

    def _contents(self, feed: str, judged: list[Arrived]) -> list[Finding]:
        ids = [each.delivery_id for each in judged]
        names = {each.delivery_id: each.name for each in judged}
        if not ids:
            return []
        findings = []
        for column, change, name in self._list("drift", partial(self._evidence.drift, ids))[:20]:
            if change == "missing":
                text = f"column {column} did not come in {name}"
                findings.append(Finding(Cause.LOST_COLUMN, text))
            else:
                text = f"column {column} came for the first time in {name}"
                findings.append(Finding(Cause.NEW_COLUMN, text))
        if any(each.dead_letters for each in judged):
            for reason, records, name in self._list(
                "dead letters", partial(self._evidence.dead_letters, ids)
            ):
                text = f"{records:,} records of {name} cannot be read: {reason}"
                findings.append(Finding(Cause.DEAD_LETTERS, text, records))
        if "violations" in self._evidence.relations:
            for broken in self._list("rules", partial(self._evidence.rules, feed, ids)):
                where = names.get(broken.delivery_id, f"delivery {broken.delivery_id}")
                rows = "1 row breaks" if broken.rows == 1 else f"{broken.rows:,} rows break"
                text = f"{rows} {broken.rule} in {where}"
                findings.append(Finding(Cause.RULE, text, broken.rows))
        return findings

    def _feeds(self, change: Change) -> list[str]:
        """The feed it is about, or those that it is made from, at most three."""
        if change.feed:
            return [change.feed]
        return sorted(self.places.feeds_above(change.place))[:3]

    # ---------------------------------------------------------------- faults and code

    def _faults(self, topic: Topic) -> list[Finding]:
        if topic is Topic.CONSERVATION and "conservation" in self._evidence.relations:
            found = self._list("conservation", self._evidence.unaccounted)
            return [
                Finding(
                    Cause.FAULT,
                    f"{abs(rows):,} {grain}{'' if abs(rows) == 1 else 's'} of {name} ({feed})"
                    f" {'lost' if rows > 0 else 'counted twice'}",
                    int(abs(rows)),
                )
                for feed, name, grain, rows in found
            ]
        if topic is Topic.SCD and "scd2_faults" in self._evidence.relations:
            faults = self._list("scd2 faults", self._evidence.scd2_faults)
            if not faults:
                return []
            named = ", ".join(f"{fault} ({count:,})" for fault, count in faults)
            return [Finding(Cause.FAULT, f"versions: {named}", sum(n for _, n in faults))]
        return []

    def _code(
        self, lead: CheckResult, change: Change, last_green: tuple[datetime, str] | None
    ) -> list[Finding]:
        """Models at this place and upstream whose file is another one than when it was green."""
        if last_green is None:
            return []
        lineage = self.places.lineage
        node = self._node(lead, change)
        if node is None:
            return []
        chain = [node, *lineage.ancestors(node)]
        models = {
            each: f"dbt.model.{lineage.nodes[each]['name']}"
            for each in chain
            if lineage.nodes.get(each, {}).get("resource_type") == "model"
        }
        look = partial(self._evidence.code_before, models.values(), last_green[0])
        before = self._look("code", look) or {}
        return [
            Finding(
                Cause.CODE,
                f"the code of {lineage.nodes[each]['name']} changed since the last green run",
            )
            for each in models
            if each in before and before[each] != lineage.checksum(each)
        ]

    def _versions(self, last_green: tuple[datetime, str] | None) -> list[Finding]:
        if last_green is None:
            return []
        look = partial(self._evidence.versions, last_green[1])
        versions, git = self._look("versions", look) or ({}, None)
        ours = self.runner.run_context()
        found = [
            Finding(Cause.VERSION, f"{name} {versions[name]} -> {ours.versions[name]}")
            for name in sorted(versions)
            if name in ours.versions and ours.versions[name] != versions[name]
        ]
        if git and ours.git_revision and git != ours.git_revision:
            text = f"git revision {git[:10]} -> {ours.git_revision[:10]}"
            found.append(Finding(Cause.VERSION, text))
        return found

    def _other_hands(
        self, lead: CheckResult, last_green: tuple[datetime, str] | None
    ) -> list[Finding]:
        if last_green is None:
            return []
        look = partial(self._evidence.was_idle_since, last_green[0])
        if not self._look("stages", look):
            return []
        said = f"nothing was loaded or built since it was green: other hands were at {lead.dataset}"
        return [Finding(Cause.OTHER_HANDS, f"{said}, or time alone")]

    # ---------------------------------------------------------------- samples

    def _samples(
        self,
        change: Change,
        lead: CheckResult,
        findings: Sequence[Finding],
        arrived: list[Arrived],
    ) -> tuple[list[dict[str, Any]], str]:
        setting = self.runner.config.alerts.samples
        if setting == "off":
            return [], ""
        rows = self._list("sample rows", partial(self._rows, change, lead, findings, arrived))
        if not rows:
            return [], ""
        personal = self._personal(lead, change)
        shown = [mask_row(row, personal) for row in rows]
        if setting == "masked":
            shown = [_masked(row) for row in shown]
        hidden = sorted({name for row in rows for name in row if name in personal})
        note = f"Hidden: {', '.join(hidden)}." if hidden else ""
        return shown, note

    def _rows(
        self,
        change: Change,
        lead: CheckResult,
        findings: Sequence[Finding],
        arrived: list[Arrived],
    ) -> list[dict[str, Any]]:
        if (query := self._compiled(lead)) is not None:
            return self._evidence.sample(query, SAMPLES)
        if topic_of(lead) is Topic.SCD and "scd2_faults" in self._evidence.relations:
            relation = self._evidence.relations["scd2_faults"]
            return self._evidence.sample(f"select * from {relation}", SAMPLES)
        named = likeliest(topic_of(lead), findings)
        if change.feed is None or named is None or named.cause is not Cause.RULE or not arrived:
            return []
        rule = re.split(r" breaks? ", named.text, maxsplit=1)[1].split(" in ", 1)[0]
        ids = [each.delivery_id for each in arrived]
        table = self.runner.config.feed(change.feed).table
        ledger = Decisions(self.connection, "quarantine")
        found = [
            ledger.raw_row(table, delivery, row)
            for delivery, row in self._evidence.rows_that_break(change.feed, ids, rule, SAMPLES)
        ]
        return [row for row in found if row is not None]

    def _personal(self, lead: CheckResult, change: Change) -> set[str]:
        """Columns that any feed or model of this lineage tags as personal, under any of them."""
        lineage = self.places.lineage
        node = self._node(lead, change)
        tagged = {
            name
            for each in ([node, *lineage.ancestors(node)] if node else lineage.nodes)
            for name, column in (lineage.nodes.get(each, {}).get("columns") or {}).items()
            if meta_of(column).get("personal")
        }
        of_feeds = {name for feed in self.runner.config.feeds.values() for name in feed.personal}
        return tagged | of_feeds

    # ---------------------------------------------------------------- lineage

    def _readers(self, change: Change, lead: CheckResult) -> list[Any]:
        lineage = self.places.lineage
        node = self._node(lead, change)
        if node is not None:
            return list(lineage.exposures_of(node))
        if change.feed:
            return list(lineage.exposures_of_relation(self.runner.config.feed(change.feed).table))
        return []

    def _node(self, lead: CheckResult, change: Change) -> str | None:
        """The node it stands at; of a feed the source that it fills."""
        lineage = self.places.lineage
        if change.place in lineage.nodes:
            return change.place
        if change.feed:
            return lineage.node_of(self.runner.config.feed(change.feed).table)
        return lineage.node_of(lead.dataset)

    def _blocked(self, change: Change, lead: CheckResult) -> int:
        lineage = self.places.lineage
        named = {str(each.attributes.get("unique_id")) for each in (lead, *change.red)}
        if change.place in lineage.nodes:
            named.add(change.place)
        return sum(1 for each in self.results if each.blocked_by in named)

    # ---------------------------------------------------------------- what to run

    def _statement(self, change: Change, lead: CheckResult, findings: Sequence[Finding]) -> str:
        topic, feed = topic_of(lead), change.feed
        relations = self._evidence.relations
        if (query := self._compiled(lead)) is not None:
            return query.strip()
        if topic is Topic.SCD and "scd2_faults" in relations:
            return f"select * from {relations['scd2_faults']};"
        if topic is Topic.CONSERVATION and "conservation" in relations:
            return f"select * from {relations['conservation']} where unaccounted <> 0;"
        if topic is Topic.QUARANTINE and feed and "ledger" in relations:
            return (
                f"select rules, file_name, count(*)\nfrom {relations['ledger']}\n"
                f"where feed = '{feed}' and decision = 'open'\n"
                "group by rules, file_name\norder by count(*) desc;"
            )
        own = lead.attributes.get("query")
        if own:
            return str(own).strip()
        if topic in (Topic.MODEL, Topic.JOB):
            return (
                "select pipeline_name, stage, status, started_at, error_message\n"
                f"from monitoring.pipeline_logs\nwhere run_id = '{self.runner.run_id}'\n"
                "order by log_id;"
            )
        if feed and topic in (Topic.LANDING, Topic.VOLUME, Topic.FRESHNESS, Topic.MISSING):
            return (
                "select name, extracted_at, records, dead_letters, admission, why, loaded_at\n"
                f"from monitoring.deliveries\nwhere feed = '{feed}'\n"
                "order by delivery_id desc\nlimit 20;"
            )
        return (
            "select execution_timestamp, status, message\nfrom monitoring.data_quality_metrics\n"
            f"where check_id = '{lead.check_id.replace(chr(39), chr(39) * 2)}'\n"
            "order by execution_timestamp desc\nlimit 20;"
        )

    def _compiled(self, lead: CheckResult) -> str | None:
        """The query of a dbt test, as it ran, or the table in which dbt stored what it found."""
        stored = lead.attributes.get("failures_relation")
        if stored:
            return f"select * from {stored}"
        path = lead.attributes.get("failures_sql")
        if path:
            with suppress(OSError, ValueError):
                return (self.runner.config.root / str(path)).read_text(encoding="utf-8")
        unique_id = str(lead.attributes.get("unique_id") or "")
        if not unique_id.startswith("test."):
            return None
        found = self.places.lineage.nodes.get(unique_id, {}).get("compiled_code")
        return str(found) if found else None

    # ---------------------------------------------------------------- the pieces

    @cached_property
    def _evidence(self) -> Evidence:
        lineage = self.places.lineage
        wanted = ("violations", "ledger", "conservation", "scd2_faults")
        relations = {
            str(node["name"]): relation_of(node)
            for node in lineage.nodes.values()
            if node.get("resource_type") == "model" and node.get("name") in wanted
        }
        return Evidence(self.connection, self.runner.config.environment, relations)

    def _look(self, what: str, look: Callable[[], Value]) -> Value | None:
        """What there is to see, or None and a line that says so."""
        try:
            return look()
        except psycopg.Error as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            log.warning("evidence cannot be read", what=what, reason=said)
            self._unreadable.append(f"{what}: {said}")
            return None

    def _list(self, what: str, look: Callable[[], list[Value]]) -> list[Value]:
        return self._look(what, look) or []


def _key(result: CheckResult) -> tuple[str, str]:
    return result.check_id, result.segment or ""


def _masked(row: dict[str, Any]) -> dict[str, Any]:
    """Every value hidden, but for what is empty and where the row stands."""
    return {
        name: value if value is None or name in ("_delivery_id", "_source_row") else HIDDEN
        for name, value in row.items()
    }
