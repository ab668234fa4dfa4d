"""dbt as a child process, and what it says about the time of each node."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from monitors.warehouse.dbt import NO_TELEMETRY


def run(project: Path, *arguments: str) -> None:
    """Run a dbt command in a project that has its profiles.yml with it; raises when it fails."""
    command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "--quiet", *arguments]
    done = subprocess.run(
        [*command, "--profiles-dir", str(project)], cwd=project, text=True, capture_output=True,
        check=False, env={"PATH": "/usr/bin:/bin", "HOME": str(project), **NO_TELEMETRY},
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"dbt {arguments[0]} failed: {done.stdout[-2000:]}{done.stderr[-500:]}")


def results(project: Path) -> dict[str, float]:
    """{node: seconds} of the last command."""
    found = json.loads((project / "target" / "run_results.json").read_text())["results"]
    return {each["unique_id"]: float(each["execution_time"]) for each in found}


def seconds_of_node(project: Path, node: str) -> float:
    return results(project)[node]
