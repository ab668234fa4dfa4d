"""Logs: one JSON object a line, pretty on a terminal; a module needs `get_logger("Component")`.

The fields and how to query them are documented in docs/logs.md; their names are a contract.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from logging.handlers import RotatingFileHandler
from math import isfinite
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any
from urllib.parse import quote

import structlog

from monitors.errors import Dropped, RampartError, UsageError, first_line

ROOT = "rampart"
FILE_BYTES = 10 * 1024 * 1024
FILE_BACKUPS = 5

_secrets: set[str] = set()
_foreseen: list[Callable[[BaseException], bool]] = []


def get_logger(component: str) -> Any:
    """A logger whose lines carry `component`."""
    return structlog.stdlib.get_logger(ROOT).bind(component=component)


def bind_run(run_id: str) -> None:
    """Stamp `run_id` on every line of this process from now on."""
    structlog.contextvars.bind_contextvars(run_id=run_id)


def hide(secret: str | None) -> None:
    """Never let this text reach a log line, neither as it is nor quoted."""
    if secret:
        _secrets.update((secret, quote(secret, safe=""), repr(secret)[1:-1]))


def configure(
    *,
    level: str = "info",
    log_file: Path | None = None,
    file_level: str | None = None,
    pretty: bool | None = None,
) -> None:
    """Send logs to stderr (pretty when it is a terminal) and, if asked, to a rotating file as JSON.

    Levels are debug, info, warning, error; the file's is the same unless `file_level` says another.
    The file turns over at 10 MB and keeps five.
    """
    as_json = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_SHARED, _component_of_library],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _field_names,
            _mask,
            structlog.processors.JSONRenderer(sort_keys=False),
        ],
    )
    as_text = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_SHARED, _component_of_library],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _mask,
            _for_people,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                pad_event_to=0,
                # the rich one shows local variables, and passwords are among them
                exception_formatter=structlog.dev.plain_traceback,
            ),
        ],
    )
    root = logging.getLogger(ROOT)
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    root.setLevel(logging.DEBUG)
    root.propagate = False
    stream = logging.StreamHandler(sys.stderr)
    stream.setLevel(level.upper())
    stream.setFormatter(as_text if _is_pretty(pretty) else as_json)
    root.addHandler(stream)
    if log_file is not None:
        rotating = _opened(log_file)
        rotating.setLevel((file_level or level).upper())
        rotating.setFormatter(as_json)
        root.addHandler(rotating)


class Seldom:
    """Lets a text through that has not been said for a minute, whatever its numbers are."""

    def __init__(self, seconds: float = 60.0, clock: Callable[[], float] = monotonic) -> None:
        self.seconds = seconds
        self.clock = clock
        self._said: dict[str, float] = {}

    def lets(self, text: str) -> bool:
        kind, now = re.sub(r"\d+", "#", text), self.clock()
        if now - self._said.get(kind, -self.seconds) < self.seconds:
            return False
        self._said[kind] = now
        return True


class _LogFile(RotatingFileHandler):
    """A full disk costs the lines of the file, not the job: said once, and no traceback."""

    has_complained = False

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self.has_complained:
            self.has_complained = True
            sys.stderr.write(
                f"rampart: --log-file: lines of {self.baseFilename} are lost ({error.strerror})\n"
            )

    def close(self) -> None:
        with suppress(OSError):  # it flushes what did not fit
            super().close()


def _opened(log_file: Path) -> RotatingFileHandler:
    try:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        return _LogFile(log_file, maxBytes=FILE_BYTES, backupCount=FILE_BACKUPS, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--log-file: {log_file} cannot be opened ({error.strerror})") from None


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
    structlog.processors.CallsiteParameterAdder(
        {
            structlog.processors.CallsiteParameter.FILENAME,
            structlog.processors.CallsiteParameter.LINENO,
        },
        additional_ignores=["monitors.log", "contextlib"],  # a stage's line is its caller's
    ),
]

# At import: who uses the package from Python and configures nothing gets warnings, no more.
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_SHARED,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=False,
)


@contextmanager
def stage(logger: Any, name: str, **context: Any) -> Iterator[dict[str, Any]]:
    """Log a stage with its duration; what the caller puts into the dict goes onto the line."""
    metrics: dict[str, Any] = {}
    started = perf_counter()
    logger.debug("stage started", stage=name, **context)
    try:
        yield metrics
    except BaseException as error:
        is_dropped = isinstance(error, Dropped)
        logger.log(
            logging.INFO if is_dropped else logging.ERROR,
            "stage dropped" if is_dropped else "stage failed",
            stage=name,
            duration_seconds=round(perf_counter() - started, 3),
            error_type=type(error).__name__,
            error_message=first_line(error),
            exc_info=isinstance(error, Exception) and not _is_foreseen(error),
            **context,
            **metrics,
        )
        raise
    logger.info(
        "stage finished",
        stage=name,
        duration_seconds=round(perf_counter() - started, 3),
        **context,
        **metrics,
    )


def expect(foreseen: Callable[[BaseException], bool]) -> None:
    """Errors that this says are foreseen get their line, and no traceback."""
    _foreseen.append(foreseen)


def _is_foreseen(error: BaseException) -> bool:
    return isinstance(error, RampartError) or any(each(error) for each in _foreseen)


def _is_pretty(pretty: bool | None) -> bool:
    return sys.stderr.isatty() if pretty is None else pretty


def _component_of_library(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A line of a library names that as its component."""
    event.setdefault("component", event["_record"].name.rpartition(".")[2])
    return event


def _field_names(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """The documented names, the fixed ones first."""
    named: dict[str, Any] = {
        "timestamp": event.pop("timestamp", None),
        "level": event.pop("level", None),
        "component": event.pop("component", None),
        "message": event.pop("event", None),
        "run_id": event.pop("run_id", None),
        "file": event.pop("filename", None),
        "line": event.pop("lineno", None),
    }
    if "exception" in event:
        named["exception"] = event.pop("exception")
    return {**named, **event}


def _for_people(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A person at a terminal knows the run and does not need our line numbers."""
    for key in ("filename", "lineno", "run_id"):
        event.pop(key, None)
    event["timestamp"] = str(event.get("timestamp", ""))[11:19]
    return event


def _mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: _masked_value(value) for key, value in event.items()}


def _masked_value(value: Any) -> Any:
    """Masked at any depth; what JSON does not know becomes its text first."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        hidden = "***" if str(value) in _secrets else value
        return hidden if isfinite(value) else str(value)  # JSON has no NaN
    if isinstance(value, Mapping):
        return {masked(str(key)): _masked_value(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_masked_value(each) for each in value]
    return masked(str(value))


def masked(text: str) -> str:
    """The text with every known secret replaced by `***`, the longest first."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
