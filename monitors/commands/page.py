"""The status page mounted on `rampart serve`: each answer reads what it needs, and no more."""

from __future__ import annotations

from datetime import datetime, timezone
from urllib.parse import parse_qsl

from monitors import log as logs
from monitors.config import Config
from monitors.errors import ConnectionFailed
from monitors.show.page import Response, facts_of, is_page, respond, unavailable
from monitors.warehouse.pool import ReadPool

log = logs.get_logger("Server")


class StatusPages:
    """What `/`, /dataset/, /incidents/ and /api/ answer; None for any other path."""

    def __init__(self, config: Config, pool: ReadPool) -> None:
        self.config = config
        self.pool = pool

    def __call__(self, path: str, query: str) -> Response | None:
        # WSGI gives the bytes of a path as Latin-1
        path = path.encode("latin-1", "replace").decode("utf-8", "replace")
        if not is_page(path):
            return None
        config, now = self.config, datetime.now(timezone.utc)
        asked = dict(parse_qsl(query))
        try:
            return self.pool.read(
                lambda connection: respond(
                    path,
                    asked,
                    facts_of(connection, config.environment, now, oldest_scan=config.scan.within),
                )
            )
        except ConnectionFailed as error:
            log.warning("the page cannot be read", path=path, reason=str(error))
            as_json = path.startswith("/api/")
            return unavailable(config.environment, now, as_json=as_json)
