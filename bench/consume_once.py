"""Consume one topic as `rampart consume` does, in a process of its own; says memory over time.

Run by bench.streams as `python -m bench.consume_once FOLDER MESSAGES`, with RAMPART_* set.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from threading import Event, Thread
from time import monotonic

from bench.load_once import peak_mb
from monitors.commands.consume import Consumers, Until


def main(folder: Path, messages: int) -> None:
    ended = Event()
    seen: list[float] = []

    def watch() -> None:
        while not ended.wait(0.5):
            seen.append(_resident_mb())

    Thread(target=watch, daemon=True).start()
    until = monotonic() + 3600
    consumers = Consumers(folder)
    done = consumers.consume(until=Until(idle=5.0, stop=lambda: 1 if monotonic() > until else None))
    ended.set()
    if done.rows != messages:
        raise SystemExit(f"not consumed whole: {done}")
    # the first tenth is the start: Python, the client, the first batch
    third = max(1, len(seen) // 3)
    early, late = max(seen[:third]), max(seen[-third:])
    print(json.dumps({"peak_mb": peak_mb(), "early_mb": early, "late_mb": late}))


def _resident_mb() -> float:
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) / 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
