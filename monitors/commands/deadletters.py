"""The composition of `rampart deadletters`: look at what could not be read, replay it, discard it.

A dead letter that is replayed arrives as a row of a new delivery, in one transaction with the
decision; where it came from keeps its counts. A late one may be replayed: a person says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from monitors import log as logs
from monitors.arrival import raw
from monitors.arrival.documents import judge_document
from monitors.arrival.loader import Intake
from monitors.arrival.records import BadRecord, Batch, GoodRecord, judge_jsonl
from monitors.arrival.stream import Message
from monitors.arrival.stream_judge import Judge
from monitors.commands.quarantine import user_name
from monitors.commands.runner import Runner
from monitors.config_feeds import Feed
from monitors.errors import ExitCode, UsageError
from monitors.mask import HIDDEN, mask_row
from monitors.store.dead_letters import (
    DeadLetterDesk,
    Letter,
    LetterGroup,
    LetterSelection,
    OpenLetter,
)
from monitors.store.migrate import migrate
from monitors.store.postgres import Delivery, Store
from monitors.warehouse.connection import connect

log = logs.get_logger("DeadLetters")

CHUNK = 5000
"""So many are replayed in one transaction, as one delivery."""

Judged = Iterator[GoodRecord | BadRecord]


@dataclass(frozen=True, slots=True)
class LetterOutcome:
    """What became of so many dead letters of a feed, and why."""

    feed: str
    outcome: str
    """`replayed`, `stays` or `discarded`."""
    why: str
    letters: int


@dataclass(frozen=True, slots=True)
class LettersDecided:
    """What `replay` or `discard` did, or would do."""

    run_id: str
    dry_run: bool
    outcomes: tuple[LetterOutcome, ...] = ()
    exit_code: int = ExitCode.OK

    def count(self, outcome: str) -> int:
        return sum(each.letters for each in self.outcomes if each.outcome == outcome)


class DeadLetterOffice(Runner):
    """Dead letters: configure, choose, decide."""

    def groups(
        self, selection: LetterSelection, decision: str | None = "open"
    ) -> list[LetterGroup]:
        """The chosen dead letters, counted by feed, delivery and kind of reason."""
        self._check(selection)
        with connect(self.target) as connection:
            migrate(connection)
            return DeadLetterDesk(connection).groups(selection, decision)

    def show(self, letter: int) -> tuple[Letter, str]:
        """One, and its text with personal values hidden. Raises UsageError: there is none."""
        with connect(self.target) as connection:
            migrate(connection)
            found = DeadLetterDesk(connection).one(letter)
        if found is None:
            raise UsageError(f"there is no dead letter {letter}")
        return found, self._shown(found)

    def replay(
        self,
        selection: LetterSelection,
        *,
        why: str = "can be read by the settings of today",
        by: str | None = None,
        dry_run: bool = False,
    ) -> LettersDecided:
        """Load what is a row by the settings of now; the others stay, with the reason of now."""
        self._check(selection)

        def job(store: Store) -> LettersDecided:
            decider = by or user_name()
            feeds = DeadLetterDesk(store.connection).feeds(selection)
            found = [
                outcome
                for feed in feeds
                for outcome in self._replay_feed(store, feed, selection, decider, why, dry_run)
            ]
            return LettersDecided(self.run_id, dry_run, _summed(found))

        return self.recorded("deadletters replay", job)

    def discard(
        self, selection: LetterSelection, *, why: str, by: str | None = None, dry_run: bool = False
    ) -> LettersDecided:
        """Nobody needs them: they are listed no more, and still count as dead letters."""
        self._check(selection)
        if not why.strip():
            raise UsageError("--why: a dead letter that is given up needs a reason")
        if selection.is_everything:
            raise UsageError("say which: --feed, --delivery, --reason or --letter")

        def job(store: Store) -> LettersDecided:
            desk, outcomes = DeadLetterDesk(store.connection), []
            for feed in desk.feeds(selection):
                store.lock_feed(feed)
                letters = desk.open_letters(feed, selection, 0, 2**31 - 1)
                ids = [letter.dead_letter_id for letter in letters]
                desk.decide(ids, "discarded", by=by or user_name(), why=why, run_id=self.run_id)
                outcomes.append(LetterOutcome(feed, "discarded", why, len(ids)))
            store.connection.rollback() if dry_run else store.connection.commit()
            return LettersDecided(self.run_id, dry_run, tuple(outcomes))

        return self.recorded("deadletters discard", job)

    # ---------------------------------------------------------------- replaying

    def _replay_feed(
        self, store: Store, feed: str, selection: LetterSelection, by: str, why: str, dry_run: bool
    ) -> list[LetterOutcome]:
        outcomes: list[LetterOutcome] = []
        desk, after, number = DeadLetterDesk(store.connection), 0, 0
        refusal = self.why_no_replay(feed)
        while True:
            store.lock_feed(feed)
            letters = desk.open_letters(feed, selection, after, CHUNK)
            if not letters:
                store.connection.rollback()
                return outcomes
            after, number = letters[-1].dead_letter_id, number + 1
            if refusal is not None:
                outcomes.append(LetterOutcome(feed, "stays", refusal, len(letters)))
                store.connection.rollback()
                continue
            outcomes += self._replay_chunk(store, feed, letters, number, by, why)
            store.connection.rollback() if dry_run else store.connection.commit()

    def why_no_replay(self, name: str) -> str | None:
        """Why the dead letters of a feed cannot be replayed at all."""
        if name not in self.config.arrivals:
            return "rampart.yml has no such feed or stream any more"
        if name in self.config.streams:
            return None
        feed = self.config.feed(name)
        if feed.extract is not None:
            return "part of an extract: have the file corrected and load it again"
        if not feed.is_json:
            return "its columns stand in the head of its file: correct the file and load it again"
        return None

    def _replay_chunk(
        self,
        store: Store,
        feed_name: str,
        letters: Sequence[OpenLetter],
        number: int,
        by: str,
        why: str,
    ) -> list[LetterOutcome]:
        feed = self.config.arrival(feed_name)
        outcomes: list[LetterOutcome] = []
        whole = [letter for letter in letters if letter.is_whole]
        if cut := len(letters) - len(whole):
            outcomes.append(LetterOutcome(feed_name, "stays", "only its beginning is kept", cut))
        good: list[tuple[OpenLetter, GoodRecord]] = []
        for letter, record in zip(whole, self._judge(feed_name)(whole), strict=True):
            if isinstance(record, GoodRecord):
                good.append((letter, record))
            else:
                outcomes.append(LetterOutcome(feed_name, "stays", _kind(record.reason), 1))
        raw.ensure_table(store.connection, feed)
        delivery_id, sequence = store.next_delivery(feed_name)
        intake = Intake(store, feed, delivery_id, None)
        try:
            intake.take_records(record for _letter, record in good)
            refused = {each.source_row: each for part in intake.dead.chunks() for each in part}
        finally:
            intake.dead.close()
        outcomes += [
            LetterOutcome(feed_name, "stays", _kind(each.reason), 1) for each in refused.values()
        ]
        taken = [letter for row, (letter, _record) in enumerate(good, 1) if row not in refused]
        if not taken:
            return outcomes
        digest = hashlib.sha256(b"\n".join(letter.content for letter in taken))
        delivery = Delivery(
            delivery_id=delivery_id,
            feed=feed_name,
            name=f"replay/{self.run_id}/{number}",
            sha256=digest.hexdigest(),
            sequence=sequence,
            extracted_at=self.now(),
            extracted_at_from="load",
            kind="events",
            records=len(taken),
            rows=len(taken),
            dead_letters=0,
            bytes=sum(letter.content_bytes for letter in taken),
            admitted_by=by,
            why=why,
        )
        store.add_delivery(delivery)
        ids = [letter.dead_letter_id for letter in taken]
        DeadLetterDesk(store.connection).decide(
            ids, "replayed", by=by, why=why, run_id=self.run_id, delivery_id=delivery_id
        )
        outcomes.append(LetterOutcome(feed_name, "replayed", why, len(taken)))
        log.info("dead letters replayed", feed=feed_name, letters=len(taken))
        return outcomes

    def _judge(self, name: str) -> Callable[[Sequence[OpenLetter]], Judged]:
        """One record per letter, by the settings of now."""
        if name in self.config.streams:
            judge = Judge(self.config.streams[name], {}, self.now())
            return lambda letters: judge.records(map(_as_message, letters), late=False)
        feed = self.config.feed(name)
        return lambda letters: (_judge_one(feed, letter) for letter in letters)

    # ---------------------------------------------------------------- the pieces

    def _check(self, selection: LetterSelection) -> None:
        if selection.feed is not None:
            self.config.arrival(selection.feed)

    def _shown(self, letter: Letter) -> str:
        """Of a feed with personal values only what can be told apart from them."""
        text = letter.content.decode("utf-8", errors="replace")
        feed = self.config.arrivals.get(letter.feed)
        if feed is None or not feed.personal:
            return text
        if not feed.is_json:
            return HIDDEN
        shown: dict[str, Any] = mask_row({"payload": text}, feed.personal)
        return str(shown["payload"])


def _as_message(letter: OpenLetter) -> Message:
    size = letter.content_bytes
    return Message(letter.source_partition or "", letter.source_offset or 0, 0, letter.content,
                   size, None)  # fmt: skip


def _judge_one(feed: Feed, letter: OpenLetter) -> GoodRecord | BadRecord:
    batch = Batch([letter.content], 1, doubtful=True)
    judge = judge_document if feed.format == "json" else judge_jsonl
    return next(judge(batch, feed.encoding), BadRecord(1, "empty", letter.content))


def _kind(reason: str) -> str:
    return reason.split(":")[0]


def _summed(outcomes: Sequence[LetterOutcome]) -> tuple[LetterOutcome, ...]:
    summed: dict[tuple[str, str, str], LetterOutcome] = {}
    for each in outcomes:
        key = (each.feed, each.outcome, each.why)
        known = summed.get(key)
        summed[key] = replace(each, letters=each.letters + (known.letters if known else 0))
    return tuple(summed.values())
