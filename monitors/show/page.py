"""The status page as a function: path and query in, status, content type, bytes and headers out.

Any server can mount it; it reads through `Facts` and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from monitors.config_volumes import Volume
from monitors.show import page_api, page_render
from monitors.show.page_views import Facts
from monitors.store.history import History
from monitors.store.incidents import Incidents
from monitors.store.pages import Pages
from monitors.warehouse.connection import Connection

HTML = "text/html; charset=utf-8"
JSON = "application/json; charset=utf-8"
DAYS = 90
UNAVAILABLE = 503
LONGEST = 400
"""Days that `?days=` may name."""
HEADERS = (
    ("Content-Security-Policy", page_render.content_security_policy(as_header=True)),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)


class Response(NamedTuple):
    """What a server sends."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = HEADERS


def facts_of(
    connection: Connection,
    environment: str,
    now: datetime,
    *,
    days: int = DAYS,
    oldest_scan: timedelta | None = None,
    volumes: Mapping[str, Volume] | None = None,
) -> Facts:
    """What the pages are made from; read when it is asked for, by whoever may select.

    `oldest_scan`: a last scan older than that makes the whole untrustworthy (`scan: within:`).
    `volumes`: those of rampart.yml, for the words at their charts.
    """
    return Facts(
        Pages(connection, environment),
        History(connection, environment),
        Incidents(connection, environment),
        now,
        days,
        oldest_scan,
        volumes or {},
    )


def respond(path: str, query: Mapping[str, str], facts: Facts) -> Response | None:
    """The answer to GET, or None when the path is none of the page's.

    `path` is decoded and without the query. Raises what the database raises.
    """
    if (days := query.get("days", "")).isdecimal():
        facts.days = min(max(int(days[:6]), 1), LONGEST)
    found = _route(path)
    if found is None:
        return None
    prefix, handler = found
    return handler(facts, path[len(prefix) :], query)


def is_page(path: str) -> bool:
    """Whether `respond` knows the path."""
    return _route(path) is not None


def unavailable(environment: str, now: datetime, *, as_json: bool = False) -> Response:
    """503 while the database is away; why is for the log of the server."""
    said = "The store cannot be read; the log of `rampart serve` says why."
    if as_json:
        return Response(UNAVAILABLE, JSON, page_api.as_bytes({"error": said}))
    text = page_render.notice(environment, now, {}, "Nobody can say now.", said)
    return Response(UNAVAILABLE, HTML, text.encode())


# -------------------------------------------------------------------- the pages


def _overview(facts: Facts, _rest: str, query: Mapping[str, str]) -> Response:
    return _html(page_render.overview(facts, query))


def _dataset(facts: Facts, name: str, query: Mapping[str, str]) -> Response:
    view = facts.dataset(name)
    if view is None:
        return _nothing(facts, query, f"No check of the last days speaks of a dataset `{name}`.")
    return _html(page_render.dataset(facts, view, query))


def _incident(facts: Facts, number: str, query: Mapping[str, str]) -> Response:
    view = facts.incident(_number(number))
    if view is None:
        return _nothing(facts, query, f"There is no incident `{number}` in this environment.")
    return _html(page_render.incident(facts, view, query))


# -------------------------------------------------------------------- the same as JSON


def _api_status(facts: Facts, _rest: str, _query: Mapping[str, str]) -> Response:
    return _json(page_api.status(facts))


def _api_datasets(facts: Facts, _rest: str, query: Mapping[str, str]) -> Response:
    wanted = {name: query.get(name, "") for name in page_render.FILTERS}
    rows = [row for row in facts.rows if page_render.fits(row, wanted)]
    return _json(page_api.datasets(facts, rows))


def _api_dataset(facts: Facts, name: str, _query: Mapping[str, str]) -> Response:
    view = facts.dataset(name)
    if view is None:
        return _json({"error": f"no dataset `{name}`"}, 404)
    return _json(page_api.dataset(facts, view))


def _api_incidents(facts: Facts, _rest: str, _query: Mapping[str, str]) -> Response:
    return _json([page_api.incident_row(facts, each) for each in facts.recent_incidents])


def _api_incident(facts: Facts, number: str, _query: Mapping[str, str]) -> Response:
    view = facts.incident(_number(number))
    if view is None:
        return _json({"error": f"no incident `{number}`"}, 404)
    return _json(page_api.incident(facts, view))


def _api_runs(facts: Facts, _rest: str, _query: Mapping[str, str]) -> Response:
    return _json(facts.runs)


def _api_muted(facts: Facts, _rest: str, _query: Mapping[str, str]) -> Response:
    return _json(page_api.muted(facts))


_Handler = Callable[[Facts, str, Mapping[str, str]], Response]
_ROUTES: tuple[tuple[str, _Handler], ...] = (
    ("/", _overview),
    ("/dataset/", _dataset),
    ("/incidents/", _incident),
    ("/api/status", _api_status),
    ("/api/datasets", _api_datasets),
    ("/api/dataset/", _api_dataset),
    ("/api/incidents", _api_incidents),
    ("/api/incidents/", _api_incident),
    ("/api/runs", _api_runs),
    ("/api/muted", _api_muted),
)
"""A path that ends with a slash takes what follows it as a name."""


def _route(path: str) -> tuple[str, _Handler] | None:
    for prefix, handler in _ROUTES:
        takes_name = prefix.endswith("/") and prefix != "/"
        if path == prefix or (takes_name and path.startswith(prefix)):
            return prefix, handler
    return None


def _number(text: str) -> int:
    """0, which no incident has, for what is no number."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 18 else 0


def _html(text: str, status: int = 200) -> Response:
    return Response(status, HTML, text.encode())


def _json(value: Any, status: int = 200) -> Response:
    return Response(status, JSON, page_api.as_bytes(value))


def _nothing(facts: Facts, query: Mapping[str, str], line: str) -> Response:
    said = page_render.notice(facts.environment, facts.now, query, "Nothing there.", line)
    return _html(said, 404)
