"""The status page mounted on `rampart serve`: each answer reads what it needs, and no more."""

from __future__ import annotations

import threading
from datetime import datetime, timezone
from functools import partial
from urllib.parse import parse_qsl

from monitors import log as logs
from monitors.config import Config
from monitors.errors import ConnectionFailed
from monitors.show.page import UNAVAILABLE, Response, facts_of, is_page, respond, unavailable
from monitors.show.shared import Shared
from monitors.warehouse.connection import Connection
from monitors.warehouse.pool import ReadPool

log = logs.get_logger("Server")

KEPT = 32
"""So many answers are shared; each is at most a second old."""


class StatusPages:
    """What `/`, /dataset/, /incidents/ and /api/ answer; None for any other path."""

    def __init__(self, config: Config, pool: ReadPool) -> None:
        self.config = config
        self.pool = pool
        self._lock = threading.Lock()
        self._answers: dict[tuple[str, str], Shared[Response]] = {}

    def __call__(self, path: str, query: str) -> Response | None:
        # WSGI gives the bytes of a path as Latin-1
        path = path.encode("latin-1", "replace").decode("utf-8", "replace")
        return self._shared(path, query).get() if is_page(path) else None

    def _shared(self, path: str, query: str) -> Shared[Response]:
        """One answer for all who ask the same at the same time."""
        with self._lock:
            found = self._answers.pop((path, query), None)
            if found is None:
                found = Shared(
                    partial(self._answer, path, query),
                    failed=lambda response: response.status == UNAVAILABLE,
                )
            self._answers[path, query] = found
            while len(self._answers) > KEPT:
                del self._answers[next(iter(self._answers))]
            return found

    def _answer(self, path: str, query: str) -> Response:
        now, asked = datetime.now(timezone.utc), dict(parse_qsl(query))

        def read(connection: Connection) -> Response:
            facts = facts_of(
                connection,
                self.config.environment,
                now,
                oldest_scan=self.config.scan.within,
                volumes=self.config.volumes,
            )
            found = respond(path, asked, facts)
            assert found is not None  # noqa: S101 - it is a page
            return found

        try:
            return self.pool.read(read)
        except ConnectionFailed as error:
            log.warning("the page cannot be read", path=path, reason=str(error))
            is_json = path.startswith("/api/")
            return unavailable(self.config.environment, now, as_json=is_json)
