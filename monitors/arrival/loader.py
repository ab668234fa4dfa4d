"""One file into raw, through COPY, in one transaction with its delivery.

Bytes go to Postgres as they are, with two numbers set before each record. What Postgres refuses is
halved down to the batch and judged record by record: good records are loaded, the others become
dead letters. Memory is flat: at most one segment of the file is held.
"""

from __future__ import annotations

import codecs
import csv
import fnmatch
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import islice

import psycopg
from psycopg import sql

from monitors.arrival import raw
from monitors.arrival.breaker import mass_deletion
from monitors.arrival.dead import DeadLetters
from monitors.arrival.documents import cut_document, judge_document
from monitors.arrival.records import (
    BadRecord,
    Batch,
    BrokenFile,
    GoodRecord,
    csv_text,
    cut_csv,
    cut_jsonl,
    judge_csv,
    judge_jsonl,
    read_blocks,
    read_header,
    sha256_of,
    whole_records,
)
from monitors.arrival.storage import Source
from monitors.config_feeds import Feed, Moment, Thresholds
from monitors.log import get_logger
from monitors.store.postgres import DeadLetter, Delivery, Store

log = get_logger("Loader")

SEGMENT_BYTES = 8 * 1024 * 1024
"""How much one COPY takes, and how much is judged again when it fails."""
KEPT_BYTES = 8 * 1024
"""How much of a dead letter is kept."""
PART_RECORDS = 1000
"""So many judged records make one part of a COPY: Postgres parses it while the next is judged."""
LOGGED_LETTERS = 20
"""How many of one file have a log line each; the rest are in the table all the same."""
SAMPLE_RECORDS = 2000
"""Null shares are logged from the first records of a file: a hint, not a measurement."""

REFUSALS = (
    psycopg.errors.DataError,
    psycopg.errors.ProgramLimitExceeded,  # a row wider than a page, a value beyond 1 GB
    psycopg.errors.StatementTooComplex,  # JSON nested deeper than the server's stack
)
"""What Postgres says of a record it cannot hold; any other error is no record's fault."""

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of one file: `delivery` is None when the same file was loaded before."""

    name: str
    delivery: Delivery | None
    drift: raw.Drift = raw.NO_DRIFT
    moment_is_guessed: bool = False
    """Its name should state a moment and does not: the file's own time stands for it."""
    null_shares: dict[str, float] = field(default_factory=dict)


def load_file(
    store: Store,
    feed_name: str,
    feed: Feed,
    path: Source,
    *,
    name: str,
    thresholds: Thresholds,
    progress: Progress | None = None,
) -> Loaded:
    """Load one file within the caller's transaction; nothing of it is visible until it commits.

    Raises OSError when the file cannot be read, psycopg.Error when the database fails.
    """
    store.lock_feed(feed_name)
    size = path.stat().st_size
    if store.has_delivery_of_size(feed_name, name, size) and store.find_delivery(
        feed_name, name, sha256_of(path)
    ):
        return Loaded(name, None)
    raw.ensure_table(store.connection, feed)
    delivery_id, sequence = store.next_delivery(feed_name)
    moment, moment_from = moment_of(path, feed.moment)
    intake = Intake(store, feed, delivery_id, moment if feed.extract else None)
    try:
        broken = intake.take(path, progress)
    except BaseException:
        intake.dead.close()
        raise
    raw.summarise(store.connection, feed)
    kind = kind_of(path.name, feed)
    guard, refusal = "guard: file is whole", broken
    if refusal is None:
        guard, refusal = "guard: dead letters", _too_many_dead(intake, feed, thresholds)
    if refusal is None and kind == "full":
        guard = "guard: mass deletion"
        refusal = mass_deletion(store, feed_name, feed, delivery_id, moment)
    delivery = Delivery(
        delivery_id=delivery_id,
        feed=feed_name,
        name=name,
        sha256=intake.digest.hexdigest(),
        sequence=sequence,
        extracted_at=moment,
        extracted_at_from=moment_from,
        kind=kind,
        records=intake.records,
        rows=intake.rows,
        dead_letters=len(intake.dead),
        bytes=size,
        admission="refused" if refusal else "admitted",
        admitted_by=guard if refusal else "rampart",
        why=refusal,
    )
    store.add_delivery(delivery)
    for letters in intake.dead.chunks():
        store.add_dead_letters(delivery_id, feed_name, name, letters)
    for column in intake.drift.added:
        store.add_schema_drift(delivery_id, feed_name, column, "added")
    for column in intake.drift.missing:
        store.add_schema_drift(delivery_id, feed_name, column, "missing")
    guessed = feed.moment is not None and moment_from != "name"
    return Loaded(name, delivery, intake.drift, guessed, intake.null_shares())


