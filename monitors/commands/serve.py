"""`rampart serve`: what the store knows, over HTTP; reads only, and outlives its database."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

from monitors import log as logs
from monitors.commands.page import StatusPages
from monitors.config import Config
from monitors.errors import ConfigError, ConnectionFailed, ExitCode, UsageError
from monitors.show.exporter import Limits, Look, StoreCollector, look_at
from monitors.show.health import HealthLook
from monitors.show.server import LOOPBACK, Application, Pages, Site, front_page, run_server
from monitors.show.shared import Shared
from monitors.store.figures import read_figures, read_health
from monitors.warehouse.connection import resolve_target
from monitors.warehouse.pool import ReadPool
from monitors.warehouse.target import Target

log = logs.get_logger("Server")

TOKEN_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Access:
    """Where it listens and who may ask."""

    host: str
    port: int
    token: str | None = None
    anonymous: bool = False

    @property
    def is_local(self) -> bool:
        return self.host in LOOPBACK

    def check(self) -> None:
        """Raises UsageError: whoever can reach another address could read everything."""
        if not (self.is_local or self.token or self.anonymous):
            raise UsageError(
                f"{self.host} can be reached from elsewhere: give --token-file FILE"
                " (RAMPART_SERVE_TOKEN_FILE), or --allow-anonymous to show everything to anybody"
            )


def read_token(path: Path) -> str:
    """The first line of a file, which then stands in no log. Raises ConfigError."""
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ConfigError(f"--token-file: {path} cannot be read ({reason})") from None
    if len(token) < TOKEN_LENGTH or not token.isascii() or len(token.split()) != 1:
        raise ConfigError(
            f"--token-file: {path}: allowed is one line of {TOKEN_LENGTH} or more ASCII characters"
            " without blanks, like `openssl rand -hex 32` gives"
        )
    logs.hide(token)
    return token


class Watch:
    """What the server answers with: one bounded pool, one look for all who ask at once."""

    def __init__(self, config: Config, target: Target | None = None) -> None:
        self.config = config
        serve = config.serve
        self.pool = ReadPool(
            target or resolve_target(config.root),
            size=serve.connections,
            statement_timeout=serve.statement_timeout,
        )
        limits = Limits(config.environment, serve.max_checks, config.scan.within)
        looks: Shared[Look] = Shared(self._look, failed=lambda look: look.figures is None)
        self.collector = StoreCollector(looks.get, limits)
        self._health: Shared[HealthLook] = Shared(
            self._health_look, failed=lambda look: look.facts is None
        )

    def health(self) -> HealthLook:
        return self._health.get()

    def site(self, access: Access, pages: Pages = front_page) -> Site:
        """What the application needs."""
        local = access.is_local and access.token is None and not access.anonymous
        return Site(
            metrics=self.collector.render,
            health=self.health,
            pages=pages,
            scan_within=self.config.scan.within,
            token=access.token,
            hosts=LOOPBACK if local else None,
        )

    def _look(self) -> Look:
        def read() -> Any:
            return self.pool.read(lambda each: read_figures(each, self.config.environment))

        look = look_at(read, ConnectionFailed)
        if look.reason is not None:
            log.warning("the store cannot be read", reason=look.reason)
        return look

    def _health_look(self) -> HealthLook:
        now = datetime.now(timezone.utc)
        try:
            facts, newest = self.pool.read(lambda each: read_health(each, self.config.environment))
        except ConnectionFailed as error:
            return HealthLook(now, reason=str(error))
        return HealthLook(now, facts, newest)


class Pushing(Protocol):
    """Something that goes on beside the server until it is closed."""

    def close(self) -> None: ...


Push = Callable[[StoreCollector], Pushing]


def otlp_push(url: str, every: float) -> Push:
    """Push the same figures over OTLP. Raises UsageError without the extra `otel`."""
    from monitors.show.otlp import Pusher

    return lambda collector: Pusher(collector, url, every, collector.limits.environment)


def serve(
    config: Config, access: Access, say: Callable[[str, int], None], push: Push | None = None
) -> int:
    """Serve until SIGINT or SIGTERM; 130 or 143. `say` hears where it listens.

    Raises UsageError when the address cannot be used.
    """
    access.check()
    watch = Watch(config)
    pushing = push(watch.collector) if push is not None else None
    try:
        with _signals() as code:
            pages = StatusPages(config, watch.pool)
            run_server(Application(watch.site(access, pages)), access.host, access.port, say)
    finally:
        if pushing is not None:
            pushing.close()
        watch.pool.close()
    log.info("server stopped", exit_code=int(code[0]))
    return code[0]


@contextmanager
def _signals() -> Iterator[list[int]]:
    """The server's loop ends on SystemExit and forgets its code, so it is kept here."""
    code: list[int] = [ExitCode.INTERRUPTED]

    def stop(number: int, _frame: Any) -> None:
        code[0] = ExitCode.TERMINATED if number == signal.SIGTERM else ExitCode.INTERRUPTED
        raise SystemExit(int(code[0]))

    before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
