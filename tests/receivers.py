"""Real receivers on loopback, for what leaves the machine: HTTP and SMTP, each with a mood."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import run
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope


@dataclass
class Received:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpReceiver:
    """Answers by the path: /200, /429, /500, /hang, /drip, /close, /torn, /here, /away, ..."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    retry_after: str | None = None


@contextmanager
def http_receiver(certificate: Path | None = None) -> Iterator[HttpReceiver]:
    """Over TLS when a certificate is given."""
    receiver = HttpReceiver()
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            receiver.received.append(
                Received(self.command, self.path, dict(self.headers.items()), body)
            )
            mood = self.path.split("?")[0].strip("/").split("/")[0]
            if mood == "hang":
                ended.wait(20)
            elif mood == "drip":
                self._drip()
            elif mood == "close":
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
            elif mood == "here":
                self._answer(307, {"Location": "/200/moved"})
            elif mood == "found":
                self._answer(302, {"Location": "/200/moved"})
            elif mood == "away":
                port = self.server.server_address[1]
                self._answer(307, {"Location": f"http://localhost:{port}/200/stolen"})
            elif mood == "round":
                self._answer(307, {"Location": "/round"})
            elif mood == "torn":
                self._answer(200, {"Content-Length": "1000"}, b"half")
                self.close_connection = True
            elif mood == "echo":
                self._answer(404, {}, f"Cannot POST {self.path}".encode())
            else:
                extra = {"Retry-After": receiver.retry_after} if receiver.retry_after else {}
                self._answer(int(mood) if mood.isdigit() else 200, extra, b"said so")

        do_GET = do_POST

        def _answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def _drip(self) -> None:
            """A byte of the headers now and then: no single wait is long."""
            try:
                for letter in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"z" * 200:
                    self.wfile.write(bytes([letter]))
                    self.wfile.flush()
                    if ended.wait(0.2):
                        break
            except OSError:
                pass

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
    scheme = "http"
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    receiver.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    try:
        yield receiver
    finally:
        ended.set()
        server.shutdown()
        server.server_close()


@dataclass
class SmtpReceiver:
    """Takes mail; `refuse` says of a recipient what a server would."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    refuse: Callable[[str], str | None] = lambda _address: None
    answer: str = "250 taken"
    wait: float = 0.0

    async def handle_RCPT(
        self, _server: Any, session: Any, envelope: Envelope, address: str, _options: Any
    ) -> str:
        refusal = self.refuse(address)
        if refusal:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, _server: Any, session: Any, envelope: Envelope) -> str:
        if self.wait:
            time.sleep(self.wait)
        if self.answer.startswith("250"):
            mail = message_from_bytes(envelope.original_content or b"", policy=policy.default)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
            self.recipients.append(list(envelope.rcpt_tos))
            self.encrypted.append(session.ssl is not None)
        return self.answer

    def authenticate(
        self, _server: Any, _session: Any, _envelope: Any, _how: str, data: Any
    ) -> Any:
        pair = (data.login.decode(), data.password.decode())
        self.logins.append(pair)
        return AuthResult(success=pair == ("rampart", "right-password"), handled=False)


@contextmanager
def smtp_receiver(certificate: Path | None = None, *, tls: bool = False) -> Iterator[SmtpReceiver]:
    """`certificate` switches STARTTLS and AUTH on; `tls` speaks TLS from the first byte."""
    receiver = SmtpReceiver()
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        receiver.port = probe.getsockname()[1]
    options: dict[str, Any] = {} if context is None else {"authenticator": receiver.authenticate}
    if context is not None and not tls:
        options |= {"tls_context": context, "auth_require_tls": True, "require_starttls": True}
    elif tls:
        options |= {"ssl_context": context, "auth_require_tls": False}
    controller = Controller(receiver, hostname="127.0.0.1", port=receiver.port, **options)
    controller.start()
    try:
        yield receiver
    finally:
        controller.stop()


def self_signed(folder: Path) -> Path:
    """A certificate for `localhost` and 127.0.0.1 with its key, which nobody trusts by itself."""
    path = folder / "certificate.pem"
    run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", str(folder / "key.pem"), "-out", str(path)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    path.write_text(path.read_text() + (folder / "key.pem").read_text())
    return path
