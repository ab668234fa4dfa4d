"""Elementary: off it costs nothing, on it makes its report from what is installed.

With RAMPART_REAL_PACKAGES, a folder that holds the real dbt packages, and elementary-data installed
everything here runs; without them what is said about them does.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from monitors import DataMonitor
from monitors.arrival.sample import write_sample
from monitors.show.elementary import REPORT, VERSION, missing, sealed
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.conftest import REAL_PACKAGES, ROOT, copy_project

YESTERDAY = datetime.now(timezone.utc).date() - timedelta(days=1)
real_packages = pytest.mark.skipif(
    not (REAL_PACKAGES / "elementary").is_dir(),
    reason="needs the real dbt packages: set RAMPART_REAL_PACKAGES",
)
elementary_data = pytest.mark.skipif(
    importlib.util.find_spec("elementary") is None,
    reason=f"needs the Python package: pip install elementary-data=={VERSION}",
)


@pytest.fixture
def project(tmp_path: Path, warehouse: Target, use: Callable[[Target], None]) -> Path:
    """The project with a day of the sample loaded; its packages are the stand-ins."""
    use(warehouse)
    project = copy_project(tmp_path / "project")
    write_sample(project / "landing", last_day=YESTERDAY, days=2, scale=0.02)
    (project / "landing" / "clickstream" / f"events_{YESTERDAY}.jsonl.gz").unlink()
    DataMonitor(project).load()
    return project


def with_real_packages(project: Path) -> None:
    shutil.rmtree(project / "dbt_packages")
    shutil.copytree(REAL_PACKAGES, project / "dbt_packages", symlinks=True)


def report(project: Path, *before: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*before, sys.executable, "-m", "monitors.cli", "report", "--elementary"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def statements(project: Path) -> Counter[str]:
    """How often each node of a build spoke to the database; two builds differ in nothing else."""
    log = project / "logs" / "dbt.log"
    log.unlink(missing_ok=True)
    assert 0 == DataMonitor(project).build().exit_code
    return Counter(re.findall(r"\] On ([\w.]+): (?!Close|COMMIT)", log.read_text()))


def test_what_is_missing_is_said_in_one_line(project: Path) -> None:
    """Exit 2; both halves, each with what to type; no file."""
    done = report(project)

    assert 2 == done.returncode
    said = [line for line in done.stderr.splitlines() if line.startswith("rampart:")]
    assert 1 == len(said)
    assert "the dbt package elementary is not installed: type `rampart deps`" in said[0]
    assert not (project / REPORT).exists()
    half = "elementary-data is not installed: type"
    assert (importlib.util.find_spec("elementary") is None) == (half in said[0])


def test_another_version_of_the_package_is_named(tmp_path: Path) -> None:
    """Elementary would fetch the right one by itself."""
    project = copy_project(tmp_path / "project")
    for name in ("elementary", "dbt_utils"):
        folder = project / "dbt_packages" / name
        shutil.rmtree(folder)
        (folder / "macros").mkdir(parents=True)
        (folder / "macros" / "one.sql").write_text("{% macro one() %}1{% endmacro %}")
        (folder / "dbt_project.yml").write_text(f"name: {name}\nversion: 0.20.0\n")

    said = f"the dbt package elementary is 0.20.0, not {VERSION}: type `rampart deps`"
    assert said == missing(project)[0]


def test_a_sealed_page_asks_nobody() -> None:
    """Fonts and what hurries to fetch them are gone; the rest is forbidden by the page itself."""
    page = sealed('<link rel="preconnect" href="https://a.example" />kept<link href="b.css">')

    assert page.startswith('<meta http-equiv="Content-Security-Policy"')
    assert page.endswith('>\nkept<link href="b.css">')


@real_packages
def test_off_it_adds_no_statement_and_no_object(project: Path, warehouse: Target) -> None:
    """The same build with our empty stand-in and with the real package, switched off."""
    statements(project)
    without = statements(project)
    with_real_packages(project)
    found = statements(project)

    assert without == found
    with connect(warehouse) as connection:
        sql = "select count(*) from pg_class join pg_namespace as n on n.oid = relnamespace"
        assert (0,) == connection.execute(f"{sql} where nspname ~ 'elementary'".encode()).fetchone()


@real_packages
@elementary_data
def test_on_it_makes_a_report_without_a_network(
    project: Path, warehouse: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was written yet; then a build; then a page that holds the project's tests."""
    with_real_packages(project)
    assert "RAMPART_ELEMENTARY=1 rampart build" in report(project).stderr
    monkeypatch.setenv("RAMPART_ELEMENTARY", "1")
    assert 0 == DataMonitor(project).build().exit_code
    verdict = DataMonitor(project).scan(["dbt"])
    monkeypatch.delenv("RAMPART_ELEMENTARY")
    cut_off = ("unshare", "-n") if os.geteuid() == 0 and shutil.which("unshare") else ()
    done = report(project, *cut_off)

    assert (0, str(project / REPORT)) == (done.returncode, done.stdout.strip()), done.stderr
    page = (project / REPORT).read_text()
    assert page.startswith('<meta http-equiv="Content-Security-Policy"')
    assert "anonymous_user_id" not in page.split("</script>")[0]
    assert not [each.check_id for each in verdict.results if "dbt_invocations" in each.check_id]
    with connect(warehouse) as connection:
        counted = connection.execute(b"select count(*) from elementary.elementary_test_results")
        told = json.loads((project / "target" / "run_results.json").read_text())["results"]
        assert sum(each["unique_id"].startswith("test.") for each in told) == counted.fetchone()[0]