def moment_of(path: Source, moment: Moment | None) -> tuple[datetime, str]:
    """(the moment a file speaks of in UTC, where it was read): its name, or else its file time."""
    if moment is not None and (stated := moment_in_name(path.name, moment)) is not None:
        return stated, "name"
    return datetime.fromtimestamp(path.stat().st_mtime, tz=timezone.utc), "file time"


def moment_in_name(name: str, moment: Moment) -> datetime | None:
    """The moment that a file's name states, its offset added; None when it states none."""
    pattern = re.escape(moment.format)
    for directive, digits in (("Y", 4), ("m", 2), ("d", 2), ("H", 2), ("M", 2), ("S", 2)):
        pattern = pattern.replace(f"%{directive}", rf"\d{{{digits}}}")
    for found in re.findall(f"(?={'(' + pattern + ')'})", name):
        try:
            read = datetime.strptime(found, moment.format).replace(tzinfo=timezone.utc)
            return read + moment.offset
        except (ValueError, OverflowError):
            continue
    return None


def kind_of(name: str, feed: Feed) -> str:
    """`events`, or for an extract `full` or `partial`."""
    if feed.extract is None:
        return "events"
    if feed.extract.partial and fnmatch.fnmatch(name, feed.extract.partial):
        return "partial"
    return feed.extract.kind


def _too_many_dead(intake: Intake, feed: Feed, thresholds: Thresholds) -> str | None:
    dead = len(intake.dead)
    if feed.format == "json" and feed.thresholds is None:
        return None  # one document is unreadable or not: its share says nothing of the others
    if intake.records and dead / intake.records > thresholds.dead_letters:
        share = dead / intake.records
        limit = thresholds.dead_letters
        return f"{dead} of {intake.records} records unreadable: {share:.4f} (max {limit})"
    return None


