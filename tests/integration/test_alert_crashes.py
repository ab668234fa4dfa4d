"""kill -9 between any two steps of scan, commit, claim, send, mark: nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from monitors.store.migrate import migrate
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.conftest import ROOT
from tests.receivers import http_receiver


@pytest.mark.parametrize(
    "kills", [20, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
def test_no_alert_is_lost_however_often_it_is_killed(
    warehouse: Target, tmp_path: Path, kills: int
) -> None:
    """Every red verdict that was committed is told; each repeat carries the key of what it repeats,
    and there are no more of them than kills."""
    with connect(warehouse) as connection:
        migrate(connection)
    with http_receiver() as receiver:
        done = subprocess.run(
            [sys.executable, "-m", "tests.crashing", str(tmp_path), "ONCALL", str(kills), "7"],
            cwd=ROOT,
            env={**os.environ, **warehouse.environment(), "ONCALL": f"{receiver.url}/200"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert 0 == done.returncode, done.stderr
        received = list(receiver.received)
    with connect(warehouse) as connection:
        red = connection.execute(
            "select 'shop.' || split_part(dataset, '.', 2) from monitoring.data_quality_metrics"
            " where status = 'fail'"
        ).fetchall()
        outbox = connection.execute("select key, state from monitoring.outbox").fetchall()
    keys = Counter(each.headers["Idempotency-Key"] for each in received)
    told = {json.loads(each.body)["title"].split(" ")[0] for each in received}
    by_key = {each.headers["Idempotency-Key"]: each.body for each in received}

    assert {name for (name,) in red} == told, "red and told are the same"
    assert dict.fromkeys(keys, "sent") == dict(outbox)
    assert keys.total() - len(keys) <= kills
    assert all(by_key[each.headers["Idempotency-Key"]] == each.body for each in received)
    assert len(red) >= kills / 2, "the driver got something done"
