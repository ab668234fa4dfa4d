"""A real register, whole: 740 extracts of .gov domains, 6.45 M rows, from raw to dimension.

The path is a user's: files, `rampart load`, `dbt build`. Of the whole what counts is the time that
dbt reports for the two tables, of one more extract the sum over the statements that their models
ran. The data are third party; where they are not there, nothing is measured.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

from bench.figure import Figure, Options
from bench.server import embedded_server

FULL_SECONDS, ONE_MORE_SECONDS = 60, 1
MODELS = ("int_domains_judged", "dim_domains")
STATEMENT = re.compile(r"\[Thread-\d+ .*SQL status: .* in ([\d.]+) seconds")


def registers(options: Options) -> Iterator[Figure]:
    """All extracts at once, then one more of some 10,000 rows on top, `--pairs` times."""
    from tests.acceptance import registers as real

    if not (real.DATA / "dotgov").exists() or find_spec("pyarrow") is None:
        print(f"registers: {real.DATA / 'dotgov'} or pyarrow is not there", file=sys.stderr)
        return
    with embedded_server(options.folder) as server:
        register = real.install("dotgov", options.folder / "rampart", server.target)
        for extract in real.extracts_of("dotgov"):
            extract.write_csv(register.landing)
        started = perf_counter()
        register.load()
        loading = perf_counter() - started
        rows = server.count("dotgov_raw.domains")
        register.build("stg_dotgov__domains", *MODELS)
        note = f"{rows:,} rows, loaded before in {loading:.0f} s; {_load()}"
        seconds = _seconds(register.folder)
        parts = ", ".join(f"{name} {each:.1f} s" for name, each in seconds.items())
        yield Figure(
            "registers_full", "the clock", [sum(seconds.values())], "<=", FULL_SECONDS, "s",
            f"{parts}; {note}",
        )  # fmt: skip

        values = []
        for number in range(1, options.pairs + 1):
            # one row in a hundred has another contact
            changed = [
                (*row[:-1], f"{number}@example.gov") if at % 100 == number else row
                for at, row in enumerate(extract.rows)
            ]
            moment = extract.moment + timedelta(days=number)
            more = replace(extract, moment=moment, rows=changed)
            register.load(more.write_csv(register.landing))
            log = register.folder / "logs" / "dbt.log"
            before = len(_statements(log))
            register.build(*MODELS)
            values.append(sum(_statements(log)[before:]))
        yield Figure(
            "registers_more", "the clock", values, "<=", ONE_MORE_SECONDS, "s",
            f"{len(more.rows):,} rows on top; {_load()}",
        )  # fmt: skip


def _seconds(project: Path) -> dict[str, float]:
    """What dbt's latest build says of the two tables."""
    results = json.loads((project / "target" / "run_results.json").read_text())["results"]
    found = {each["unique_id"]: float(each["execution_time"]) for each in results}
    return {name: found[f"model.dotgov.{name}"] for name in MODELS}


def _statements(log: Path) -> list[float]:
    """The seconds of every statement that a model ran, in order."""
    return [float(each) for each in STATEMENT.findall(log.read_text())]


def _load() -> str:
    return f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
