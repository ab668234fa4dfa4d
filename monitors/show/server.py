"""`rampart serve`: a WSGI application that answers from what others read, and the server under it.

It knows paths, tokens and headers, and nothing of the store: what it shows is given to it.
"""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from time import perf_counter
from typing import Any, NamedTuple, Protocol, cast

from monitors import log as logs
from monitors.errors import UsageError
from monitors.show.health import HealthLook, health_answer

log = logs.get_logger("Server")

THREADS = 16
CONNECTIONS = 800
"""At once; more wait in the queue of the kernel."""
IDLE_SECONDS = 30
"""A client that neither sends nor takes anything for so long is let go."""
REQUEST_BYTES = 64 * 1024
RESPONSE_BYTES = 512 * 1024 * 1024
"""Waitress would put larger ones into a file; nothing here is written anywhere."""
TEXT = "text/plain; charset=utf-8"
LOOPBACK = ("127.0.0.1", "localhost", "::1")

Headers = list[tuple[str, str]]
StartResponse = Callable[[str, Headers], Any]


class Reply(NamedTuple):
    """What a path answers."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    """Beside the ones that every answer has, or instead of them."""


class Pages(Protocol):
    """What `/`, /dataset/, /incidents/ and /api/ show; None for a path that it does not know."""

    def __call__(self, path: str, query: str) -> tuple[Any, ...] | None: ...


@dataclass(frozen=True)
class Site:
    """What the application answers with. `metrics`: Accept -> (content type, text)."""

    metrics: Callable[[str], tuple[str, bytes]]
    health: Callable[[], HealthLook]
    pages: Pages
    scan_within: Any = None
    token: str | None = None
    hosts: Sequence[str] | None = None
    """Names that a request may call this host by; None takes any. A page of another site that a
    browser shows must not read a loopback server under a name of its own."""


class Application:
    """The WSGI application; every answer is whole before it is sent."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        started = perf_counter()
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "/")
        try:
            reply = self._refused(environ, method, path) or self._answer(environ, path)
        except Exception as error:  # a page that fails must not show a traceback, nor stop others
            log.error("request failed", path=path, error_message=str(error), exc_info=error)
            reply = Reply(500, TEXT, b"Something went wrong; the log of rampart serve says what.\n")
        start_response(f"{reply.status} {_REASONS.get(reply.status, 'Other')}", _headers(reply))
        log.debug(
            "request answered",
            method=method,
            path=path,
            status=reply.status,
            duration_seconds=round(perf_counter() - started, 4),
        )
        return _sent(environ, b"" if method == "HEAD" else reply.body)

    def _refused(self, environ: dict[str, Any], method: str, path: str) -> Reply | None:
        if method not in ("GET", "HEAD"):
            return Reply(405, TEXT, b"Only GET and HEAD.\n", (("Allow", "GET, HEAD"),))
        if self.site.hosts is not None and _host_of(environ) not in self.site.hosts:
            return Reply(403, TEXT, b"Ask for this server by a name of its own machine.\n")
        if path in _OPEN or self._has_token(environ):
            return None
        realm = (("WWW-Authenticate", 'Bearer realm="rampart"'),)
        return Reply(401, TEXT, b"A token is needed: Authorization: Bearer TOKEN\n", realm)

    def _has_token(self, environ: dict[str, Any]) -> bool:
        if self.site.token is None:
            return True
        scheme, _, given = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        same = hmac.compare_digest(
            given.strip().encode("latin-1", "replace"), self.site.token.encode()
        )
        return same and scheme.lower() == "bearer"

    def _answer(self, environ: dict[str, Any], path: str) -> Reply:
        if path == "/metrics":
            return Reply(200, *self.site.metrics(environ.get("HTTP_ACCEPT", "")))
        if path == "/health/live":
            return Reply(200, TEXT, b"live\n")
        if path == "/health/ready":
            ready = self.site.health().facts is not None
            return Reply(200, TEXT, b"ready\n") if ready else Reply(503, TEXT, b"no database\n")
        if path == "/health":
            status, body = health_answer(self.site.health(), self.site.scan_within)
            return Reply(status, "application/json", json.dumps(body, indent=2).encode() + b"\n")
        found = self.site.pages(path, environ.get("QUERY_STRING", ""))
        return Reply(*found) if found is not None else Reply(404, TEXT, b"No such page.\n")


def front_page(path: str, query: str) -> Reply | None:
    """Where there is no status page: what can be asked for."""
    if path != "/":
        return None
    return Reply(200, TEXT, b"Rampart\n\n/metrics\n/health\n/health/live\n/health/ready\n")


def run_server(app: Application, host: str, port: int, say: Callable[[str, int], None]) -> None:
    """Serve until a signal. `say` is called with host and port once it listens.

    Raises UsageError when the address cannot be used.
    """
    from waitress.server import create_server  # type: ignore[import-untyped]

    # what it has to say of queues is no news to anybody
    logging.getLogger("waitress").setLevel(logging.CRITICAL)
    try:
        server = create_server(
            app,
            host=host,
            port=port,
            threads=THREADS,
            backlog=1024,
            connection_limit=CONNECTIONS,
            channel_timeout=IDLE_SECONDS,
            cleanup_interval=5,
            max_request_header_size=REQUEST_BYTES,
            max_request_body_size=REQUEST_BYTES,
            inbuf_overflow=4 * REQUEST_BYTES,
            outbuf_overflow=RESPONSE_BYTES,
            outbuf_high_watermark=RESPONSE_BYTES,
            asyncore_use_poll=True,
            ident="rampart",
        )
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot listen on {host}:{port}: {said}") from None
    try:
        effective = getattr(server, "effective_listen", None) or [
            (server.effective_host, server.effective_port)
        ]
        for where, number in effective:
            say(where, int(number))
        server.run()
    finally:
        server.close()


# -------------------------------------------------------------------- pieces

_OPEN = ("/health/live", "/health/ready")
"""These say a word each and nothing of the data: whoever starts containers has no token."""
_REASONS = {
    200: "OK", 302: "Found", 304: "Not Modified", 400: "Bad Request", 401: "Unauthorized",
    403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 500: "Internal Server Error",
    503: "Service Unavailable",
}  # fmt: skip
_ALWAYS = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
)


def _sent(environ: dict[str, Any], body: bytes) -> Iterable[bytes]:
    """As a file where the server takes one: it then sends from these bytes and copies none, so that
    a thousand clients who do not read share one large answer."""
    wrapper = environ.get("wsgi.file_wrapper")
    return (
        [body] if wrapper is None or not body else cast("Iterable[bytes]", wrapper(BytesIO(body)))
    )


def _headers(reply: Reply) -> Headers:
    own = {name.lower() for name, _ in reply.headers}
    return [
        ("Content-Type", reply.content_type),
        ("Content-Length", str(len(reply.body))),
        *(pair for pair in _ALWAYS if pair[0].lower() not in own),
        *reply.headers,
    ]


def _host_of(environ: dict[str, Any]) -> str:
    """The name of `Host:`, without port and brackets; the address itself where there is none."""
    host = str(environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")).lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
