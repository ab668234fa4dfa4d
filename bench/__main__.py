"""`python -m bench [NAME...]`: run benchmarks, print a line for each figure.

Exits with 1 when a target is not met, so that a scheduler may watch; no test depends on it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import (
    alerts,
    artifacts,
    documents,
    facts,
    history,
    load,
    registers,
    report,
    scan,
    scd2,
    serve,
    start,
    streams,
    volume,
)
from bench.figure import Figure, Options
from monitors import log

BENCHMARKS: dict[str, Callable[[Options], Iterator[Figure]]] = {
    "help": start.help_text,
    "demo": start.demo,
    "alerts": alerts.alerts,
    "load_csv": load.load_csv,
    "load_csv_quoted": load.load_csv_quoted,
    "load_jsonl": load.load_jsonl,
    "load_documents": documents.load_documents,
    "consume": streams.consume,
    "scd2_full": scd2.full_extract,
    "scd2_partial": scd2.partial_extract,
    "registers": registers.registers,
    "scd2_history": history.daily_extract,
    "facts": facts.daily_run,
    "scan_checks": scan.checks,
    "scan_fixed": scan.fixed,
    "volume_model": volume.volume_model,
    "dbt_results": artifacts.read_results,
    "report": report.report,
    "serve": serve.serve,
}


def main() -> int:
    arguments = _arguments()
    log.configure(level="warning")
    figures = []
    for name in arguments.names or BENCHMARKS:
        # A short path, because a socket lies in it; /tmp may be small, so TMPDIR decides.
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            options = Options(arguments.pairs, arguments.size_mb, Path(folder), arguments.scale)
            for figure in BENCHMARKS[name](options):
                figures.append(figure)
                if not arguments.json:
                    print(figure.line(), flush=True)
    if arguments.json:
        print(json.dumps([figure.as_dict() for figure in figures], indent=2))
    return 0 if all(figure.met for figure in figures) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--size-mb", type=int, default=1024, help="size of a file to load")
    parser.add_argument("--pairs", type=int, default=5, help="how often each pair is measured")
    parser.add_argument("--scale", type=float, default=1.0, help="share of rows, long histories")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in BENCHMARKS:
            parser.error(f"no benchmark `{name}`; there are {', '.join(BENCHMARKS)}")
    return arguments


if __name__ == "__main__":
    raise SystemExit(main())
