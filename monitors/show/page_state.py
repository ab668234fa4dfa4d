"""What the page says of checks, datasets and the whole: words, counts, and the answer first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from monitors.health import NAMED, Health
from monitors.owners import Owner, decided
from monitors.results import Layer
from monitors.show.page_claims import Claimed, claimed
from monitors.store.history import Mute
from monitors.store.pages import RED, WORDS, CheckNow, Strip

State = Literal["healthy", "degraded", "down", "unknown"]


def word_of(check: CheckNow, mutes: Mapping[str, Mute]) -> str:
    """The one of WORDS that a check is shown as."""
    if check.blocked_by is not None:
        return "blocked"
    if check.status in RED and check.check_id in mutes:
        return "muted"
    return check.status


def worst_of(words: Iterable[str]) -> str:
    """The worst of them; of none: missing, never pass."""
    return min(words, key=WORDS.index, default="missing")


def counted(words: Iterable[str]) -> dict[str, int]:
    """{word: how many}, worst first, without zeros."""
    found = Counter(words)
    return {word: found[word] for word in WORDS if found[word]}


def counts_text(counts: Mapping[str, int]) -> str:
    """`1 fail, 12 pass`."""
    return ", ".join(f"{number:,} {word}" for word, number in counts.items()) or "none"


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """A dataset as a line of the table."""

    name: str
    word: str
    layer: str
    owner: Owner | None
    counts: Mapping[str, int]
    cause: Claimed | None
    """Why it is what it is: what its worst check says; None when all pass."""
    judged_at: datetime
    since: datetime | None
    """Since when its worst check is what it is, where that is known."""
    ranks: tuple[int | None, ...]
    """The worst of each of the latest scans, the oldest first; None: it was not looked at."""
    is_told_elsewhere: bool = False
    """A quality model of which all that is red counts at the datasets it speaks of."""

    @property
    def is_red(self) -> bool:
        return self.word in RED

    @property
    def note(self) -> str:
        """Its cause in words; empty when all pass."""
        return self.cause.text if self.cause else ""

    @property
    def rank(self) -> int:
        return WORDS.index(self.word)


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence beside the answer, and the checks that it names; `more`: so many it does not."""

    said: str
    named: tuple[CheckNow, ...] = ()
    more: int = 0

    @property
    def text(self) -> str:
        if not self.named:
            return self.said
        more = f" and {self.more:,} more" if self.more else ""
        return f"{self.said}: {', '.join(check.check_id for check in self.named)}{more}."


@dataclass(frozen=True, slots=True)
class Answer:
    """May I trust the numbers now, and if not, which."""

    state: State
    headline: str
    lines: tuple[Line, ...]
    in_doubt: tuple[DatasetRow, ...]


@dataclass(frozen=True, slots=True)
class Grouped:
    """The checks of a dataset: its own, and those of quality models that speak of it."""

    own: tuple[CheckNow, ...]
    related: tuple[CheckNow, ...]
    feeds: frozenset[str] = frozenset()
    """Every feed there is."""

    @property
    def all(self) -> tuple[CheckNow, ...]:
        return self.own + self.related

    @property
    def owner(self) -> Owner | None:
        """Of the dataset, by all that its own checks say."""
        return decided(owner_of(check) for check in self.own)

    def is_own(self, check: CheckNow) -> bool:
        return check.dataset == self.own[0].dataset

    def because_of(self, check: CheckNow) -> str:
        """Why a check that is not its own counts here; empty for its own."""
        if self.is_own(check):
            return ""
        feed = feed_of(check)
        return f"its feed {feed}" if feed in self.feeds else check.dataset


def owner_of(check: CheckNow) -> Owner | None:
    """The owner that a check names."""
    return Owner(check.owner, bool(check.owner_reads)) if check.owner else None


def feed_of(check: CheckNow) -> str:
    """The feed that a check is about, if there is one of that name: its id begins with it."""
    return check.check_id.split(".", 1)[0]


def is_quality_model(dataset: str) -> bool:
    """Whether a dataset is a table of verdicts about others: freshness, rates, volumes."""
    schema = dataset.rpartition(".")[0]
    return schema == "monitoring" or schema.endswith("_monitoring")


def grouped(
    checks: Sequence[CheckNow], feeds: Mapping[str, Collection[str]] | None = None
) -> dict[str, Grouped]:
    """{dataset: its checks}. `feeds`: {dataset: the feeds that it is known to be made from}.

    A check of a quality model is also about the datasets of the same checks file, and about those
    made from the feed that its id begins with: a red quarantine rate of events is a reason not to
    trust the table of events.
    """
    own: dict[str, list[CheckNow]] = {}
    of_suite: dict[str, dict[str, None]] = {}
    of_feed: dict[str, list[str]] = {}
    for check in checks:
        own.setdefault(check.dataset, []).append(check)
        if check.suite_name != "dbt" and not is_quality_model(check.dataset):
            of_suite.setdefault(check.suite_name, {})[check.dataset] = None
    for dataset in sorted((feeds or {}).keys() & own.keys()):
        for feed in (feeds or {})[dataset]:
            of_feed.setdefault(feed, []).append(dataset)
    related: dict[str, list[CheckNow]] = {}
    for check in checks:
        if is_quality_model(check.dataset) and check.suite_name != "dbt":
            for dataset in {
                **of_suite.get(check.suite_name, {}),
                **dict.fromkeys(of_feed.get(feed_of(check), ())),
            }:
                related.setdefault(dataset, []).append(check)
    known = frozenset(feed for names in (feeds or {}).values() for feed in names)
    return {
        dataset: Grouped(tuple(found), tuple(related.get(dataset, ())), known)
        for dataset, found in own.items()
    }


