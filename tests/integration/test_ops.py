"""What stands under ops/ works as it stands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml

from monitors.arrival.sample import write_sample
from monitors.cli import cli
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.conftest import ROOT, copy_project

OPS = ROOT / "ops"
AIRFLOW = os.environ.get("RAMPART_TEST_AIRFLOW", "")
"""The python of an environment with apache-airflow 3: it does not fit into ours."""


@pytest.fixture
def command(tmp_path: Path) -> Path:
    """`rampart` as an executable file, as an environment of its own would have it."""
    path = tmp_path / "rampart"
    path.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m monitors.cli "$@"\n')
    path.chmod(0o755)
    return path


# -------------------------------------------------------------------- cron


def cron(project: Path, command: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(OPS / "cron" / "rampart-cron"), str(project), *arguments],
        capture_output=True, text=True, check=False, env={**os.environ, "RAMPART": str(command)},
    )  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, warehouse: Target, use: Callable[[Target], None]) -> Path:
    use(warehouse)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "rampart.yml").write_text(
        "feeds:\n  web: {table: web_raw.rows, format: csv, path: 'in/*.csv'}\n"
    )
    return folder


def test_cron_is_silent_while_all_is_well(project: Path, command: Path) -> None:
    """No output, no mail; the exit code and the time are in its log."""
    (project / "in").mkdir()
    (project / "in" / "a.csv").write_text("a\n1\n")
    done = cron(project, command, "load")

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert (project / "logs/cron.log").read_text().endswith(" load: exit code 0\n")


def test_cron_says_what_is_red(project: Path, command: Path) -> None:
    """The alert line is in the mail, the exit code is the command's own."""
    done = cron(project, command, "load")

    assert 1 == done.returncode
    assert "!! ALERT: MOUNT FAILURE !! - in: it does not exist" in done.stdout
    assert (
        75
        == cron(project, command, "exec", "--pipeline", "p", "--", "sh", "-c", "exit 75").returncode
    )


def test_cron_never_starts_a_command_twice_at_once(project: Path, command: Path) -> None:
    """The second one is skipped, and says so in the log; another command is not."""
    ready = project / "ready"
    slow = ["exec", "--pipeline", "p", "--", "sh", "-c", f"touch {ready}; sleep 3"]
    with subprocess.Popen(
        [str(OPS / "cron" / "rampart-cron"), str(project), *slow],
        env={**os.environ, "RAMPART": str(command)},
    ):
        while not ready.exists():
            pass
        second = cron(project, command, *slow)
        other = cron(project, command, "exec", "--pipeline", "q", "--", "true")

    assert (0, 0) == (second.returncode, other.returncode)
    assert "the one before still works; skipped" in (project / "logs/cron.log").read_text()


def test_the_crontab_can_be_read() -> None:
    """Five fields and a command of Rampart on each line; settings are settings."""
    lines = (OPS / "cron" / "crontab").read_text().splitlines()
    jobs = [line for line in lines if line and not re.match(r"#|[A-Z]+=", line)]

    assert len(jobs) >= 3
    for line in jobs:
        found = re.match(r"([\d*,/-]+\s+){5}\$CRON \$PROJECT (\w+)", line)
        assert found is not None, line
        assert found[2] in cli.commands
        assert "%" not in line, "cron makes a line end of it"


# -------------------------------------------------------------------- GitHub Actions


def test_the_workflow_names_commands_that_exist() -> None:
    """Its steps are what a person would type; its variables are those that Rampart reads."""
    workflow = yaml.safe_load((OPS / "github" / "warehouse.yml").read_text())
    job = workflow["jobs"]["build"]
    script = "\n".join(step.get("run", "") for step in job["steps"])
    known = set(Target("h", 1, "u", "d", "environment").environment()) | {"RAMPART_ENVIRONMENT"}

    assert set(job["env"]) == known
    named = re.findall(r"\brampart (\w+)", script)
    assert {"deps", "doctor", "sample", "load", "build", "env", "scan"} == set(named)
    assert set(named) <= set(cli.commands)


@pytest.mark.slow
def test_the_steps_of_the_workflow_run(
    tmp_path: Path, warehouse: Target, use: Callable[[Target], None], command: Path
) -> None:
    """As they stand, on an empty database; only installing and what GitHub does is left out."""
    use(warehouse)
    project = copy_project(tmp_path / "project")
    workflow = yaml.safe_load((OPS / "github" / "warehouse.yml").read_text())
    steps = [step for step in workflow["jobs"]["build"]["steps"] if "run" in step]
    path = f"{command.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    for step in steps:
        if step["name"].startswith("Install"):
            continue
        done = subprocess.run(
            ["bash", "-e", "-c", step["run"]], cwd=project, capture_output=True, text=True,
            check=False, env={**os.environ, "PATH": path, "RAMPART_ENVIRONMENT": "ci"},
        )  # fmt: skip
        assert 0 == done.returncode, f"{step['name']}: {done.stdout}{done.stderr}"
    with connect(warehouse) as connection:
        found = connection.execute("select distinct environment from monitoring.runs").fetchall()
    assert [("ci",)] == found


# -------------------------------------------------------------------- Airflow


@pytest.mark.slow
@pytest.mark.skipif(
    not shutil.which(AIRFLOW), reason="RAMPART_TEST_AIRFLOW names no python with apache-airflow 3"
)
def test_the_dag_runs(
    tmp_path: Path, warehouse: Target, use: Callable[[Target], None], command: Path
) -> None:
    """dag.test(): green on a week of sample data; red, and nothing downstream, on the day after."""
    use(warehouse)
    project = copy_project(tmp_path / "project")
    day = datetime.now(timezone.utc).date() - timedelta(days=1)
    summary = write_sample(project / "landing", last_day=day)
    held = [path.rename(path.with_name(f".{path.name}")) for path in summary.today]
    environment = {
        **os.environ, "AIRFLOW_HOME": str(tmp_path / "airflow"), "RAMPART_PROJECT": str(project),
        "RAMPART_COMMAND": str(command), "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__CORE__DAGS_FOLDER": str(OPS / "airflow"),
    }  # fmt: skip

    def airflow(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [AIRFLOW, *arguments], env=environment, capture_output=True, text=True, check=False
        )

    assert 0 == airflow("-m", "airflow", "db", "migrate").returncode
    dag = (
        "import sys; sys.path.insert(0, {!r}); from rampart_daily import DAG\n"
        "run = DAG.test()\n"
        "for task in run.get_task_instances(): print('TASK', task.task_id, task.state)\n"
    ).format(str(OPS / "airflow"))
    green = states(airflow("-c", dag))
    for path in held:
        path.rename(path.with_name(path.name[1:]))
    red = states(airflow("-c", dag))

    assert {"load", "build", "scan", "refresh_dashboards"} == {
        name for name, state in green.items() if state == "success"
    }
    assert ("success", "success", "failed") == (red["load"], red["build"], red["scan"])
    assert "upstream_failed" == red["refresh_dashboards"]


def states(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    found = dict(re.findall(r"^TASK (\w+) (?:\w+\.)?(\w+)", done.stdout, re.MULTILINE))
    assert found, done.stdout + done.stderr
    return found