class Intake:
    """Takes one file, or one batch of a stream, into one raw table: counts, dead letters, drift
    and digest stay on it. `kept_bytes`: how much of a dead letter is kept."""

    def __init__(
        self,
        store: Store,
        feed: Feed,
        delivery_id: int,
        extracted_at: datetime | None,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        self.connection = store.connection
        self.feed = feed
        self.delivery_id = delivery_id
        self.extracted_at = extracted_at
        self.kept_bytes = kept_bytes
        self.digest = hashlib.sha256()
        self.rows = 0
        self.next_row = 1
        self.dead = DeadLetters()
        self.drift = raw.NO_DRIFT
        self.broken: str | None = None
        self.columns: list[str] = [raw.PAYLOAD] if feed.is_json else []
        self._empty: Counter[str] = Counter()
        self._sampled = 0
        self._refusal = ""
        self._is_utf8 = codecs.lookup(feed.encoding).name in ("utf-8", "ascii")

    @property
    def records(self) -> int:
        """What arrived: rows and dead letters."""
        return self.rows + len(self.dead)

    def null_shares(self) -> dict[str, float]:
        return {name: round(self._empty[name] / self._sampled, 4) for name in self._empty}

    def take(self, path: Source, progress: Progress | None) -> str | None:
        """Load everything that can be read; says why the file is not whole, if it is not."""
        batches = self._until_broken(self._batches(read_blocks(path, self.digest, progress)))
        batch = next(batches, None)
        while batch is not None:
            if self._needs_judging(batch):
                self._judge(batch)
                batch = next(batches, None)
            else:
                batch = self._load_sound(batch, batches)
        if self.broken:
            self._finish_digest(path)
        return self.broken

    def take_records(self, records: Iterable[GoodRecord | BadRecord]) -> None:
        """Load what somebody else has cut and judged; each record has the next number.

        All of it is one COPY, and Postgres parses one part while the next is judged. When it
        refuses one, the good ones are halved down to it.
        """
        self.columns = self.columns or list(self.feed.columns)
        judged = iter(records)
        good: list[tuple[int, GoodRecord]] = []

        def parts() -> Iterator[bytes]:
            while part := list(islice(judged, PART_RECORDS)):
                yield self._rendered(self._sorted_out(part, good))

        if self._copy(parts()):
            self.rows += len(good)
            return
        while part := list(islice(judged, PART_RECORDS)):
            self._sorted_out(part, good)
        half = max(1, len(good) // 2)
        self._load_good(good[:half])
        self._load_good(good[half:])

    # ---------------------------------------------------------------- reading

    def _batches(self, blocks: Iterator[bytes]) -> Iterator[Batch]:
        if self.feed.is_json:
            cut = cut_document if self.feed.format == "json" else cut_jsonl
            yield from cut(blocks)
            return
        batches = cut_csv(blocks, self.feed.delimiter.encode())
        for batch in batches:
            if not self.columns:
                rest = self._take_header(batch)
                if rest is not None:
                    yield rest
                continue
            yield batch

    def _until_broken(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Batches up to where the file turns out not to be whole; `broken` then says why."""
        try:
            yield from batches
        except BrokenFile as error:
            self.broken = str(error)

    def _take_header(self, batch: Batch) -> Batch | None:
        """The first record that is not blank names the columns."""
        header, used = read_header(batch.lines, self.feed.delimiter, self.feed.encoding)
        if header is None:
            return None
        self.columns = raw.column_names(header)
        if why := raw.no_room(self.connection, self.feed, self.columns):
            raise BrokenFile(why)
        self.drift = raw.fit_columns(self.connection, self.feed, self.columns)
        rest = batch.lines[used:]
        if not rest:
            return None
        return Batch(rest, batch.first_line + used, batch.doubtful, batch.multiline)

    def _finish_digest(self, path: Source) -> None:
        self.digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                self.digest.update(block)

    # ---------------------------------------------------------------- loading

    def _load_sound(self, first: Batch, more: Iterator[Batch]) -> Batch | None:
        """One COPY from `first` on; when it fails, each batch by itself. Returns the batch after.

        The next batch is read and cut while Postgres parses the one before: a segment ends only
        at SEGMENT_BYTES, or before a batch that is to be judged.
        """
        taken: list[Batch] = []
        ahead: Batch | None = first
        row = self.next_row

        def parts() -> Iterator[bytes]:
            nonlocal ahead, row
            held = 0
            while ahead is not None and held < SEGMENT_BYTES and not self._needs_judging(ahead):
                taken.append(ahead)
                held += sum(map(len, ahead.lines))
                records = whole_records(ahead)
                part = self._with_lineage(records, row)
                row += len(records)
                ahead = next(more, None)  # before the write: it may fail, and `taken` is then whole
                yield part

        if self._copy(parts()):
            self._count(taken, row)
        else:
            for batch in taken:
                self._load_alone(batch)
        return ahead

    def _load_alone(self, batch: Batch) -> None:
        records = whole_records(batch)
        if self._copy([self._with_lineage(records, self.next_row)]):
            self._count([batch], self.next_row + len(records))
        else:
            self._judge(batch)

    def _count(self, batches: list[Batch], next_row: int) -> None:
        self.rows += next_row - self.next_row
        self.next_row = next_row
        for batch in batches:
            if self.feed.is_json or self._sampled >= SAMPLE_RECORDS:
                break
            self._sample(whole_records(batch))

    def _needs_judging(self, batch: Batch) -> bool:
        return batch.doubtful or not self._is_utf8

    def _with_lineage(self, lines: list[bytes], first: int) -> bytes:
        """`delivery,row,` before every line, in one formatting operation at C speed."""
        mark = self._mark()
        values: list[object] = [None] * (2 * len(lines))
        values[0::2] = range(first, first + len(lines))
        values[1::2] = lines
        head = b"%d%b" % (self.delivery_id, mark)
        if self.extracted_at is not None:
            head += self.extracted_at.isoformat().encode() + mark
        template = head.replace(b"%", b"%%") + b"%d" + mark + b"%b\n"
        return (template * len(lines)) % tuple(values)

    def _mark(self) -> bytes:
        return b"\x02" if self.feed.is_json else self.feed.delimiter.encode()

    def _copy(self, parts: Iterable[bytes]) -> bool:
        """False when Postgres refuses a record; the savepoint leaves nothing of the attempt."""
        try:
            with (
                self.connection.transaction(),
                self.connection.cursor() as cursor,
                cursor.copy(self._copy_statement()) as copy,
            ):
                for part in parts:
                    copy.write(part)
        except REFUSALS as error:
            self._refusal = str(error).splitlines()[0]
            log.debug("a batch is judged record by record", reason=self._refusal)
            return False
        return True

    def _copy_statement(self) -> sql.Composed:
        moment = [raw.MOMENT] if self.extracted_at is not None else []
        columns = [raw.DELIVERY, *moment, raw.ROW, *self.columns]
        options = (
            # JSON may hold neither of these two characters, so the line goes in as it is.
            sql.SQL("delimiter E'\\x02', quote E'\\x01', null E'\\x03'")
            if self.feed.is_json
            # An empty cell is an empty text; null is for columns that did not come.
            else sql.SQL("delimiter {}, null E'\\x01'").format(sql.Literal(self.feed.delimiter))
        )
        return sql.SQL("copy {} ({}) from stdin (format csv, encoding 'utf8', {})").format(
            raw.table(self.feed), sql.SQL(", ").join(map(sql.Identifier, columns)), options
        )

    # ---------------------------------------------------------------- judging

    def _judge(self, batch: Batch) -> None:
        good: list[tuple[int, GoodRecord]] = []
        self._sorted_out(self._judged(batch), good)
        self._load_good(good)

    def _sorted_out(
        self, records: Iterable[GoodRecord | BadRecord], good: list[tuple[int, GoodRecord]]
    ) -> list[tuple[int, GoodRecord]]:
        """Number the records, bury the bad ones, append the others to `good`; these again."""
        begin = len(good)
        for record in records:
            if isinstance(record, BadRecord):
                self._bury(self.next_row, record.line, record.reason, record.content)
            else:
                good.append((self.next_row, record))
            self.next_row += 1
        return good[begin:]

    def _judged(self, batch: Batch) -> Iterator[GoodRecord | BadRecord]:
        encoding = self.feed.encoding
        if self.feed.format == "json":
            return judge_document(batch, encoding)
        if self.feed.format == "jsonl":
            return judge_jsonl(batch, encoding)
        return judge_csv(batch, len(self.columns), self.feed.delimiter, encoding)

    def _load_good(self, good: list[tuple[int, GoodRecord]]) -> None:
        """Load judged records; what Postgres still refuses is halved down to the one record."""
        if not good:
            return
        if self._copy([self._rendered(good)]):
            self.rows += len(good)
            self._sample([self._as_line(record) for _row, record in good[:SAMPLE_RECORDS]])
        elif len(good) == 1:
            row, record = good[0]
            reason = f"Postgres refuses this record: {self._refusal}"
            self._bury(row, record.line, reason, self._as_line(record))
        else:
            half = len(good) // 2
            self._load_good(good[:half])
            self._load_good(good[half:])

    def _rendered(self, good: list[tuple[int, GoodRecord]]) -> bytes:
        head = [str(self.delivery_id)]
        if self.extracted_at is not None:
            head.append(self.extracted_at.isoformat())
        if self.feed.is_json:
            framed = _one_field if self.feed.format == "json" else _one_line
            return b"".join(
                "\x02".join([*head, str(row), framed(record.values[0])]).encode() + b"\n"
                for row, record in good
            )
        return csv_text(
            [[*head, str(row), *record.values] for row, record in good], self.feed.delimiter
        )

    def _bury(self, row: int, line: int, reason: str, content: bytes) -> None:
        self.dead.append(DeadLetter(row, line, reason, content[: self.kept_bytes], len(content)))
        if len(self.dead) > LOGGED_LETTERS:
            return
        log.warning(
            "dead letter", feed_table=self.feed.table, source_row=row, source_line=line,
            reason=reason,
        )  # fmt: skip
        if len(self.dead) == LOGGED_LETTERS:
            log.warning("further dead letters of this file are not logged one by one")

    def _as_line(self, record: GoodRecord) -> bytes:
        if self.feed.is_json:
            return record.values[0].encode()
        return csv_text([record.values], self.feed.delimiter).rstrip(b"\n")

    # ---------------------------------------------------------------- null shares

    def _sample(self, lines: list[bytes]) -> None:
        if self.feed.is_json or self._sampled >= SAMPLE_RECORDS:
            return
        taken = lines[: SAMPLE_RECORDS - self._sampled]
        # what was loaded is UTF-8 here, whatever it was in the file
        text = (line.decode("utf-8", errors="replace") for line in taken)
        with suppress(csv.Error):  # a hint must not stop a load
            for values in csv.reader(text, delimiter=self.feed.delimiter):
                self._sampled += 1
                for name, value in zip(self.columns, values, strict=False):
                    self._empty[name] += value == ""


def _one_line(text: str) -> str:
    """Control characters are legal white space between JSON tokens, and only there."""
    return re.sub("[\x01-\x1f]", " ", text)


def _one_field(text: str) -> str:
    """A document keeps its lines: it is one quoted field, and holds no quote of the COPY."""
    return f"\x01{text}\x01"
