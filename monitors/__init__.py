"""Rampart: trust for a warehouse that dbt builds.

from monitors import DataMonitor

monitor = DataMonitor()            # reads rampart.yml in the working folder
verdict = monitor.run()            # load, build, scan under one run_id
for result in verdict.red:
    print(result.check_id, result.message)

from monitors import job

with job("spark_daily") as run:    # any part of a program as a recorded run
    run.rows(written=10)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monitors.commands.jobs import job
    from monitors.monitor import DataMonitor

__all__ = ["DataMonitor", "__version__", "job"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Imported on first use: `rampart --help` must not pay for the database driver.
    if name == "DataMonitor":
        from monitors.monitor import DataMonitor

        return DataMonitor
    if name == "job":
        from monitors.commands.jobs import job

        return job
    raise AttributeError(f"module 'monitors' has no attribute {name!r}")
