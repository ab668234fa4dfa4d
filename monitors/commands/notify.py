"""`rampart notify`, and the end of every run: send what is due.

A row is claimed and committed, sent outside any transaction, and marked after: killed between any
two steps nothing is lost, and at most the message in flight is sent again, under the same key. Each
channel is worked by a thread of its own, one message after the other, so that a channel that hangs
holds up neither the others nor the run for longer than the budget.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg

from monitors import log as logs
from monitors.alert.channels import Channel, open_channel
from monitors.alert.digest import digest_of
from monitors.alert.explain import still_there
from monitors.alert.lines import result_line
from monitors.alert.message import Message
from monitors.alert.retry import NOT_WORKING, wait_before_retry
from monitors.commands.record import channel_dataset, enqueue, job_result, record_jobs
from monitors.commands.runner import Runner
from monitors.config_channels import ChannelSettings
from monitors.errors import ChannelError, ExitCode, RampartError
from monitors.results import CheckResult, Layer
from monitors.store.incidents import Incidents
from monitors.store.migrate import migrate
from monitors.store.outbox import Claimed, NewAlert, Outbox
from monitors.store.postgres import Store
from monitors.warehouse.connection import connect

log = logs.get_logger("Notify")

BUDGET = timedelta(seconds=15)
"""How long the end of a run may take, whatever the channels do."""
ROUNDS = 2
"""A channel that does not work is an incident, which the others are told at once."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What one pass did."""

    run_id: str = ""
    sent: int = 0
    failed: int = 0
    """Tried again later."""
    parked: int = 0
    """Never taken as they are."""
    unfinished: tuple[str, ...] = ()
    """Channels that still hung when the time was over."""
    alerts: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        return ExitCode.RED if self.alerts else ExitCode.OK

    def plus(self, other: Sent) -> Sent:
        return Sent(
            self.run_id or other.run_id,
            self.sent + other.sent,
            self.failed + other.failed,
            self.parked + other.parked,
            tuple(dict.fromkeys((*self.unfinished, *other.unfinished))),
            tuple(dict.fromkeys((*self.alerts, *other.alerts))),
        )


class Notifier(Runner):
    """`rampart notify`: configure, send."""

    def notify(self, *, retry_parked: bool = False) -> Sent:
        """Send what is due now, as one run."""

        def job(store: Store) -> Sent:
            if retry_parked:
                Outbox(store.connection, self.config.environment).retry_parked(self.now())
                store.connection.commit()
            return replace(send_due(self, store, budget=timedelta(minutes=5)), run_id=self.run_id)

        return self.recorded("notify", job)

    def watch(self, every: timedelta, said: Callable[[Sent], None]) -> None:
        """Send what is due, again and again, until interrupted; a lost database is waited for."""
        while True:
            try:
                if self.is_something_due():
                    said(self.notify())
            except (RampartError, psycopg.Error) as error:
                log.warning("nothing can be sent now", error_message=str(error).splitlines()[0])
            time.sleep(every.total_seconds())

    def is_something_due(self) -> bool:
        """Without a run, so that a quiet hour leaves no rows."""
        with connect(self.target) as connection:
            migrate(connection)
            return _is_due(self, connection)


def send_due(runner: Runner, store: Store, *, budget: timedelta = BUDGET) -> Sent:
    """Ended snoozes, digests and messages that are due; commits. Never raises for a channel."""
    deadline = time.monotonic() + budget.total_seconds()
    done = Sent()
    for _ in range(ROUNDS):
        if not _is_due(runner, store.connection):
            store.connection.rollback()
            return done
        _end_snoozes(runner, store)
        _make_digests(runner, store)
        channels = _due(runner, store)
        this = _send(runner, channels, deadline)
        this = replace(this, alerts=_watch_channels(runner, store, channels))
        done = done.plus(this)
    return done


def _is_due(runner: Runner, connection: psycopg.Connection[tuple[Any, ...]]) -> bool:
    return Outbox(connection, runner.config.environment).is_something_due(runner.now())


# -------------------------------------------------------------------- what becomes due


def _end_snoozes(runner: Runner, store: Store) -> None:
    """Incidents that are still broken when their snooze is over are told again."""
    incidents = Incidents(store.connection, runner.config.environment, runner.run_id)
    incidents.lock()
    now = runner.now()
    for incident_id, event_id in incidents.end_snoozes(now):
        incident = incidents.get(incident_id)
        if incident is not None and incident.message is not None:
            before = Message.from_json(incident.message)
            enqueue(runner, store, still_there(incident, before, now), event_id, now)
    store.connection.commit()


def _make_digests(runner: Runner, store: Store) -> None:
    """What a channel collected becomes one message."""
    outbox = Outbox(store.connection, runner.config.environment)
    now = runner.now()
    for channel, rows in outbox.collected(now).items():
        message = digest_of([Message.from_json(each) for _, each in rows])
        digest = NewAlert(message.key, None, "digest", channel, message.as_json(), now)
        outbox.digest(digest, [outbox_id for outbox_id, _ in rows], now)
    store.connection.commit()


