"""A topic of Kafka, read as a member of a consumer group.

The group shares out partitions; where to go on stands in the warehouse. The group's own offsets are
written after the commit, for tools that show lag, and are never read. `auto.offset.reset` is
`error`: an offset that the broker does not have any more is a loss, and nothing is skipped.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from monitors.arrival.stream import (
    POLL_BYTES,
    DataLoss,
    Loss,
    Message,
    SourceAway,
    SourceBusy,
    SourceUnusable,
)
from monitors.config_streams import Kafka
from monitors.errors import ConfigError
from monitors.log import ROOT, Seldom, get_logger
from monitors.store.streams import Position

try:
    from confluent_kafka import (
        Consumer,
        KafkaError,
        KafkaException,
        TopicPartition,
    )
except ImportError:
    raise ConfigError(
        "a stream from kafka needs its client: pip install 'rampart[kafka]'"
    ) from None

log = get_logger("Kafka")

ANSWER_SECONDS = 10.0
"""How long a broker may take to answer a question."""
AHEAD_KILOBYTES = 16 * 1024
"""How much of all partitions is fetched ahead; more than that waits at the broker."""
MOST_AT_ONCE = 5000

_GONE = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)
_USELESS = (
    KafkaError._AUTHENTICATION,
    KafkaError._FATAL,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
)


class KafkaSource:
    """See `Source`; a partition is named by its number.

    `secrets`: `password` and `key_password`, where the settings name one.
    """

    def __init__(self, settings: Kafka, secrets: Mapping[str, str]) -> None:
        self.topic = settings.topic
        self.settings = settings
        self.generation = 0
        self._owned: set[int] = set()
        self._unplaced: set[int] = set()
        self._next: dict[int, int] = {}
        self._at_end: set[int] = set()
        self._was_assigned = False
        self._average = 1024.0
        self._raised: DataLoss | SourceUnusable | None = None
        self._down: str | None = None
        self._seldom = Seldom()
        self._consumer = Consumer(
            {**_client(settings, secrets), "error_cb": self._on_error}, logger=_client_log()
        )
        try:
            self._look_up_topic()
        except SourceUnusable:
            self._consumer.close()
            raise
        self._consumer.subscribe(
            [self.topic],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_revoke,
        )

    # ---------------------------------------------------------------- what is ours

    @property
    def partitions(self) -> frozenset[str]:
        return frozenset(map(str, self._owned))

    @property
    def problem(self) -> str | None:
        """Asks the brokers, when they were away."""
        if self._down is None and self._was_assigned:
            return None
        try:
            self._look_up_topic()
        except SourceUnusable as error:
            return str(error)
        self._down = None
        return None if self._was_assigned else "the group has given no partitions yet"

    def unplaced(self) -> frozenset[str]:
        return frozenset(map(str, self._unplaced))

    def start_of(self, partition: str) -> Position:
        low, high = self._ends(int(partition))
        return Position(low if self.settings.start == "earliest" else high)

    def seek(self, positions: Mapping[str, Position]) -> list[Loss]:
        losses = []
        for partition, position in positions.items():
            number, wanted = int(partition), position.next_offset
            if number not in self._owned:
                continue
            low, high = self._ends(number)
            if wanted < low:
                losses.append(Loss(partition, wanted, low, _first_is(low)))
                continue
            if wanted > high:
                why = f"the topic ends at {high}: it was cut, or made anew"
                losses.append(Loss(partition, wanted, low, why))
                continue
            self._next[number] = wanted
            self._unplaced.discard(number)
            self._at_end.discard(number)
        placed = [self._at(number, at) for number, at in self._next.items()
                  if number in self._owned and number not in self._unplaced]  # fmt: skip
        waiting = [self._at(number, 0) for number in self._unplaced]
        self._consumer.assign(placed + waiting)
        if waiting:
            self._consumer.pause(waiting)
        if placed:
            self._consumer.resume(placed)
        return losses

    # ---------------------------------------------------------------- reading

    def poll(self, most: int, seconds: float) -> list[Message]:
        self._raise_what_waits()
        fitting = max(1, int(POLL_BYTES / self._average))
        found = self._consumer.consume(min(most, fitting, MOST_AT_ONCE), seconds)
        messages: list[Message] = []
        held = 0
        for each in found:
            number, error = each.partition(), each.error()
            if error is not None:
                self._take_error(-1 if number is None else number, error)
                continue
            if number in self._unplaced or number not in self._owned or self._raised:
                continue  # fetched before it was known where to go on, or behind a loss
            offset, value = each.offset(), each.value() or b""
            if number is None or offset is None:
                continue
            if offset != self._next[number] and self._lost_before(number, offset):
                continue
            kind, milliseconds = each.timestamp()
            moment = milliseconds / 1000 if kind else None
            messages.append(Message(str(number), offset, offset + 1, value, len(value), moment))
            self._next[number] = offset + 1
            held += len(value)
        if messages:
            self._down = None
            self._average = max(64.0, 0.5 * self._average + 0.5 * held / len(messages))
        else:
            self._raise_what_waits()
        return messages

    def _raise_what_waits(self) -> None:
        if self._raised is not None:
            raised, self._raised = self._raised, None
            raise raised

    def _take_error(self, number: int, error: KafkaError) -> None:
        code = error.code()
        if code == KafkaError._PARTITION_EOF:
            self._at_end.add(number)
            self._down = None
        elif code in _GONE:
            if number in self._owned and number not in self._unplaced:
                self._raised = DataLoss([self._loss_at(number)])
        elif code in _USELESS or error.fatal():
            self._raised = SourceUnusable(f"topic {self.topic}: {error.str()}")
        else:
            log.warning("broker reports", topic=self.topic, partition=number, reason=error.str())

    def _loss_at(self, number: int) -> Loss:
        wanted = self._next[number]
        try:
            low, _high = self._ends(number)
        except SourceBusy:
            return Loss(str(number), wanted, wanted, "and the broker does not have it")
        return Loss(str(number), wanted, low, _first_is(low))

    def _lost_before(self, number: int, offset: int) -> bool:
        """A gap is a loss when the broker's first offset lies beyond what we wanted next; else it
        is a compacted topic, or marks of transactions."""
        wanted = self._next[number]
        if offset < wanted:
            return True  # fetched before a seek
        low, _high = self._known_ends(number)
        if low <= wanted:
            return False
        self._raised = DataLoss([Loss(str(number), wanted, low, _first_is(low))])
        return True

    def reached(self, partition: str, next_offset: int) -> Position:
        return Position(next_offset)

    def forget(self) -> None:
        self._unplaced = set(self._owned)
        self._at_end.clear()
        self.pause()

    def pause(self) -> None:
        if self._owned:
            self._consumer.pause([self._at(number) for number in self._owned])

    def taken(self, positions: Mapping[str, int]) -> None:
        """For people's lag tools: whether it succeeds does not matter here."""
        offsets = [self._at(int(partition), at) for partition, at in positions.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            log.debug("the group's offsets stay behind", reason=str(error))

    def is_full(self) -> bool:
        return False

    def is_at_end(self) -> bool:
        return self._was_assigned and not self._unplaced and self._owned <= self._at_end

    def lag(self, positions: Mapping[str, int]) -> int | None:
        behind = 0
        for partition, at in positions.items():
            _low, high = self._known_ends(int(partition))
            if high < 0:
                return None
            behind += max(0, high - at)
        return behind

    def close(self) -> None:
        self._consumer.close()

    # ---------------------------------------------------------------- the client

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Nothing is read before the warehouse has said where to go on."""
        self.generation += 1
        self._was_assigned = True
        self._owned = {each.partition for each in partitions}
        self._unplaced = set(self._owned)
        self._at_end.clear()
        at = [self._at(number, 0) for number in self._owned]
        consumer.assign(at)
        if at:
            consumer.pause(at)
        log.info("partitions assigned", topic=self.topic, partitions=sorted(self._owned))

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """What was read of them is void: whoever has them now reads it again."""
        self.generation += 1
        gone = {each.partition for each in partitions}
        self._owned -= gone
        self._unplaced -= gone
        log.info("partitions revoked", topic=self.topic, partitions=sorted(gone))

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in _USELESS:
            self._raised = SourceUnusable(f"{self.settings.brokers}: {error.str()}")
        elif error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._down = error.str()
        if self._seldom.lets(error.str()):
            log.warning("client reports", brokers=self.settings.brokers, reason=error.str())

    def _at(self, number: int, offset: int = -1001) -> TopicPartition:
        return TopicPartition(self.topic, number, offset)

    def _ends(self, number: int) -> tuple[int, int]:
        """(first offset that there is, the one after the last). Raises SourceBusy."""
        try:
            ends = self._consumer.get_watermark_offsets(self._at(number), timeout=ANSWER_SECONDS)
        except KafkaException as error:
            raise SourceBusy(f"partition {number}: {error.args[0].str()}") from None
        if ends is None:
            raise SourceBusy(f"partition {number}: no answer within {ANSWER_SECONDS:.0f} s")
        return int(ends[0]), int(ends[1])

    def _known_ends(self, number: int) -> tuple[int, int]:
        """The same as the client remembers it; negative where it does not."""
        try:
            ends = self._consumer.get_watermark_offsets(self._at(number), cached=True)
        except KafkaException:
            return -1, -1
        return (int(ends[0]), int(ends[1])) if ends else (-1, -1)

    def _look_up_topic(self) -> None:
        brokers = self.settings.brokers
        try:
            found = self._consumer.list_topics(self.topic, timeout=ANSWER_SECONDS)
        except KafkaException as error:
            kind = SourceUnusable if error.args[0].code() in _USELESS else SourceAway
            raise kind(f"brokers {brokers}: {error.args[0].str()}") from None
        wrong = found.topics[self.topic].error
        if wrong is not None:
            raise SourceUnusable(f"brokers {brokers}: topic {self.topic}: {wrong.str()}")


def _client_log() -> logging.Logger:
    """A client without brokers repeats itself many times a second."""
    found = logging.getLogger(f"{ROOT}.librdkafka")
    for old in list(found.filters):
        found.removeFilter(old)
    seldom = Seldom()
    found.addFilter(lambda record: seldom.lets(record.getMessage()))
    return found


def _first_is(low: int) -> str:
    return f"the first one that the broker has is {low}"


def _client(settings: Kafka, secrets: Mapping[str, str]) -> dict[str, Any]:
    security = settings.security
    session = int(settings.session_timeout.total_seconds() * 1000)
    named: dict[str, Any] = {
        "bootstrap.servers": settings.brokers,
        "client.id": "rampart",
        "group.id": settings.group,
        "session.timeout.ms": session,
        "heartbeat.interval.ms": min(3000, session // 3),
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "allow.auto.create.topics": False,
        "isolation.level": "read_committed",
        "partition.assignment.strategy": "range",
        "queued.max.messages.kbytes": AHEAD_KILOBYTES,
        "socket.keepalive.enable": True,
        "log_level": 4,
    }
    if security is None:
        return named
    of_security = {
        "security.protocol": security.protocol,
        "sasl.mechanism": security.mechanism if security.protocol != "SSL" else None,
        "sasl.username": security.username,
        "sasl.password": secrets.get("password"),
        "ssl.ca.location": security.ca_file,
        "ssl.certificate.location": security.certificate_file,
        "ssl.key.location": security.key_file,
        "ssl.key.password": secrets.get("key_password"),
    }
    return named | {key: value for key, value in of_security.items() if value is not None}
