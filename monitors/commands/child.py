"""A child process, watched: its output passes through untouched, and nothing of it outlives a stop.

The child leads a process group of its own, so that a stop reaches whatever it started. On Linux it
dies when we are killed; what it started does not. What it reports of itself stands on its standard
output as JSON lines: `{"rampart": {"rows_written": 10}}`.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from monitors.store.journal import COUNTS, LARGEST_COUNT
from monitors.warehouse.dbt_child import PR_SET_PDEATHSIG

TAIL_LINES = 30
"""How many last lines of each output are kept."""
LINE_BYTES = 16 * 1024
"""What is kept of one line, and how long a report may be."""
DRAIN_SECONDS = 1.0
"""A process that the child left behind may hold its output open; so long a silence is the end."""
QUOTED = 60
"""How much is shown of a value that is not understood."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(slots=True)
class Ended:
    """How a child ended. `exit_code` as a shell says it: 128 and the signal that killed it."""

    exit_code: int
    seconds: float
    timed_out: bool = False
    stopped_by: int | None = None
    """The signal that was passed on to it."""
    counts: dict[str, int] = field(default_factory=dict)
    """The last number that it reported under each name."""
    stdout: list[str] = field(default_factory=list)
    stderr: list[str] = field(default_factory=list)
    """The last lines of each output."""


class Child:
    """Run a command and wait for it; call `run` once, in the main thread.

    `timeout` and `grace` in seconds: after the one the group is told to stop (SIGTERM), after the
    other it is killed. `out` and `err` are the file descriptors that its output goes to.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        timeout: float | None = None,
        grace: float = 10.0,
        out: int = 1,
        err: int = 2,
        on_report: Callable[[str], None] = lambda _problem: None,
    ) -> None:
        self.command = list(command)
        self.environment = {**os.environ, **environment}
        self.timeout = timeout
        self.grace = grace
        self.out, self.err = out, err
        self.on_report = on_report
        self.counts: dict[str, int] = {}
        self.tails: dict[int, deque[bytes]] = {
            target: deque(maxlen=TAIL_LINES) for target in (out, err)
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._asked: int | None = None
        self._kill_at: float | None = None
        self._last_byte = 0.0

    def run(self) -> Ended:
        """Raises OSError when the command cannot be started."""
        started = time.monotonic()
        with self._signals():
            self._process = process = subprocess.Popen(
                self.command,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                preexec_fn=_dying_with_us(),  # no thread of ours runs yet
            )
            if self._asked is not None:  # asked to stop before there was anything to stop
                self._stop(self._asked)
            pumps = [self._pump(process.stdout, self.out, self._read_report),
                     self._pump(process.stderr, self.err, lambda _line: None)]  # fmt: skip
            timed_out = self._wait(process, started)
            if timed_out or self._asked is not None:
                self._end_group(process.pid)
            self._drain(pumps)
        code = process.returncode
        return Ended(
            exit_code=code if code >= 0 else 128 - code,
            seconds=time.monotonic() - started,
            timed_out=timed_out,
            stopped_by=self._asked,
            counts=dict(self.counts),
            stdout=self._end_of(self.out),
            stderr=self._end_of(self.err),
        )

    # ---------------------------------------------------------------- waiting and stopping

    def _wait(self, process: subprocess.Popen[bytes], started: float) -> bool:
        """Until it has ended; whether it was told to because its time was over."""
        timed_out = False
        while True:
            try:
                process.wait(timeout=0.1)
                return timed_out
            except subprocess.TimeoutExpired:
                now = time.monotonic()
            if self.timeout is not None and not timed_out and now - started > self.timeout:
                timed_out = True
                self._stop(signal.SIGTERM)
            if self._kill_at is not None and now > self._kill_at:
                _signal_group(process.pid, signal.SIGKILL)

    def _stop(self, number: int) -> None:
        if self._process is None:
            return
        _signal_group(self._process.pid, number)
        if self._kill_at is None:
            self._kill_at = time.monotonic() + self.grace

    def _end_group(self, group: int) -> None:
        """What the child started gets the rest of the grace, and then ends, too."""
        while _signal_group(group, 0) and time.monotonic() < (self._kill_at or 0):
            time.sleep(0.05)
        _signal_group(group, signal.SIGKILL)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Pass on what would end us; the child decides how it stops."""

        def pass_on(number: int, _frame: Any) -> None:
            self._asked = number
            self._stop(number)

        # what is ignored stays ignored: nohup means it
        heard = [each for each in SIGNALS if signal.getsignal(each) != signal.SIG_IGN]
        before = {number: signal.signal(number, pass_on) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler or signal.SIG_DFL)

    # ---------------------------------------------------------------- its output

    def _pump(self, pipe: Any, target: int, take_line: Callable[[bytes], None]) -> threading.Thread:
        def pump() -> None:
            held, is_open = b"", True
            while block := os.read(pipe.fileno(), 64 * 1024):
                self._last_byte = time.monotonic()
                is_open = is_open and _write_all(target, block)
                *lines, held = (held + block).split(b"\n")
                for line in lines:
                    self.tails[target].append(line[:LINE_BYTES])
                    take_line(line[:LINE_BYTES])
                held = held[: LINE_BYTES + 1]  # of an endless line no more than one can use
            if held:
                self.tails[target].append(held[:LINE_BYTES])
                take_line(held[:LINE_BYTES])

        thread = threading.Thread(target=pump, daemon=True)
        thread.start()
        return thread

    def _drain(self, pumps: Sequence[threading.Thread]) -> None:
        self._last_byte = time.monotonic()
        for pump in pumps:
            while pump.is_alive() and time.monotonic() - self._last_byte < DRAIN_SECONDS:
                pump.join(0.05)

    def _end_of(self, target: int) -> list[str]:
        return [
            line.decode("utf-8", errors="replace").rstrip("\r") for line in list(self.tails[target])
        ]

    def _read_report(self, line: bytes) -> None:
        if not line.lstrip().startswith(b"{") or b'"rampart"' not in line:
            return
        try:
            found = json.loads(line)["rampart"]
            pairs = dict(found).items()
        except (ValueError, KeyError, TypeError, RecursionError):
            return  # a line that only looks like a report is none of our business
        for name, number in pairs:
            if name in COUNTS and type(number) is int and 0 <= number <= LARGEST_COUNT:
                self.counts[name] = number
            else:
                self.on_report(_not_understood(name, number))


def _dying_with_us() -> Callable[[], None] | None:
    """What a child does before it becomes the command: die when we die, also before this line."""
    if not sys.platform.startswith("linux"):
        return None
    # all that can be done before the fork is done before it
    prctl, us = ctypes.CDLL(None).prctl, os.getpid()

    def die_with_us() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != us:
            os.kill(os.getpid(), signal.SIGKILL)

    return die_with_us


def _not_understood(name: str, value: Any) -> str:
    """What was found and what is allowed."""
    if name not in COUNTS:
        return f"{_quoted(name)}: {_quoted(value)}; allowed are {', '.join(COUNTS)}"
    return f"{name}: found {_quoted(value)}, allowed are whole numbers from 0 to {LARGEST_COUNT}"


def _quoted(value: Any) -> str:
    said = json.dumps(value)
    return said if len(said) <= QUOTED else f"{said[:QUOTED]}..."


def _signal_group(group: int, number: int) -> bool:
    """Whether there was anybody to hear it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _write_all(target: int, block: bytes) -> bool:
    """False when nobody reads any more; the child must not notice."""
    view = memoryview(block)
    try:
        while view:
            view = view[os.write(target, view) :]
    except OSError:
        return False
    return True
