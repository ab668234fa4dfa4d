"""`rampart backtest` over a history in a real store: text, JSON, picture, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitors.commands.backtest import Backtester
from monitors.config import load_config
from monitors.errors import UsageError
from monitors.results import CheckResult, Status
from monitors.scan.backtest import Settings
from monitors.scan.inject import parse_injection
from monitors.scan.volumes import due, judge
from monitors.store.history import History, MetricValue
from monitors.store.migrate import migrate
from monitors.store.postgres import RunContext, Store
from monitors.store.volumes import StoredSeries, Volumes
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.conftest import ROOT, Server

DAY = timedelta(days=1)
FIRST = datetime(2024, 1, 1, tzinfo=timezone.utc)
"""A Monday."""
DAYS = 120
OUTAGE, MIGRATION = 60, 90
WEEK = (1000, 1100, 1050, 1080, 1200, 400, 300)
RAMPART_YML = """\
scan: {checks: ['checks/*.yml']}
volumes:
  shop.visits:
    time: visited_at
    every: day
  shop.empty: {time: made_at}
"""
CHECKS = """\
checks for monitoring.volume_verdicts:
  - volume_alarms = 0:
      identity: shop.volume
      volume_alarms query: |
        select count(*) from monitoring.volume_verdicts where dataset = 'shop.visits'
checks for shop.orders:
  - rejected_share <= 0.03:
      identity: shop.rejected
      rejected_share query: select 0.01
  - row_count >= 500:
      identity: shop.enough
  - duplicate_count(id) = 0:
      identity: shop.unique
  - missing_count(id) = 0:
      identity: shop.never_ran
"""


def visits() -> list[int]:
    """A weekly pattern with noise; one day nothing came, and two were lost in a migration."""
    random = np.random.default_rng(3)
    counts = np.round(np.resize(WEEK, DAYS) * random.normal(1, 0.04, DAYS)).astype(int)
    counts[OUTAGE] = 0
    counts[MIGRATION : MIGRATION + 2] = 0
    return [int(each) for each in counts]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, embedded_server: Server) -> tuple[Path, Target]:
    """A project and a store that remembers 120 days of it."""
    root = tmp_path_factory.mktemp("shop")
    (root / "checks").mkdir()
    (root / "rampart.yml").write_text(RAMPART_YML)
    (root / "checks" / "shop.yml").write_text(CHECKS)
    target = embedded_server.new_database()
    with connect(target) as connection:
        migrate(connection)
        fill(connection)
        connection.commit()
    return root, target


def fill(connection: Any) -> None:
    random = np.random.default_rng(5)
    for day in range(DAYS):
        moment = FIRST + (day + 1) * DAY
        store = Store(connection, RunContext(f"run-{day:04}", "dev"))
        store.start_run("scan")
        rejected = 0.05 if day in (40, 41, 80, 100, 110, 119) else 0.01 + 0.01 * random.random()
        values = {"shop.rejected": ("rejected_share", rejected, None, 0.05),
                  "shop.enough": ("row_count", 600 + day, 500, None),
                  "shop.unique": ("duplicate_count", 0, None, 0),
                  "shop.volume": ("volume_alarms", 0, None, 0)}  # fmt: skip
        store.add_results(
            [
                CheckResult(name, name, "shop", "shop.orders", Status.PASS, metric_name=metric,
                            metric_value=value, expected_min=low, expected_max=high,
                            data_timestamp=moment)
                for name, (metric, value, low, high) in values.items()
            ],
            moment,
        )  # fmt: skip
    volumes = Volumes(connection, "dev", "run-0119")
    volumes.put_buckets("shop.visits", [("", FIRST + d * DAY, n) for d, n in enumerate(visits())])
    History(connection, "dev", "run-0119").add_bad_period(
        FIRST + MIGRATION * DAY, FIRST + (MIGRATION + 2) * DAY, "migration", "ann", "shop.visits"
    )


@pytest.fixture
def project(shop: tuple[Path, Target], use: Callable[[Target], None]) -> Path:
    use(shop[1])
    return shop[0]


def rampart(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "monitors.cli", "--log-level", "error", "backtest", *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