def _due(runner: Runner, store: Store) -> list[str]:
    outbox = Outbox(store.connection, runner.config.environment)
    found = outbox.due_channels(runner.now())
    store.connection.commit()
    return found


# -------------------------------------------------------------------- sending


def _send(runner: Runner, channels: Sequence[str], deadline: float) -> Sent:
    senders = [_Sender(runner, name, deadline) for name in channels]
    for each in senders:
        each.start()
    for each in senders:
        each.join(max(0.0, deadline - time.monotonic()))
    unfinished = tuple(each.channel for each in senders if each.is_alive())
    for name in unfinished:
        log.warning("channel takes too long; what is in flight is told again later", channel=name)
    done = Sent(unfinished=unfinished)
    for each in senders:
        done = done.plus(Sent(sent=each.sent, failed=each.failed, parked=each.parked))
    return done


class _Sender(threading.Thread):
    """Works one channel until nothing is due, the channel fails, or the time is over."""

    def __init__(self, runner: Runner, channel: str, deadline: float) -> None:
        super().__init__(name=f"channel {channel}", daemon=True)
        self.runner = runner
        self.channel = channel
        self.deadline = deadline
        self.sent = self.failed = self.parked = 0
        self._me = f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}:{id(self)}"
        self._open: Channel | None = None

    def run(self) -> None:
        try:
            with connect(self.runner.target, autocommit=True) as connection:
                outbox = Outbox(connection, self.runner.config.environment)
                while time.monotonic() < self.deadline and self._one(outbox):
                    pass
        except (RampartError, psycopg.Error) as error:
            log.warning("sending stopped", channel=self.channel, error_message=str(error))

    def _one(self, outbox: Outbox) -> bool:
        """Claim, send, mark. Whether to go on."""
        settings = self.runner.config.channels.get(self.channel)
        now = self.runner.now
        claimed = outbox.claim(self.channel, now(), _lease(settings), self._me)
        if claimed is None:
            return False
        started = now()
        try:
            self._deliver(claimed, settings)
        except ChannelError as error:
            return self._not_taken(outbox, claimed, started, error)
        if outbox.mark_sent(claimed, started, now(), self._me):
            log.info("alert sent", channel=self.channel, key=claimed.key, tries=claimed.tries + 1)
        self.sent += 1
        return True

    def _deliver(self, claimed: Claimed, settings: ChannelSettings | None) -> None:
        """Raises ChannelError, whatever goes wrong."""
        if settings is None:
            said = f"channel `{self.channel}` is not in rampart.yml any more"
            raise ChannelError(said, permanent=True)
        try:
            if self._open is None:
                self._open = open_channel(self.channel, settings)
            self._open.send(Message.from_json(claimed.message))
        except ChannelError:
            raise
        except Exception as error:
            said = f"channel `{self.channel}`: {type(error).__name__}: {error}"
            raise ChannelError(logs.masked(said)) from error

    def _not_taken(
        self, outbox: Outbox, claimed: Claimed, started: datetime, error: ChannelError
    ) -> bool:
        now, said = self.runner.now(), str(error)
        if error.permanent:
            outbox.park(claimed, started, now, self._me, said)
            self.parked += 1
            log.error("alert parked", channel=self.channel, key=claimed.key, error_message=said)
            return True
        wait = wait_before_retry(claimed.tries + 1, claimed.key, error.retry_after)
        outbox.mark_failed(claimed, started, now, self._me, said, now + wait)
        self.failed += 1
        log.warning("alert not sent, tried again", channel=self.channel, key=claimed.key,
                    seconds=round(wait.total_seconds()), error_message=said)  # fmt: skip
        return False  # whatever else waits for it would meet the same


def _lease(settings: ChannelSettings | None) -> timedelta:
    """Longer than a try can take, so that nobody else sends what is still on its way."""
    return timedelta(minutes=1) + 2 * (settings.timeout if settings else timedelta())


# -------------------------------------------------------------------- channels that do not work


def _watch_channels(runner: Runner, store: Store, channels: Sequence[str]) -> tuple[str, ...]:
    """A channel that takes nothing is an incident; its alert lines, one per channel."""
    outbox = Outbox(store.connection, runner.config.environment)
    states = {each.channel: each for each in outbox.channel_states()}
    results = []
    for name in channels:
        state = states.get(name)
        if state is None or name not in runner.config.channels:
            continue
        why = None
        if state.parked:
            counted = "1 alert" if state.parked == 1 else f"{state.parked:,} alerts"
            why = f"{counted} parked: {state.last_error}"
        elif state.failing >= NOT_WORKING:
            why = f"{state.failing} tries in a row failed: {state.last_error}"
        results.append(channel_result(name, why))
    record_jobs(runner, store, results)
    store.connection.commit()
    return tuple(result_line(each) for each in results if each.is_red)


def channel_result(name: str, why: str | None) -> CheckResult:
    """The verdict on a channel."""
    return job_result(
        f"alerts.channel.{name}",
        f"the channel {name} takes alerts",
        why,
        dataset=channel_dataset(name),
        layer=Layer.BRONZE,
    )
