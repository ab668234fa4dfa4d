"""The warehouse of a consumer: it may go away, and comes back as a new connection."""

from __future__ import annotations

from contextlib import suppress

import psycopg

from monitors import log as logs
from monitors.commands.feeds import prepare_feeds
from monitors.commands.job_verdicts import teller
from monitors.commands.journal import take_in_spool
from monitors.commands.notify import send_due
from monitors.commands.record import job_result, record_jobs
from monitors.commands.runner import Runner
from monitors.config_streams import Stream
from monitors.errors import ConnectionFailed, EmbeddedPostgresError, UsageError
from monitors.results import Layer
from monitors.store.migrate import MigrationError, migrate
from monitors.store.postgres import StageCounts, Store
from monitors.store.streams import Streams
from monitors.warehouse.connection import Connection, connect, resolve_target

log = logs.get_logger("Consumer")

AWAY = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,  # a standby that is being promoted
    psycopg.errors.DiskFull,
    ConnectionFailed,
    EmbeddedPostgresError,
    MigrationError,
)
"""What passes: the server is down, restarts, is full, or says that somebody else was first."""


class Session:
    """One run of one consumer; each connection has its store. Nothing is open before `open`."""

    def __init__(self, runner: Runner, name: str, stream: Stream) -> None:
        self.runner = runner
        self.name = name
        self.stream = stream
        self._context = runner.run_context()
        self._connection: Connection | None = None
        self._is_begun = False

    def open(self) -> None:
        """Connect, for the first time or anew. Raises one of AWAY."""
        self.close()
        connection = connect(resolve_target(self.runner.config.root))
        self._connection = connection
        migrate(connection)
        self.store = Store(connection, self._context)
        self.streams = Streams(connection, self._context.run_id, self.name, self.stream.checkpoint)
        if not self._is_begun:
            self._begin(connection)

    @property
    def connection(self) -> Connection:
        assert self._connection is not None  # noqa: S101 - `open` comes first
        return self._connection

    def finish(self, exit_code: int, error: tuple[str, str] | None = None) -> None:
        """The end of the run, if the warehouse can be told; `error`: its type and message."""
        try:
            if self.connection.closed:
                self.open()
            self.connection.rollback()
            if error is not None:
                log_id = self.store.start_stage(self.name, "consume", "bronze", self.name)
                counts = StageCounts(error_type=error[0], error_message=error[1])
                self.store.finish_stage(log_id, "failed", counts)
            self.store.finish_run(exit_code)
            self.connection.commit()
            self._tell(error[1] if error else None)
        except AWAY as away:
            log.error("the end of the run is not recorded", reason=str(away).splitlines()[0])

    def close(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()

    def _tell(self, why: str | None) -> None:
        """The end as a verdict: a failure is an incident, and the next good end closes it."""
        check_id, title = f"job.consume.{self.name}", f"stream {self.name} can be consumed"
        said = logs.masked(why) if why else None
        result = job_result(check_id, title, said, dataset=self.name, layer=Layer.BRONZE)
        record_jobs(self.runner, self.store, [result])
        send_due(self.runner, self.store)

    def _begin(self, connection: Connection) -> None:
        take_in_spool(connection, self.runner.config.root, teller(self.runner))
        self.store.start_run("consume")
        prepare_feeds(self.runner, self.store)
        owner = self.streams.register()
        connection.commit()
        self._is_begun = True
        if owner != self.name:
            raise UsageError(
                f"stream {self.name}: checkpoint `{self.stream.checkpoint}` belongs to the stream"
                f" `{owner}`: give it another name, or call the stream so again"
            )
