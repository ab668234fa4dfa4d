"""Rampart as an Airflow DAG: load, build, scan, each a task with its own exit code.

Rampart and Airflow need not share an environment: RAMPART_COMMAND names the command of the one in
which Rampart is installed, RAMPART_PROJECT the folder with rampart.yml. Exit code 1 (red) fails the
task and is not tried again: the data do not get better by asking twice. Exit code 2 (the command
could not start, mostly a database that is away) is.
"""

from __future__ import annotations

import os
import subprocess
from datetime import datetime, timedelta, timezone

from airflow.exceptions import AirflowFailException
from airflow.sdk import dag, task

COMMAND = os.environ.get("RAMPART_COMMAND", "rampart")
PROJECT = os.environ.get("RAMPART_PROJECT", "/srv/shop")
RED, COULD_NOT_START = 1, 2


def rampart(*arguments: str) -> None:
    """Run a command of Rampart; its output becomes the log of the task."""
    code = subprocess.run([COMMAND, *arguments], cwd=PROJECT, check=False).returncode
    if code == COULD_NOT_START:
        raise RuntimeError(f"rampart {arguments[0]} could not start: see the log of this task")
    if code:
        raise AirflowFailException(f"rampart {arguments[0]}: exit code {code}: see its alert lines")


@dag(
    dag_id="rampart_daily",
    schedule="30 5 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,  # a run looks at all that lies there: the days before need no run of their own
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["data quality"],
)
def rampart_daily() -> None:
    """What arrived is loaded, built and judged; nothing downstream starts when it is red."""

    @task
    def load() -> None:
        rampart("load")

    @task
    def build() -> None:
        rampart("build")

    @task(trigger_rule="all_done")  # verdicts must exist, above all when the build has failed
    def scan() -> None:
        rampart("scan")

    @task
    def refresh_dashboards() -> None:
        rampart("exec", "--pipeline", "refresh_dashboards", "--", "true")  # your own command

    loaded, built, scanned = load(), build(), scan()
    loaded >> built >> scanned
    # not after the scan alone: it runs after a failed build, too, and may find old data in order
    [built, scanned] >> refresh_dashboards()


DAG = rampart_daily()

if __name__ == "__main__":
    DAG.test()
