"""One micro-batch: its rows, dead letters, offsets, delivery and log row in one transaction.

A batch is a delivery, so that everything behind raw treats a stream as it treats files. Who
commits a batch proves in the same transaction that nobody else took any of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from operator import attrgetter

from monitors.arrival import raw
from monitors.arrival.loader import Intake
from monitors.arrival.stream import Message, Source
from monitors.arrival.stream_judge import Judge
from monitors.config_streams import Stream
from monitors.errors import Dropped
from monitors.store.postgres import Delivery, StageCounts, Store
from monitors.store.streams import Position, Span, Streams

NAMED_PARTITIONS = 8
"""So many partitions are named in the name of a delivery; all are in monitoring.stream_batches."""


class Fenced(Dropped):
    """Another consumer has taken some of this batch: it is void, and is read again."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a batch."""

    delivery: Delivery
    positions: dict[str, Position]


def take_batch(
    store: Store,
    streams: Streams,
    stream: Stream,
    source: Source,
    messages: Sequence[Message],
    positions: Mapping[str, Position],
    now: datetime,
) -> Taken:
    """Take messages that begin at `positions`, within the caller's transaction.

    Raises Fenced when the partitions do not stand there any more, psycopg.Error when the database
    fails; the caller rolls back.
    """
    ordered = sorted(messages, key=attrgetter("partition", "offset"))
    spans = spans_of(ordered)
    store.lock_feed(streams.stream)
    held = streams.positions(span.partition for span in spans)
    for span in spans:
        stands = held.get(span.partition)
        if stands is None or stands.next_offset != positions[span.partition].next_offset:
            raise Fenced(span.partition)
    delivery_id, sequence = store.next_delivery(streams.stream)
    begun_anew = streams.times_begun_anew(span.partition for span in spans)
    name = name_of(streams.checkpoint, spans, begun_anew)
    log_id = store.start_stage(streams.stream, "consume", "bronze", name)
    judge = Judge(stream, {each: position.newest for each, position in held.items()}, now)
    numbers = (delivery_id, sequence)
    delivery = _take_in(store, streams.stream, stream, judge, ordered, name, numbers)
    streams.add_spans(delivery_id, spans)
    reached = {
        span.partition: replace(
            source.reached(span.partition, span.next_offset), newest=judge.newest(span.partition)
        )
        for span in spans
    }
    for span in spans:
        if not streams.advance(span.partition, held[span.partition].next_offset,
                               reached[span.partition]):  # fmt: skip
            raise Fenced(span.partition)
    counts = StageCounts(
        rows_read=delivery.records,
        rows_written=delivery.rows,
        rows_dead_lettered=delivery.dead_letters,
    )
    store.finish_stage(log_id, "succeeded", counts)
    return Taken(delivery, reached)


def _take_in(
    store: Store,
    stream_name: str,
    stream: Stream,
    judge: Judge,
    messages: Sequence[Message],
    name: str,
    numbers: tuple[int, int],
) -> Delivery:
    feed = stream.as_feed()
    delivery_id, sequence = numbers
    intake = Intake(store, feed, delivery_id, None, kept_bytes=stream.max_record_bytes)
    try:
        intake.take_records(judge.records(messages))
        raw.summarise(store.connection, feed)
        partitions = {message.partition for message in messages}
        newest = max(filter(None, map(judge.newest, partitions)), default=None)
        delivery = Delivery(
            delivery_id=delivery_id,
            feed=stream_name,
            name=name,
            sha256=digest_of(messages),
            sequence=sequence,
            extracted_at=newest or judge.at,
            extracted_at_from="event time" if newest else "load",
            kind="events",
            records=intake.records,
            rows=intake.rows,
            dead_letters=len(intake.dead),
            bytes=sum(message.size for message in messages),
        )
        store.add_delivery(delivery)
        for letters in intake.dead.chunks():
            placed = [
                replace(
                    letter,
                    content_bytes=messages[letter.source_row - 1].size,
                    source_partition=messages[letter.source_row - 1].partition,
                    source_offset=messages[letter.source_row - 1].offset,
                )
                for letter in letters
            ]
            store.add_dead_letters(delivery_id, delivery.feed, name, placed)
    finally:
        intake.dead.close()
    return delivery


def spans_of(messages: Sequence[Message]) -> list[Span]:
    """Which offsets of which partitions these are; they come ordered by both."""
    spans = []
    row = 1
    for partition, each in groupby(messages, key=attrgetter("partition")):
        group = list(each)
        spans.append(Span(partition, group[0].offset, group[-1].next_offset, row, len(group)))
        row += len(group)
    return spans


def name_of(checkpoint: str, spans: Sequence[Span], begun_anew: int = 0) -> str:
    """`web/0@100-199,1@7-9`: a batch as monitoring.deliveries names it.

    After an accepted loss the same offsets may hold the same bytes once more: `web/0@0-9, anew 1`.
    """
    named = [f"{each.partition}@{each.first_offset}-{each.next_offset - 1}" for each in spans]
    more = len(named) - NAMED_PARTITIONS
    if more > 0:
        named = [*named[:NAMED_PARTITIONS], f"and {more} more"]
    again = f", anew {begun_anew}" if begun_anew else ""
    return f"{checkpoint}/{','.join(named)}{again}"


def digest_of(messages: Sequence[Message]) -> str:
    """The sha256 over place, size and bytes of every message."""
    digest = hashlib.sha256()
    for message in messages:
        digest.update(b"%b:%d:%d\n" % (message.partition.encode(), message.offset, message.size))
        digest.update(message.value)
    return digest.hexdigest()
