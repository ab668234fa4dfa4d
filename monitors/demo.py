"""`rampart demo`: a week of history as a first run, this morning's deliveries as a second one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from time import perf_counter

from monitors import screen
from monitors.arrival.sample import SampleSummary, write_sample
from monitors.config import FILE_NAME, load_config
from monitors.errors import UsageError
from monitors.monitor import DataMonitor
from monitors.warehouse.embedded import EmbeddedPostgres
from monitors.warehouse.packages import install_packages

Say = Callable[[str], None]
HOME = Path(".rampart") / "demo"
LOG_FILE = Path(".rampart") / "demo.log"
PROJECT = (
    "dbt_project.yml",
    "packages.yml",
    "rampart.yml",
    ".dbtignore",
    "models",
    "macros",
    "tests",
    "monitors",
)
"""What the demo's folder borrows from the project."""


def run_demo(*, keep: bool, say: Say, last_day: date | None = None) -> None:
    """Run the main job on data of its own, in a database of its own; touches nothing else.

    Raises RampartError when a part of it cannot run at all.
    """
    started = perf_counter()
    root = _prepare(keep)
    say(
        "Rampart demo: a web shop, a Salesforce register, a city's air and leases,"
        " on the embedded Postgres"
    )
    summary = write_sample(root / "landing", last_day=last_day or day_of(None))
    history, today = _staged(root, summary)

    say(f"\n1. History: {len(history)} files of 8 days arrive, are built and checked")
    _deliver(history)
    first = DataMonitor(root / FILE_NAME).run()
    say(_indented(screen.summary(first)))

    say(f"2. This morning: {len(today)} files of yesterday arrive")
    _deliver(today)
    second = DataMonitor(root / FILE_NAME).run()
    say(_indented(screen.summary(second)))
    for line in second.alerts:
        say(f"   {line}")
    say(_where_to_look(int(second.exit_code), second.report, perf_counter() - started))


def day_of(text: str | None) -> date:
    """The day a person named, or yesterday in UTC. Raises UsageError."""
    if text is None:
        return datetime.now(timezone.utc).date() - timedelta(days=1)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"found `{text}`, allowed is a day like 2026-11-19") from None


def _prepare(keep: bool) -> Path:
    """A folder of its own that sees the project's models and checks, and an empty database."""
    project = load_config().root
    root = project / HOME
    # The demo never touches a configured warehouse.
    for name in [
        name for name in os.environ if name.startswith("RAMPART_") and name != "RAMPART_LOG_LEVEL"
    ]:
        del os.environ[name]
    os.environ["DBT_PROFILES_DIR"] = str(root / "no-profiles")
    if not keep:
        EmbeddedPostgres(root / ".rampart").reset()
        shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True, exist_ok=True)
    for name in (
        "dbt_project.yml",
        "packages.yml",
        "rampart.yml",
        "models",
        "macros",
        "tests",
        "monitors",
        ".dbtignore",
    ):
        link = root / name
        if not link.exists():
            link.symlink_to(project / name)
    # a demo asks nobody: neither the hub nor the resolver of its name
    install_packages(root, offline=True)
    return root


def _staged(root: Path, summary: SampleSummary) -> tuple[list[Path], list[Path]]:
    """Set every file aside under a name that no feed matches, until it is delivered."""
    for path in (*summary.history, *summary.today):
        path.rename(path.with_name(f".{path.name}"))
    return list(summary.history), list(summary.today)


def _deliver(files: list[Path]) -> None:
    for path in files:
        path.with_name(f".{path.name}").rename(path)


def _indented(text: str) -> str:
    return "\n".join(f"   {line}" if line else "" for line in text.splitlines()) + "\n"


def _where_to_look(exit_code: int, report: str, seconds: float) -> str:
    rules = "select rules, count(*) from quarantine.ledger group by 1"
    verdicts = (
        "select check_id, message from monitoring.data_quality_metrics where status <> 'pass'"
    )
    look = (
        f"\n  open {report} in a browser: what to trust and what not, in one file"
        if Path(report).is_file()
        else ""
    )
    meaning = "a scheduler stops here, and no dashboard refreshes" if exit_code else "all is well"
    return f"""
The scan gave exit code {exit_code}: {meaning} ({seconds:.0f} s in all).

Where to look next{look}
  cd {HOME}    # the demo has a folder and a database of its own
  rampart db psql -c "{rules}"
  rampart db psql -c "{verdicts}"
  rampart scan --select clickstream    # the verdict again, with its exit code
  jq -c 'select(.stage)' ../demo.log    # how long each stage took, and what it counted
  rampart db stop    # when you are done
"""
