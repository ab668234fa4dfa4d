"""What alerts cost a scan: nothing wrong, and everything wrong at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from time import perf_counter

from bench.figure import Figure, Options
from bench.server import embedded_server
from monitors.commands.evidence import places_of
from monitors.commands.notify import Notifier, send_due
from monitors.commands.record import raise_alerts
from monitors.config import Config
from monitors.results import CheckResult, Status
from monitors.store.postgres import Store
from monitors.warehouse.connection import connect

CHECKS = 300
RED = 1_000


def alerts(options: Options) -> Iterator[Figure]:
    """Deciding about green checks that stay green, in milliseconds; then about red ones."""
    config = Config().model_copy(update={"root": options.folder})
    green = [_check(number, Status.PASS) for number in range(CHECKS)]
    red = [_check(number, Status.FAIL) for number in range(RED)]
    with embedded_server(options.folder) as server:
        os.environ |= server.target.environment()
        runner = Notifier(config)
        with connect(server.target) as connection:
            store = Store(connection, runner.run_context())
            store.start_run("scan")
            connection.commit()
            _milliseconds(runner, store, green)
            quiet = [_milliseconds(runner, store, green) for _ in range(10 * options.pairs)]
            loud = [_milliseconds(runner, store, red)]
    yield Figure("alerts", "the clock", quiet, "<=", 20, "ms", f"{CHECKS} checks, nothing wrong")
    yield Figure("alerts", "the clock", loud, "<=", 5_000, "ms", f"{RED:,} checks turn red at once")


def _milliseconds(runner: Notifier, store: Store, results: list[CheckResult]) -> float:
    """From the verdicts, which are written anyway, to the end of the run."""
    started = perf_counter()
    raise_alerts(runner, store, results, lambda: places_of(runner))
    store.connection.commit()
    send_due(runner, store)
    return 1000 * (perf_counter() - started)


def _check(number: int, status: Status) -> CheckResult:
    return CheckResult(
        f"bench.check_{number}",
        "a check",
        "bench",
        "facts.bench",
        status,
        message="value=1 (max 0)",
    )
