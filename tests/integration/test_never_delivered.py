"""A newcomer without the optional feeds: a whole run is green, and says what it did not expect."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from monitors import DataMonitor, screen
from monitors.arrival.sample import write_sample
from monitors.results import Status
from monitors.warehouse.target import Target
from tests.conftest import copy_project


@pytest.mark.slow
def test_optional_feeds_that_never_came_turn_nothing_red(
    tmp_path: Path, warehouse: Target, use: Callable[[Target], None]
) -> None:
    """Their checks are left out by name; once one has come, its checks are expected."""
    use(warehouse)
    project = copy_project(tmp_path / "project")
    day = datetime.now(timezone.utc).date() - timedelta(days=1)
    summary = write_sample(project / "landing", last_day=day)
    for path in summary.today:
        path.unlink()
    shutil.move(project / "landing" / "leases", tmp_path / "leases")
    shutil.rmtree(project / "landing" / "air_quality")
    first = DataMonitor(project).run()

    assert (0, ()) == (first.exit_code, first.alerts), screen.summary(first)
    left_out = dict(first.not_expected)
    assert {"air_quality", "leases"} == left_out.keys()
    assert not any(each.check_id.startswith("leases.") for each in first.results)
    said = f"  not expected: {left_out['leases']} checks of leases: optional, and nothing has ever"
    assert said in screen.summary(first)
    document = next(path for path in (tmp_path / "leases").rglob("*.json") if path.is_file())
    (project / "landing" / "leases").mkdir()
    shutil.copy(document, project / "landing" / "leases")
    DataMonitor(project).load()
    later = DataMonitor(project).scan()

    assert ["air_quality"] == [feed for feed, _checks in later.not_expected]
    assert Status.MISSING in {
        each.status for each in later.results if each.check_id.startswith("leases.")
    }, "it came, and nothing was built of it: silence is a failure again"
