"""Many small files: each is a delivery in a transaction of its own, so commits are the cost."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from bench.figure import Figure, Options
from bench.server import embedded_server
from monitors import DataMonitor
from monitors.config import Config
from monitors.config_feeds import Feed
from monitors.warehouse.target import Target

FILES = 2_000
MS_PER_FILE = 10


def load_documents(options: Options) -> Iterator[Figure]:
    """`rampart load` of documents in folders, and the pass over them when all are loaded."""
    _write(options.folder / "landing")
    feed = Feed.model_validate(
        {"table": "bench_raw.documents", "format": "json", "path": "landing/**/*.json"}
    )
    config = Config(feeds={"bench": feed}).model_copy(update={"root": options.folder})
    first, again = [], []
    for number in range(options.pairs):
        with embedded_server(options.folder / str(number)) as server:
            first.append(_ms_per_file(config, server.target, FILES))
            again.append(_ms_per_file(config, server.target, 0))
    note = f"{FILES:,} files"
    yield Figure("load_documents", "a file", first, "<=", MS_PER_FILE, "ms", note)
    yield Figure("load_documents", "a file that was loaded before", again, "<=", 5, "ms", note)


def _ms_per_file(config: Config, target: Target, rows: int) -> float:
    os.environ |= target.environment()
    started = perf_counter()
    verdict = DataMonitor(config).load()
    seconds = perf_counter() - started
    if verdict.exit_code or verdict.loads[0].rows != rows:
        raise RuntimeError(f"not loaded whole: {verdict.alerts or verdict.loads[0].rows}")
    return 1000 * seconds / FILES


def _write(landing: Path) -> None:
    for number in range(FILES):
        folder = landing / f"{number % 20:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        document = {"document_id": number, "revision": 1, "text": "x" * 600}
        (folder / f"{number}.json").write_text(json.dumps(document, indent=2))
