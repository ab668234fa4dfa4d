"""What Rampart would check on a mart it has never seen: checks, a volume entry, what was guessed.

Pure: what the project says and what was measured in, proposals out. A claim that holds today is
proposed as a check; what a person has to judge first is a suggestion, commented out in the file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from monitors.results import Severity
from monitors.scan.propose_columns import Clock, History, guessed_key, is_key_test
from monitors.scan.propose_facts import (
    PLAIN,
    Check,
    Facts,
    MartProposal,
    VolumeEntry,
    counted,
    quoted,
    relation,
    slug,
)
from monitors.scan.propose_time import bucket, duration_words, freshness_limit
from monitors.scan.propose_versions import version_checks
from monitors.warehouse.tables import FAR_AWAY, Days

DAYS_FOR_A_MODEL = 14
"""With fewer days of rows a volume model has nothing to compare with."""
DENSE = 0.5
"""Volume per day needs rows on at least this share of the days."""
STALE_FACTOR = 4
"""Older than so many times the limit, the rows are history and no late load."""


def propose(facts: Facts, suite: str) -> MartProposal:
    """Everything for one mart; `suite` is the name of its file and begins every identity."""
    draft = _Draft(facts, suite)
    draft.rows()
    if facts.measured is not None and not facts.measured.rows:
        draft.look("it is empty, so its scan is red; with rows in it delete its file, init again")
        return draft.finished()
    draft.key()
    if facts.roles.history:
        draft.history(facts.roles.history)
    if facts.clock is not None:
        draft.freshness(facts.clock)
        draft.volume(facts.clock)
    else:
        draft.look("no column says when a row happened: no freshness, no volume")
    draft.money()
    if facts.unmeasured:
        draft.look(f"not everything was measured: {facts.unmeasured}")
    return draft.finished()


def without_volume(proposal: MartProposal, declared: Collection[str]) -> MartProposal:
    """The volume check commented out where rampart.yml has no entry for it: it would read the
    verdict of nobody, and pass for ever."""
    if proposal.volume is None or proposal.volume.dataset in declared:
        return proposal
    note = "first add its entry to `volumes:` in rampart.yml"
    checks = (
        replace(each, active=False, notes=(*each.notes, note)) if each.dataset else each
        for each in proposal.checks
    )
    return replace(proposal, checks=tuple(checks))


class _Draft:
    """Collects what is proposed for one mart."""

    def __init__(self, facts: Facts, suite: str) -> None:
        self.facts = facts
        self.suite = suite
        self.checks: list[Check] = []
        self.covered: list[str] = []
        self.guesses: list[str] = []
        self.looks: list[str] = []
        self.entry: VolumeEntry | None = None

    def look(self, what: str) -> None:
        self.looks.append(what)

    def guess(self, what: str) -> None:
        self.guesses.append(what)

    def finished(self) -> MartProposal:
        return MartProposal(
            mart=self.facts.mart,
            suite=self.suite,
            checks=tuple(self.checks),
            tested_by_dbt=tuple(self.covered),
            volume=self.entry,
            guesses=tuple(self.guesses),
            look_at=tuple(self.looks),
        )

    # ---------------------------------------------------------------- rows and key

    def rows(self) -> None:
        rows = self.facts.measured.rows if self.facts.measured else None
        self.add(
            "row_count > 0", "has_rows", f"{self.facts.mart.table} has rows",
            matters=f"{self._readers()} nothing at all.",
            do=f"{self._rebuild()}; then look at what it reads: {self._parents()}.",
            label="rows",
            notes=() if rows is None else (f"today: {counted(rows, 'row')}",),
        )  # fmt: skip

    def key(self) -> None:
        """Unique and not null, unless the database enforces it or dbt tests it already."""
        facts = self.facts
        enforced = next(iter(sorted(facts.table.keys, key=len)), None)
        tests = [each for each in facts.mart.tests if is_key_test(each.kind) and each.columns]
        whole = next((each for each in tests if each.is_whole), None)
        if facts.roles.history is None and facts.mart.key and not self._exist(facts.mart.key):
            self.look(f"unique_key {', '.join(facts.mart.key)} is no column of the table")
        if enforced:
            self.covered.append(f"unique: {', '.join(enforced)}, by an index of the database")
            self._never_null(enforced)
        elif whole:
            self.covered.append(f"unique: {', '.join(whole.columns)}, by {whole.name}")
            why = f"dbt's test {whole.name} looks at every row already; twice is work for nothing"
            self._no_duplicates(whole.columns, active=False, notes=(why,))
            self._never_null(whole.columns)
        elif tests:
            why = f"dbt's test {tests[0].name} looks at some rows only, or only warns"
            self._no_duplicates(tests[0].columns, active=True, notes=(why,))
            self._never_null(tests[0].columns)
        elif self._declared():
            self._no_duplicates(self._declared(), active=True, notes=("the project declares it",))
            self._never_null(self._declared())
        else:
            self._guessed_key()

    def _declared(self) -> tuple[str, ...]:
        """What the project calls the key, unless each key has several versions."""
        key = self.facts.mart.key
        if not self._exist(key) or (self.facts.roles.history and self.facts.mart.is_snapshot):
            return ()
        return key

    def _guessed_key(self) -> None:
        facts = self.facts
        rows = facts.measured.rows if facts.measured else 0
        ids = [each for each in facts.roles.ids if each not in facts.key_of_versions]
        key = guessed_key(facts.mart, ids, rows, facts.distinct)
        if key is None:
            if not facts.roles.history:
                self.look("no test, constraint or column says what makes a row unique")
            return
        said = f"{key}: no value twice in {counted(rows, 'row')} today, and nothing else says so"
        self.guess(f"the key is {said}")
        self._no_duplicates((key,), active=True, notes=(f"a guess: {said}",))
        self._never_null((key,))

    def _no_duplicates(
        self, columns: Sequence[str], *, active: bool, notes: tuple[str, ...]
    ) -> None:
        listed = ", ".join(map(quoted, columns))
        plain = all(map(PLAIN.fullmatch, columns))
        self.add(
            f"duplicate_count({listed}) = 0" if plain else "duplicates = 0",
            "unique_" + "_".join(map(slug, columns)),
            f"no {' and '.join(columns)} twice",
            query=None if plain else f"select count(*) from (\n    select {listed}\n"
            f"    from {self._from()}\n    group by {listed}\n    having count(*) > 1\n) as twice",
            label="duplicates",
            matters="Rows counted twice: every sum and every join upon them is too high.",
            do=f"select {listed}, count(*) from {self._from()} group by {listed}"
            f" having count(*) > 1; mend the join in {self.facts.mart.path}.",
            active=active,
            notes=notes,
        )  # fmt: skip

    def _never_null(self, columns: Sequence[str]) -> None:
        tested = self._never_null_by_dbt()
        for name in columns:
            column = self.facts.table.column(name)
            if column is None or column.not_null:
                continue
            if name in tested:
                self.covered.append(f"not null: {name}, by dbt's test not_null")
                continue
            plain = PLAIN.fullmatch(name)
            self.add(
                f"missing_count({name}) = 0" if plain else "missing = 0",
                f"no_missing_{slug(name)}", f"every row has a {name}",
                query=None if plain else f"select count(*) from {self._from()}"
                f" where {quoted(name)} is null",
                label="missing",
                matters="A row without its key is found by nobody and joined to nothing.",
                do=f"select * from {self._from()} where {quoted(name)} is null;"
                f" look at {self._parents()}.",
            )  # fmt: skip

    # ---------------------------------------------------------------- versions

    def history(self, history: History) -> None:
        """An SCD2 dimension: one current version per key, chains without overlap or gap."""
        facts, key = self.facts, self.facts.key_of_versions
        columns = ", ".join(
            filter(None, (history.valid_from, history.valid_to, history.is_current))
        )
        if not key:
            self.look(
                f"it has versions ({columns}), and nothing says of which key: no checks of them"
            )
            return
        self.guess(f"a dimension with versions ({columns}) per {', '.join(key)}")
        found = facts.versions
        if found is not None and found.several_current + found.overlaps + found.turned:
            self.look(
                f"its versions have faults today: {found.several_current:,} several current,"
                f" {found.overlaps:,} overlaps, {found.turned:,} that end before they begin"
            )
        for check in version_checks(facts, history, key):
            self.add(**check)

    # ---------------------------------------------------------------- time

    def freshness(self, clock: Clock) -> None:
        facts = self.facts
        age = self._age(clock)
        limit, why = freshness_limit(facts.days, age, is_date=clock.is_date)
        stale = age is not None and age > STALE_FACTOR * limit
        versioned = facts.roles.history is not None
        self.guess(f"its time is {clock.column} ({clock.why})")
        words = duration_words(limit)
        aside = (
            "a dimension changes when something happens, not every day"
            if versioned
            else f"the newest row is {duration_words(age or 0)} old: history, or the load is down"
        )
        active = not stale and not versioned
        if stale and not versioned:
            self.look(f"freshness and volume are commented out: {aside}")
        elif active and age is not None and age > limit:
            self.look(f"late today: the newest row is {duration_words(age)} old, usual is {words}")
        if active:
            self.guess(f"no older than {words}: {why}")
        column = quoted(clock.column)
        self.add(
            f"hours_behind <= {limit}", "freshness", f"the newest row is no older than {words}",
            query=f"select extract(epoch from now() - cast(max({column}) as timestamptz)) / 3600\n"
            f"from {self._from()}\nwhere {column} < '{FAR_AWAY}'",
            label="hours",
            matters=f"{self._readers()} numbers that end too early.",
            do=f"select max({column}) from {self._from()}; {self._rebuild()};"
            f" if it stays, look at the loads of {self._parents()}.",
            active=active,
            notes=(f"{words}: {why}",) if active else (aside, f"{words}: {why}"),
        )  # fmt: skip

    def volume(self, clock: Clock) -> None:
        """Rows per bucket: an entry in rampart.yml, and the check that reads its verdict."""
        facts = self.facts
        if facts.roles.history is not None or facts.days is None or not facts.days.counts:
            return
        if not re.fullmatch(r"[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*", facts.mart.dataset):
            self.look("no volume: `volumes:` takes lower-case names only")
            return
        against = self._against_a_model(clock, facts.days)
        every, rate = bucket(facts.days, clock)
        self.entry = VolumeEntry(
            dataset=facts.mart.dataset,
            time=clock.column,
            every=every,
            lateness="1 hour" if every == "hour" else "6 hours",
            active=against is None,
            notes=(rate,) if against is None else (rate, against),
            segments=tuple(
                (name, facts.distinct[name])
                for name in facts.roles.segments
                if 2 <= facts.distinct.get(name, 0) <= 20
            ),
        )
        if against is None:
            self.guess(
                f"rows per {every} are modelled: {rate}; complete {self.entry.lateness} later"
            )
        elif "old" not in against:
            self.look(f"volume is commented out: {against}")
        self.checks.append(self._volume_check(against))

    def _against_a_model(self, clock: Clock, days: Days) -> str | None:
        """Why there is no volume model today, or None."""
        counts = days.counts
        span = (counts[-1][0] - counts[0][0]).days + 1
        age = self._age(clock)
        limit, _ = freshness_limit(days, age, is_date=clock.is_date)
        if age is not None and age > STALE_FACTOR * limit:
            return f"the newest row is {duration_words(age)} old"
        if clock.moves:
            return f"{clock.column} of an old row may change, and the row then moves to another day"
        if len(counts) < DAYS_FOR_A_MODEL:
            return f"rows on {counted(len(counts), 'day')} only; a model needs {DAYS_FOR_A_MODEL}"
        if len(counts) < DENSE * span:
            return f"rows on {len(counts)} of {span} days only"
        return None

    def _volume_check(self, against: str | None) -> Check:
        dataset = self.facts.mart.dataset
        return Check(
            text="volume_alarms = 0",
            identity=f"{self.suite}.volume",
            name=f"the latest rows of {self.facts.mart.table} are as many as usual",
            dataset="monitoring.volume_verdicts",
            query="select count(*) from monitoring.volume_verdicts\n"
            f"where dataset = '{dataset}' and state in ('anomalous', 'not modelled')",
            attributes=self._attributes(
                "business", "high",
                label="alarms",
                evidence="select row_count, lower, upper, detectable_change, cause, state"
                f" from monitoring.volume_verdicts where dataset = '{dataset}' order by"
                " state = 'not modelled' desc, state = 'anomalous' desc, score desc limit 1",
                matters="Part of a day is missing, or was counted twice; its numbers are off.",
                do=f"select * from monitoring.volume_verdicts where dataset = '{dataset}';"
                f" compare with {self._parents()}.",
            ),
            active=against is None,
            notes=() if against is None else (f"{against}; with it goes its entry in rampart.yml",),
        )  # fmt: skip

    def _age(self, clock: Clock) -> float | None:
        """Hours from the newest row to now."""
        newest = self.facts.measured.newest.get(clock.column) if self.facts.measured else None
        return None if newest is None else (self.facts.now.timestamp() - newest) / 3600

    # ---------------------------------------------------------------- money

    def money(self) -> None:
        """Nothing missing where nothing is missing today; the rest for a person to judge."""
        measured = self.facts.measured
        if measured is None or not measured.rows:
            return
        never_negative = [each for each in self.facts.roles.money if not measured.negatives[each]]
        for name in self.facts.roles.money:
            self._missing_share(name, 100 * measured.nulls[name] / measured.rows)
            if name not in never_negative:
                self._negative_share(name, [name], 100 * measured.negatives[name] / measured.rows)
        if never_negative:
            self._negative_share("amounts", never_negative, 0.0)

    def _missing_share(self, name: str, percent: float) -> None:
        column = self.facts.table.column(name)
        if name in self._never_null_by_dbt() or (column is not None and column.not_null):
            self.covered.append(f"not null: {name}")
            return
        self._share(
            f"pct_missing_{slug(name)}", f"{name} is filled in", f"{quoted(name)} is null", percent,
            matters=f"Sums of {name} are too low by the rows that lack it.",
            active=percent == 0,
        )  # fmt: skip

    def _negative_share(self, short: str, names: Sequence[str], percent: float) -> None:
        listed = ", ".join(map(quoted, names))
        lowest = f"least({listed})" if len(names) > 1 else listed
        self._share(
            f"pct_negative_{slug(short)}", f"few {short} are negative", f"{lowest} < 0", percent,
            matters="A wave of negative amounts is a wave of refunds, or a turned sign.",
            active=False,
        )  # fmt: skip

    def _share(
        self, metric: str, name: str, broken: str, percent: float, *, matters: str, active: bool
    ) -> None:
        limit = max(1, math.ceil(2 * percent))
        if limit >= 100:
            return
        table = self._from()
        self.add(
            f"{metric} < {limit}", metric, name,
            query=f"select coalesce(100.0 * count(*) filter (where {broken})"
            f" / nullif(count(*), 0), 0)\nfrom {table}",
            label="percent", category="business", severity="medium",
            counts=f"select count(*) filter (where {broken}), count(*) from {table}",
            matters=matters,
            do=f"select * from {table} where {broken} limit 20; ask whoever enters them.",
            active=active,
            notes=(f"today: {percent:.2f} %",),
        )  # fmt: skip

    # ---------------------------------------------------------------- the pieces

    def add(
        self,
        text: str,
        short: str,
        name: str,
        *,
        query: str | None = None,
        category: str = "data_quality",
        severity: str = "high",
        active: bool = True,
        notes: tuple[str, ...] = (),
        **attributes: str,
    ) -> None:
        identity = f"{self.suite}.{short}"
        taken = {each.identity for each in self.checks}
        if identity not in taken:
            carried = self._attributes(category, severity, **attributes)
            self.checks.append(Check(text, identity, name, carried, query, None, active, notes))

    def _attributes(self, category: str, severity: str, **more: str) -> dict[str, Any]:
        stated = self.facts.mart.severity
        known = stated in [each.value for each in Severity] and severity == "high"
        found = {"category": category, "layer": "gold", "severity": stated if known else severity}
        if self.facts.mart.owner:
            found["owner"] = self.facts.mart.owner
        return {**found, **more}

    def _never_null_by_dbt(self) -> set[str]:
        return {
            column
            for test in self.facts.mart.tests
            if test.is_whole and test.kind in ("not_null", "expect_column_values_to_not_be_null")
            for column in test.columns
        }

    def _exist(self, columns: Sequence[str]) -> bool:
        return bool(columns) and all(self.facts.table.column(each) for each in columns)

    def _from(self) -> str:
        return relation(self.facts.mart)

    def _readers(self) -> str:
        readers = self.facts.mart.readers
        if not readers:
            return "Whoever reads it sees"
        return f"{', '.join(readers)} {'show' if len(readers) > 1 else 'shows'}"

    def _rebuild(self) -> str:
        return f"`rampart build --select {self.facts.mart.model}`"

    def _parents(self) -> str:
        return ", ".join(self.facts.mart.parents[:5]) or f"the SQL in {self.facts.mart.path}"
