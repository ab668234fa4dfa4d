"""`rampart consume`: a stream into raw, in micro-batches, each exactly once.

The loop: learn from the warehouse where to go on, collect a batch, commit it with its offsets,
give a sign of life. Whatever goes wrong in between, what was not committed is read again.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from time import monotonic, sleep

import psycopg
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay
from tenacity.wait import wait_exponential_jitter

from monitors import log as logs
from monitors.alert.lines import alert_line
from monitors.alert.secret import read_secret
from monitors.arrival.dead_folder import write_letters
from monitors.arrival.stream import (
    DataLoss,
    Loss,
    Message,
    Source,
    SourceAway,
    SourceBusy,
    SourceUnusable,
)
from monitors.arrival.stream_batch import Fenced, take_batch
from monitors.arrival.stream_folder import FolderSource
from monitors.commands.runner import Runner
from monitors.commands.stream_session import AWAY, Session
from monitors.config_streams import DEAD_LETTERS, Stream
from monitors.errors import ChannelError, ConfigError, ExitCode, RampartError, UsageError
from monitors.store.streams import Beat, Position

log = logs.get_logger("Consumer")

BEAT_SECONDS = 5.0
"""monitoring.stream_heartbeats is renewed so often."""
POLL_SECONDS = 0.2
NAP_SECONDS = 0.1
BATCH_BYTES = 32 * 1024 * 1024
"""A batch of large messages ends here, whatever max_records_per_batch says."""
LONGEST_PAUSE = 15.0
"""Between two tries to reach the warehouse."""
BUSY_SECONDS = 1.0
STUCK_SECONDS = 60.0
"""Who waits for the end of a source that gives nothing for so long asks what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Somebody takes the responsibility for messages that are gone."""

    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Until:
    """When to end by itself; neither: never. `stop` gives the exit code once it should."""

    once: bool = False
    idle: float | None = None
    """So many seconds without a message."""
    stop: Callable[[], int | None] = lambda: None


@dataclass(frozen=True, slots=True)
class Consumed:
    """What one consumer did."""

    run_id: str
    stream: str
    batches: int = 0
    records: int = 0
    rows: int = 0
    dead_letters: int = 0
    losses_accepted: int = 0
    exit_code: int = ExitCode.OK
    alerts: tuple[str, ...] = ()


class WarehouseAway(RampartError):
    """The warehouse stayed away for longer than the stream waits."""


class Consumers(Runner):
    """Read streams: configure, consume one, look at what it did."""

    def consume(
        self, name: str | None = None, *, until: Until = Until(), accept: Acceptance | None = None
    ) -> Consumed:
        """Consume until told to stop. Raises RampartError when it cannot start."""
        name = name or self._only_stream()
        stream = self.config.stream(name)
        if accept is not None and not accept.why.strip():
            raise UsageError("--why: who accepts a loss says why")
        session = Session(self, name, stream)
        session.open()
        try:
            source = self._source(name, stream)
        except RampartError as error:
            session.finish(error.exit_code, (type(error).__name__, str(error)))
            session.close()
            if not isinstance(error, SourceAway):
                raise
            line = alert_line("stream failure", f"{name}: {error}")
            return Consumed(self.run_id, name, exit_code=ExitCode.RED, alerts=(line,))
        consumer = _Consumer(self, session, source, until, accept)
        try:
            return consumer.run()
        finally:
            source.close()
            session.close()

    def _only_stream(self) -> str:
        names = list(self.config.streams)
        if len(names) != 1:
            known = ", ".join(sorted(names)) or "none: there is no `streams:`"
            raise UsageError(f"say which stream; rampart.yml has {known}")
        return names[0]

    def _source(self, name: str, stream: Stream) -> Source:
        if stream.folder is not None:
            return FolderSource(
                self.config.root,
                stream.folder.path,
                max_files=stream.max_files_per_trigger,
                max_record_bytes=stream.max_record_bytes,
            )
        assert stream.kafka is not None  # noqa: S101 - a stream has one of both
        from monitors.arrival.stream_kafka import KafkaSource

        return KafkaSource(stream.kafka, _secrets_of(name, stream))


class _Consumer:
    """One consumer of one stream, from its first position to its end."""

    def __init__(
        self,
        runner: Runner,
        session: Session,
        source: Source,
        until: Until,
        accept: Acceptance | None,
    ) -> None:
        self.runner = runner
        self.session = session
        self.source = source
        self.until = until
        self.accept = accept
        self.stream = session.stream
        self.done = Consumed(runner.run_id, session.name)
        self.id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self.positions: dict[str, Position] = {}
        self._loss: DataLoss | None = None
        self._has_letters = self.stream.dlq_path != DEAD_LETTERS
        self._unwritten: str | None = None
        self._wrote_at = -BEAT_SECONDS
        self._failures = 0
        self._failed_at = self._failing_since = 0.0
        self._last_message = monotonic()
        self._last_beat = -BEAT_SECONDS

    def run(self) -> Consumed:
        """Until it is told to stop, or cannot go on."""
        name, error = self.session.name, None
        code: int = ExitCode.OK
        try:
            code = self._loop()
            # who ends by itself says that it saw everything, and must be able to say so
            why = self.source.problem if code == ExitCode.OK else None
            if why := why or self._unwritten:
                code, error = ExitCode.RED, ("SOURCE", why)
                self._alert("stream failure", f"{name}: {why}")
        except DataLoss as loss:
            code, error = ExitCode.RED, ("DATA_LOSS", str(loss))
            self._alert(
                "stream data loss",
                f"{name}: partition {loss}; nothing is skipped: `rampart consume {name}"
                ' --accept-loss --why "..."` goes on without it',
            )
        except (WarehouseAway, SourceUnusable) as failure:
            code, error = failure.exit_code, (type(failure).__name__, str(failure))
            self._alert("stream failure", f"{name}: {failure}")
        except psycopg.Error as failure:
            said = " ".join(str(failure).split())
            code, error = ExitCode.RED, (type(failure).__name__, said)
            self._alert("stream failure", f"{name}: {said}")
        except BaseException as stopped:
            code = int(getattr(stopped, "code", None) or ExitCode.RED)
            if isinstance(stopped, Exception):
                error = (type(stopped).__name__, str(stopped))
            raise
        finally:
            self._say_goodbye()
            self.session.finish(code, error)
        log.info("consumer ended", stream=name, exit_code=int(code), **self._counts())
        return replace(self.done, exit_code=code)

    def _loop(self) -> int:
        while True:
            try:
                self._place()
                messages = self._collect()
                if messages:
                    self._commit(messages)
                if self._loss is not None:
                    raise self._loss
                self._export_letters()
                self._beat()
            except Fenced as fenced:
                log.info("batch dropped: another consumer took it", partition=str(fenced))
                with suppress(psycopg.Error):  # the next statement says so again
                    self.session.connection.rollback()
                self.source.forget()
            except SourceBusy as busy:
                log.warning("source does not answer", stream=self.session.name, reason=str(busy))
                self._wait(BUSY_SECONDS)
            except AWAY as error:
                self._recover(error)
            if (code := self.until.stop()) is not None:
                return code
            if self._is_done():
                return ExitCode.OK

    def _is_done(self) -> bool:
        silent = monotonic() - self._last_message
        if self.until.once:
            stuck = silent >= STUCK_SECONDS and self.source.problem is not None
            return stuck or self.source.is_at_end()
        if self.until.idle is None or silent < self.until.idle:
            return False
        return bool(self.source.partitions) or silent >= STUCK_SECONDS

    # ---------------------------------------------------------------- where to go on

    def _place(self) -> None:
        """Tell the source where its partitions stand, by the warehouse. Raises DataLoss."""
        while unplaced := self.source.unplaced():
            streams, connection = self.session.streams, self.session.connection
            known = streams.known()
            starts = {each: self.source.start_of(each) for each in sorted(unplaced - known.keys())}
            streams.begin(starts)
            positions = streams.positions(unplaced)
            connection.commit()
            losses = self.source.seek(positions)
            self.positions = {
                each: at for each, at in self.positions.items() if each in self.source.partitions
            } | positions
            if losses and self.accept is None:
                raise DataLoss(losses)
            if losses and self.accept is not None:
                self._accept(self.accept, losses)
                continue
            self._last_message = monotonic()
            log.debug("positions read", stream=self.session.name, partitions=len(positions))
        if self.source.partitions:
            self.accept = None  # it was given for what is known now, and for nothing later

    def _accept(self, accept: Acceptance, losses: list[Loss]) -> None:
        for loss in losses:
            at = self.positions[loss.partition]
            # what begins anew has event times of its own
            newest = at.newest if loss.first >= loss.expected else None
            self.session.streams.advance(
                loss.partition, at.next_offset, Position(loss.first, newest)
            )
            self.session.streams.add_loss(
                loss.partition, loss.expected, loss.first,
                said=str(loss), by=accept.by, why=accept.why,
            )  # fmt: skip
            log.warning("loss accepted", partition=loss.partition, by=accept.by, why=accept.why)
        self.session.connection.commit()
        accepted = self.done.losses_accepted + len(losses)
        self.done = replace(self.done, losses_accepted=accepted)

    # ---------------------------------------------------------------- one batch

    def _collect(self) -> list[Message]:
        """A full batch, or what came within the trigger interval; nothing, if it became void."""
        generation = self.source.generation
        messages: list[Message] = []
        held, until = 0, 0.0
        while self.until.stop() is None:
            room = self.stream.max_records_per_batch - len(messages)
            try:
                found = self.source.poll(room, POLL_SECONDS)
            except DataLoss as loss:
                self._loss = loss  # what came before it is taken first
                break
            if self.source.generation != generation:
                self.source.forget()
                return []
            if found:
                until = until or monotonic() + self.stream.trigger_interval.total_seconds()
                messages += found
                held += sum(message.size for message in found)
                self._last_message = monotonic()
            if len(messages) >= self.stream.max_records_per_batch or held >= BATCH_BYTES:
                break
            if not messages or monotonic() >= until:
                break
            if not found and (self.source.is_full() or self._is_at_end()):
                break
            self._beat()
        return messages

    def _is_at_end(self) -> bool:
        """Whoever waits for the end does not wait for a batch to be full."""
        is_waiting = self.until.once or self.until.idle is not None
        return is_waiting and self.source.is_at_end()

    def _commit(self, messages: list[Message]) -> None:
        """The batch, with its offsets, in one transaction. Raises Fenced."""
        session, name = self.session, self.session.name
        with logs.stage(log, "consume", stream=name) as metrics:
            taken = take_batch(
                session.store, session.streams, self.stream, self.source, messages,
                self.positions, self.runner.now(),
            )  # fmt: skip
            session.connection.commit()
            delivery = taken.delivery
            metrics.update(
                source=delivery.name,
                rows_read=delivery.records,
                rows_written=delivery.rows,
                rows_dead_lettered=delivery.dead_letters,
                bytes=delivery.bytes,
            )
        self._failures = 0
        self.positions |= taken.positions
        self.source.taken({each: at.next_offset for each, at in taken.positions.items()})
        self.done = replace(
            self.done,
            batches=self.done.batches + 1,
            records=self.done.records + delivery.records,
            rows=self.done.rows + delivery.rows,
            dead_letters=self.done.dead_letters + delivery.dead_letters,
        )
        if delivery.dead_letters and self.stream.dlq_path != DEAD_LETTERS:
            self._has_letters = True

    def _export_letters(self) -> None:
        """Into the folder of dlq_path what stands in the table; what cannot be written waits."""
        if not self._has_letters or (
            self._unwritten and monotonic() - self._wrote_at < BEAT_SECONDS
        ):
            return
        self._wrote_at = monotonic()
        streams, connection = self.session.streams, self.session.connection
        folder = self.runner.config.root / self.stream.dlq_path
        try:
            for delivery_id in streams.to_export():
                letters = streams.letters(delivery_id)
                write_letters(folder, self.session.name, delivery_id, letters)
                streams.exported(delivery_id)
            self._has_letters, self._unwritten = False, None
        except OSError as error:
            self._unwritten = f"dead letters cannot be written to {folder}: {error.strerror}"
            log.error("dead letters wait in the table", reason=self._unwritten)
        connection.commit()

    # ---------------------------------------------------------------- signs of life

    def _beat(self) -> None:
        if monotonic() - self._last_beat < BEAT_SECONDS:
            return
        self._last_beat = monotonic()
        mine = {
            each: at.next_offset
            for each, at in self.positions.items()
            if each in self.source.partitions
        }
        lag = self.source.lag(mine)
        partitions = len(self.source.partitions)
        beat = Beat(
            self.id,
            socket.gethostname(),
            os.getpid(),
            "consuming" if partitions else "waiting",
            partitions,
            self.done.records,
            lag,
        )
        self.session.streams.beat(beat)
        self.session.connection.commit()

    def _say_goodbye(self) -> None:
        try:
            if not self.session.connection.closed:
                self.session.connection.rollback()
                self.session.streams.end_beat(self.id)
                self.session.connection.commit()
        except psycopg.Error as error:
            log.debug("heartbeat stays", reason=str(error))

    # ---------------------------------------------------------------- when it goes wrong

    def _recover(self, error: BaseException) -> None:
        """Keep the position and the membership, and try again until the declared time is over.

        Raises WarehouseAway.
        """
        limit = self.stream.give_up_after.total_seconds()
        began = monotonic()
        if not self._failures or began - self._failed_at > limit:
            self._failures, self._failing_since = 0, began
        self._failures += 1
        reason = logs.masked(" ".join(str(error).split()))
        log.warning("warehouse away", stream=self.session.name, reason=reason)
        self.source.forget()
        self._wait(min(0.1 * 2 ** min(self._failures, 10), LONGEST_PAUSE))
        left = max(0.1, limit - (monotonic() - self._failing_since))
        tries = Retrying(
            retry=retry_if_exception_type(AWAY),
            stop=lambda state: self.until.stop() is not None or stop_after_delay(left)(state),
            wait=wait_exponential_jitter(initial=0.2, max=LONGEST_PAUSE),
            sleep=self._wait,
            before_sleep=_say_try,
            reraise=True,
        )
        try:
            if monotonic() - self._failing_since > limit:
                raise error
            tries(self.session.open)
        except AWAY as last:
            if self.until.stop() is None:
                said = logs.masked(" ".join(str(last).split()))
                raise WarehouseAway(
                    f"the warehouse was away for {self.stream.give_up_after}: {said}"
                ) from None
        self._failed_at = self._last_message = monotonic()

    def _wait(self, seconds: float) -> None:
        """Sleep, and stay a member of the group; whatever comes meanwhile is read again."""
        until = monotonic() + seconds
        while monotonic() < until and self.until.stop() is None:
            with suppress(DataLoss, SourceUnusable):  # seen again when somebody can be told
                self.source.poll(1, 0.0)
            self.source.forget()
            sleep(NAP_SECONDS)

    def _alert(self, what: str, why: str) -> None:
        self.done = replace(self.done, alerts=(*self.done.alerts, alert_line(what, why)))

    def _counts(self) -> dict[str, int]:
        names = ("batches", "records", "rows", "dead_letters")
        return {name: getattr(self.done, name) for name in names}


def _say_try(state: RetryCallState) -> None:
    log.debug("warehouse still away", attempt=state.attempt_number)


def _secrets_of(name: str, stream: Stream) -> dict[str, str]:
    """The secrets of a topic. Raises ConfigError."""
    security = stream.kafka.security if stream.kafka else None
    if security is None:
        return {}
    named = {"password": security.password, "key_password": security.key_password}
    try:
        return {
            key: read_secret(secret, f"streams.{name}.kafka.security.{key}")
            for key, secret in named.items()
            if secret is not None
        }
    except ChannelError as error:
        raise ConfigError(str(error)) from None
