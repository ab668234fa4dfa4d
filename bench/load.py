"""Loading against `psql \\copy`, the fastest thing that a person would do by hand.

\\copy writes the same file into a plain table of text columns on the same server: no dead letters,
no count, no digest, no lineage. Rampart adds all of that and a block range index, so 1.0x is out of
reach; raw's two lineage columns alone cost 0.83 to 0.86. Both tables exist before (a table made in
the loading transaction would escape the write-ahead log), and are empty and checkpointed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.data import COLUMNS, write_csv, write_jsonl
from bench.figure import Figure, Options, in_turns
from bench.server import Server, embedded_server
from monitors.arrival.raw import DELIVERY

CSV = "format csv, header true"
LINES = "format csv, delimiter E'\\x02', quote E'\\x01'"
"""A line goes in as it is: JSON may hold neither of the two control characters."""
PEAK_MB = 150


def load_csv(options: Options) -> Iterator[Figure]:
    """CSV without any quote: the path on which Rampart only cuts and numbers lines."""
    path = options.folder / "plain.csv"
    write_csv(path, options.size_mb, quoted=False)
    yield from _against_copy("load_csv", path, "csv", 0.8, options)


def load_csv_quoted(options: Options) -> Iterator[Figure]:
    """CSV with quotes in three columns of fifteen: here Rampart also weighs every quote."""
    path = options.folder / "quoted.csv"
    write_csv(path, options.size_mb, quoted=True)
    yield from _against_copy("load_csv_quoted", path, "csv", 0.8, options)


def load_jsonl(options: Options) -> Iterator[Figure]:
    """JSON Lines: raw holds `json`, so Postgres parses what \\copy only stores."""
    path = options.folder / "events.jsonl"
    write_jsonl(path, options.size_mb)
    yield from _against_copy("load_jsonl", path, "jsonl", 0.6, options)


def _against_copy(
    name: str, path: Path, kind: str, target: float, options: Options
) -> Iterator[Figure]:
    columns = COLUMNS if kind == "csv" else ("line",)
    texts = ", ".join(f"{column} text" for column in columns)
    raw_columns = texts if kind == "csv" else "payload json not null"
    peaks: list[float] = []

    with embedded_server(options.folder) as server:
        server.execute(
            f"create table plain ({texts})",
            f"create table raw (_delivery_id bigint, _source_row bigint, {raw_columns})",
            f"create index on raw using brin ({DELIVERY}) with (pages_per_range = 16)",
        )

        def rampart() -> float:
            _clear(server)
            loaded = _load_once(server, kind, path)
            peaks.append(loaded["peak_mb"])
            return loaded["seconds"]

        def copy() -> float:
            _clear(server)
            return server.psql_seconds(
                f"\\copy plain from '{path}' with ({CSV if kind == 'csv' else LINES})"
            )

        pairs = in_turns(options.pairs, rampart, copy)
    megabytes = path.stat().st_size / (1 << 20)
    path.unlink()
    rates = [f"{megabytes / median(seconds):.0f} MB/s" for seconds in zip(*pairs, strict=True)]
    yield Figure(
        name=name,
        reference=r"psql \copy into a plain table",
        values=[theirs / ours for ours, theirs in pairs],
        relation=">=",
        target=target,
        unit="x",
        note=f"{megabytes:.0f} MB at {rates[0]}, the reference at {rates[1]}",
    )
    yield Figure(name, "peak RSS of the loading process", peaks, "<=", PEAK_MB, "MB")


def _clear(server: Server) -> None:
    """Nothing to write back from the run before, nothing that was loaded before."""
    server.execute(
        "truncate raw, plain",
        "truncate monitoring.deliveries cascade",
        "checkpoint",
    )


def _load_once(server: Server, kind: str, path: Path) -> dict[str, float]:
    arguments = [server.target.host, kind, "public.raw", str(path)]
    done = subprocess.run(
        [sys.executable, "-m", "bench.load_once", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"the load failed: {(done.stderr or done.stdout).strip()}")
    loaded: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return loaded
