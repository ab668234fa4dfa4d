"""One HTTP request: an answer within its time, or a ChannelError that says why not.

An address is a secret (Slack's is), so that no text here ever holds one.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar
from urllib.parse import unquote, urljoin, urlsplit

from monitors.errors import ChannelError

Result = TypeVar("Result")

ANSWER_BYTES = 64 * 1024
"""An answer is read no further."""
QUOTED = 200
"""How much of an answer an error quotes."""
REDIRECTS = 3
LONGEST_WAIT = 86400.0
"""A receiver that asks for more than a day has lost its way."""
TRANSIENT = (408, 425, 429)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver said."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def is_fine(self) -> bool:
        return 200 <= self.status < 300


def deliver(
    method: str, url: str, *, body: bytes = b"", headers: Mapping[str, str], timeout: float
) -> Answer:
    """The answer, when it was 2xx. Raises ChannelError.

    4xx is permanent, but for 408, 425 and 429; so is a redirect that leaves the host. 5xx, no
    answer within `timeout` seconds and every error of a connection are transient.
    """
    answer = within(timeout, lambda: _request(method, url, body, headers, timeout))
    if answer.is_fine:
        return answer
    transient = answer.status >= 500 or answer.status in TRANSIENT
    raise ChannelError(
        f"the receiver answered {answer.status}{_quote(answer)}",
        permanent=not transient,
        retry_after=_retry_after(answer.headers.get("Retry-After")) if transient else None,
    )


def within(seconds: float, job: Callable[[], Result]) -> Result:
    """What the job gives, or a transient ChannelError when that takes longer.

    A socket's timeout begins anew with each byte and does not cover the look-up of a name; who
    hangs is left behind in a thread that ends with the process.
    """
    answers: SimpleQueue[tuple[Result | None, BaseException | None]] = SimpleQueue()

    def work() -> None:
        try:
            answers.put((job(), None))
        except BaseException as error:
            answers.put((None, error))

    Thread(target=work, daemon=True, name="rampart-channel").start()
    try:
        result, error = answers.get(timeout=seconds)
    except Empty:
        raise ChannelError(f"no answer within {seconds:g} s") from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]


def _request(
    method: str, url: str, body: bytes, headers: Mapping[str, str], timeout: float
) -> Answer:
    import urllib3

    url, login = _without_login(url)
    headers = {"User-Agent": f"rampart/{version('rampart')}", **login, **headers}
    with _pool(url, timeout) as pool:
        for _ in range(REDIRECTS + 1):
            try:
                with pool.request(
                    method, url, body=body or None, headers=headers, preload_content=False
                ) as response:
                    found = {name.title(): value for name, value in response.headers.items()}
                    status = response.status
                    content = _content(response)
            except urllib3.exceptions.HTTPError as error:
                raise ChannelError(_reason(error)) from None
            if status not in (301, 302, 303, 307, 308):
                return Answer(status, found, content.decode("utf-8", "replace"))
            url = _followed(method, status, url, found.get("Location", ""))
    raise ChannelError(f"redirected more than {REDIRECTS} times", permanent=True)


def _pool(url: str, timeout: float) -> Any:
    """Connections to the host, by way of the proxy that HTTPS_PROXY and NO_PROXY name."""
    from urllib.request import getproxies, proxy_bypass

    import urllib3

    options: dict[str, Any] = {
        "timeout": urllib3.Timeout(connect=timeout / 2, read=timeout),
        "retries": False,
    }
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if proxy and not proxy_bypass(parts.hostname or ""):
        return urllib3.ProxyManager(proxy, **options)
    return urllib3.PoolManager(**options)


def _without_login(url: str) -> tuple[str, dict[str, str]]:
    """`https://name:word@host` is a host, and a header that says who we are."""
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    given = base64.b64encode(unquote(login).encode()).decode("ascii")
    return parts._replace(netloc=host).geturl(), {"Authorization": f"Basic {given}"}


def _content(response: Any) -> bytes:
    """What the answer says. It has been given: that its text breaks off takes nothing back."""
    import urllib3

    try:
        return bytes(response.read(ANSWER_BYTES, decode_content=False))
    except urllib3.exceptions.HTTPError:
        return b""


def _followed(method: str, status: int, url: str, location: str) -> str:
    """The new address, on the same host and no less safe. A POST is never turned into a GET."""
    target = urljoin(url, location)
    before, after = urlsplit(url), urlsplit(target)
    same = (before.scheme, before.netloc) == (after.scheme, after.netloc)
    safer = (before.scheme, after.scheme) == ("http", "https") and (
        before.hostname == after.hostname
    )
    if not location or not (same or safer):
        said = f"the receiver redirects ({status}) to another host, which is not followed"
        raise ChannelError(said, permanent=True)
    if method != "GET" and status not in (307, 308):
        said = f"the receiver redirects ({status}): put the address it moved to in its place"
        raise ChannelError(said, permanent=True)
    return target


def _reason(error: Exception) -> str:
    """Why there was no answer, in words that hold no address."""
    import urllib3.exceptions as failures

    inner: BaseException = error
    while isinstance(cause := getattr(inner, "reason", None) or inner.__cause__, Exception):
        inner = cause
    for kind, said in (
        (failures.NameResolutionError, "the name of the host cannot be looked up"),
        (failures.SSLError, "the certificate of the host is not trusted, or TLS failed"),
        (failures.ProxyError, "the proxy did not let it through"),
        (failures.NewConnectionError, "the connection was refused, or there is no way to the host"),
        (failures.ConnectTimeoutError, "no connection in time"),
        (failures.ReadTimeoutError, "connected, but no answer in time"),
        (failures.ProtocolError, "the connection was closed before an answer came"),
    ):
        if isinstance(error, kind) or isinstance(inner, kind):
            return said
    return f"no answer ({type(error).__name__})"


def _quote(answer: Answer) -> str:
    """What the receiver said, when it said it in plain words."""
    kind = answer.headers.get("Content-Type", "text/plain").split(";")[0].strip()
    if kind not in ("text/plain", "application/json", "application/problem+json"):
        return ""
    text = "".join(sign if sign.isprintable() else " " for sign in answer.text)
    text = " ".join(text.split())
    return f": {text[:QUOTED]}" if text else ""


def _retry_after(value: str | None) -> float | None:
    """Seconds, given as such or as a date."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, TypeError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        seconds = (moment - datetime.now(timezone.utc)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT) if seconds == seconds else None
