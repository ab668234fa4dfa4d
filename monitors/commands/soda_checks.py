"""The Soda checks of a scan: their files, what they are held against, and who runs them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from monitors.commands.runner import Runner
from monitors.results import CheckResult
from monitors.store.history import History, MetricValue
from monitors.store.postgres import Store
from monitors.warehouse.connection import connect

if TYPE_CHECKING:
    from monitors.scan.checks_files import Checks


def soda_results_of(
    runner: Runner, store: Store, checks: Checks, moment: datetime | None
) -> tuple[list[CheckResult], list[MetricValue]]:
    """(a verdict of every check, what they measured): a scan of our own."""
    from monitors.scan import soda

    config, now = runner.config, runner.now()
    history = History(store.connection, config.environment)
    volumes = config.volumes.items()
    settings = soda.Settings(
        config.scan.statement_timeout,
        config.scan.parallel,
        times={dataset: volume.time for dataset, volume in volumes},
        feeds={dataset: volume.feed for dataset, volume in volumes if volume.feed},
        moments=dict.fromkeys(config.feeds) | history.moments(),
    )
    outcome = soda.run_checks(
        checks, runner.target, settings, history=history, moment=moment or now, now=now
    )
    return list(outcome.results), list(outcome.measured)


def soda_results_in(path: Path, runner: Runner, checks: Checks) -> list[CheckResult]:
    """Verdicts that a plain `soda scan -srf FILE` wrote."""
    from monitors.scan import soda_file

    found = soda_file.read_results_file(path)
    with connect(runner.target, read_only=True) as reading:
        return soda_file.to_results(found, checks.definitions, reading)
