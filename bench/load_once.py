"""Load one file as `rampart load` does, in a process of its own; says seconds, rows and peak RSS.

Run by bench.load as `python -m bench.load_once HOST FORMAT TABLE PATH`: the peak of a process is
never reset, so each load needs a fresh one.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from time import perf_counter

from monitors.arrival.loader import load_file
from monitors.config_feeds import ALWAYS_OPEN, Feed, Thresholds
from monitors.store.postgres import RunContext, Store
from monitors.warehouse.connection import connect
from monitors.warehouse.embedded import DATABASE, SUPERUSER
from monitors.warehouse.target import Target


def main(host: str, kind: str, table: str, path: Path) -> None:
    target = Target(host, 5432, SUPERUSER, DATABASE, "embedded", "", "bench")
    feed = Feed.model_validate({"table": table, "format": kind, "path": str(path)})
    started = perf_counter()
    with connect(target) as connection:
        store = Store(connection, RunContext(f"bench {started}", "dev"))
        store.start_run("load")
        store.register_feed("bench", feed, ALWAYS_OPEN)
        loaded = load_file(
            store, "bench", feed, path, name=path.name, thresholds=Thresholds()
        ).delivery
    seconds = perf_counter() - started
    if loaded is None or loaded.dead_letters or loaded.admission != "admitted":
        raise SystemExit(f"not loaded whole: {loaded}")
    print(json.dumps({"seconds": seconds, "rows": loaded.rows, "peak_mb": peak_mb()}))


def peak_mb() -> float:
    """The largest RSS of this process; Linux counts into ru_maxrss what the parent held at fork."""
    status = Path("/proc/self/status")
    if status.exists():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / (1 << 10)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)  # macOS: bytes


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