def rows_of(
    groups: Mapping[str, Grouped],
    mutes: Mapping[str, Mute],
    strips: Sequence[Strip],
    scans: int,
) -> list[DatasetRow]:
    """A line per dataset: the worst first, where people read before what it is made from, by name.

    `scans`: how many a strip has.
    """
    by_dataset: dict[str, list[Strip]] = {}
    for strip in strips:
        by_dataset.setdefault(strip.dataset, []).append(strip)
    told = {(check.check_id, check.segment) for group in groups.values() for check in group.related}
    rows = []
    for name, group in groups.items():
        elsewhere = {(check.dataset, check.suite_name) for check in group.related}
        mine = [
            *by_dataset.get(name, ()),
            *(
                strip
                for dataset, suite in sorted(elsewhere)
                for strip in by_dataset.get(dataset, ())
                if strip.suite_name == suite
            ),
        ]
        row = _row(name, group, mutes, mine, scans)
        if row.is_red and all(
            (check.check_id, check.segment) in told
            for check in group.own
            if word_of(check, mutes) in RED
        ):
            row = replace(row, is_told_elsewhere=is_quality_model(name))
        rows.append(row)
    order = [each.value for each in reversed(Layer)]
    return sorted(
        rows,
        key=lambda row: (row.rank, is_quality_model(row.name), order.index(row.layer), row.name),
    )


def _row(
    name: str, group: Grouped, mutes: Mapping[str, Mute], strips: Sequence[Strip], scans: int
) -> DatasetRow:
    words = [word_of(check, mutes) for check in group.all]
    word = worst_of(words)
    leading = [check for check, said in zip(group.all, words, strict=True) if said == word]
    lead = min(leading, key=lambda each: (_severity(each), not group.is_own(each), each.check_id))
    return DatasetRow(
        name=name,
        word=word,
        layer=layer_of(group.own),
        owner=group.owner,
        counts=counted(words),
        cause=None if word == "pass" else claimed(lead, word, group.because_of(lead)),
        judged_at=max(check.executed_at for check in group.all),
        since=lead.changed_at if word in RED and lead.is_red else None,
        # places count from the newest scan
        ranks=tuple(
            min(
                (strip.ranks[place] for strip in strips if place in strip.ranks),
                default=None,
            )
            for place in range(scans, 0, -1)
        ),
    )


def layer_of(own: Sequence[CheckNow]) -> str:
    """The layer of a dataset: that of most of its own checks."""
    layers = Counter(check.layer for check in own)
    order = [each.value for each in Layer]
    return max(layers, key=lambda layer: (layers[layer], order.index(layer)))


def _severity(check: CheckNow) -> int:
    return ("critical", "high", "medium", "low").index(check.severity)


# -------------------------------------------------------------------- the answer


def answer_of(
    health: Health,
    rows: Sequence[DatasetRow],
    checks: Mapping[str, Sequence[CheckNow]],
    *,
    has_scanned: bool,
    is_late: bool = False,
) -> Answer:
    """From the health of the whole; `checks`: {word: those that are shown as it}.

    `is_late`: the last scan is older than it may be, so that nobody knows what came since.
    """
    in_doubt = tuple(row for row in rows if row.is_red and not row.is_told_elsewhere)
    if not has_scanned:
        lines = (
            Line("No scan has been completed yet."),
            Line("`rampart run` loads, builds and scans; the first scan fills this page."),
        )
        return Answer("unknown", "Nobody can say yet.", lines, in_doubt)
    state: State = health.state
    if state == "healthy" and in_doubt:
        # one red verdict that damping does not count yet is still no pass
        state = "degraded"
        health = replace(
            health, reasons=("red in the last scan, not yet for long enough to count",)
        )
    notes = tuple(_notes(checks))
    if state == "healthy":
        sure = set(checks) <= {"pass"}
        headline = "Yes. Every check holds." if sure else "Yes. Nothing is red."
        return Answer(state, headline, notes, in_doubt)
    reasons = tuple(Line(_sentence(reason)) for reason in health.reasons)
    if state == "down":
        silent = is_late and not in_doubt
        headline = "No. Nobody has looked lately." if silent else "No. Do not use them yet."
        return Answer(state, headline, (*reasons, *notes), in_doubt)
    number = len(in_doubt)
    which = "one dataset" if number == 1 else f"{number:,} datasets"
    headline = f"Yes, except for {which}." if number else "Yes, with care."
    return Answer(state, headline, (*reasons, *notes), in_doubt)


def _notes(checks: Mapping[str, Sequence[CheckNow]]) -> Iterable[Line]:
    """What stands beside the answer, although nobody counts it as red."""
    if found := checks.get("blind"):
        they = "it" if len(found) == 1 else "they"
        why = f"with this little history {they} could not have failed"
        yield _naming(f"{_checks(len(found))} blind ({why})", found)
    if found := checks.get("muted"):
        why = "until when and why stands below"
        yield _naming(f"{_checks(len(found))} red but muted ({why})", found)
    if found := checks.get("warn"):
        why = "the claim holds, but not comfortably"
        yield _naming(f"{_checks(len(found))} at warn ({why})", found)
    if found := checks.get("blocked"):
        yield _naming(f"{_checks(len(found))} blocked by a failed parent", found)


def _naming(said: str, checks: Sequence[CheckNow]) -> Line:
    """A few by name, the most severe first; the segments of a check are one."""
    one_each = {check.check_id: check for check in reversed(checks)}
    found = sorted(one_each.values(), key=lambda each: (_severity(each), each.check_id))
    return Line(said, tuple(found[:NAMED]), max(len(found) - NAMED, 0))


def _checks(number: int) -> str:
    return "1 check is" if number == 1 else f"{number:,} checks are"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
