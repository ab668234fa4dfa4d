"""Checks: a hundred on one large table, and what a scan costs when there is nothing to look at."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter, sleep

from bench.figure import Figure, Options, in_turns
from bench.server import Server, embedded_server

RAMPART = Path(sys.executable).with_name("rampart")
SODA = Path(sys.executable).with_name("soda")
ROWS = 10_000_000
NUMBERS = 10
"""Columns n0 to n9 with a null in every hundredth row, t0 to t9 of short texts likewise."""
TABLE = """
create unlogged table large as
select
    number as id,
    {numbers},
    {texts}
from generate_series(1, {rows}) as number
"""
SODA_CONFIGURATION = """data_source rampart:
  type: postgres
  host: ${RAMPART_HOST}
  port: ${RAMPART_PORT}
  username: ${RAMPART_USER}
  password: ${RAMPART_PASSWORD}
  database: ${RAMPART_DBNAME}
"""
CHANGED_SETTINGS = "send_anonymous_usage_stats: false\nuser_cookie_id: bench\n"


def checks(options: Options) -> Iterator[Figure]:
    """`rampart scan` of 100 checks against psql with one query of the same aggregates.

    Beside the clock stands the CPU time of client and server, which a busy machine does not change.
    """
    rows = int(ROWS * options.scale)
    claims, aggregates = _hundred()
    query = f"select {', '.join(aggregates)} from large"
    with embedded_server(options.folder) as server:
        server.execute(_table(rows), "vacuum analyze large")
        folder = _project(options.folder, "checks for large:\n" + "".join(claims))
        server.psql_seconds(query)  # both find the table in memory
        pairs = [
            (
                _measured(server, lambda: _rampart(server, folder)),
                _measured(server, lambda: server.psql_seconds(query)),
            )
            for _ in range(options.pairs)
        ]
    reference = "psql with one query of the same aggregates"
    fastest = min(theirs for _, (theirs, _) in pairs)
    yield Figure(
        name="scan_checks",
        reference=reference,
        values=[ours / theirs for (ours, _), (theirs, _) in pairs],
        relation="<=",
        target=1.3,
        unit="x",
        note=f"100 checks, {rows:,} rows, {fastest:.1f} s by hand",
    )
    yield Figure(
        name="scan_checks_cpu",
        reference=reference,
        values=[ours / theirs for (_, ours), (_, theirs) in pairs],
        relation="<=",
        target=1.3,
        unit="x",
        note="CPU time of client and server together",
    )


def fixed(options: Options) -> Iterator[Figure]:
    """`rampart scan` against `soda scan`, each of one check on an empty table."""
    with embedded_server(options.folder) as server:
        server.execute("create table nothing (id int)")
        folder = _project(options.folder, "checks for nothing:\n  - row_count = 0\n")
        (folder / "soda.yml").write_text(SODA_CONFIGURATION)
        (folder / ".soda").mkdir()
        (folder / ".soda" / "config.yml").write_text(CHANGED_SETTINGS)
        _rampart(server, folder), _soda(server, folder)  # the first start reads from the disk
        pairs = in_turns(
            max(options.pairs, 5), lambda: _rampart(server, folder), lambda: _soda(server, folder)
        )
    yield Figure(
        name="scan_fixed",
        reference="soda scan of one check, telemetry off",
        values=[ours / theirs for ours, theirs in pairs],
        relation="<=",
        target=1.5,
        unit="x",
        note=f"soda takes {min(theirs for _, theirs in pairs):.2f} s",
    )


def _measured(server: Server, job: Callable[[], float]) -> tuple[float, float]:
    """(wall seconds, CPU seconds of the job's process and of the server processes it had)."""
    pid_file = next(server.postgres.folder.rglob("postmaster.pid"))
    server_stat = Path(f"/proc/{pid_file.read_text().split()[0]}/stat")

    def spent() -> float:
        # of children that have ended, user and system: fields 16 and 17 of proc(5)
        fields = server_stat.read_text().rsplit(")", 1)[1].split()
        ours = resource.getrusage(resource.RUSAGE_CHILDREN)
        ticks = int(fields[13]) + int(fields[14])
        return ticks / os.sysconf("SC_CLK_TCK") + ours.ru_utime + ours.ru_stime

    before = spent()
    seconds = job()
    sleep(0.5)  # until the server has buried its processes
    return seconds, spent() - before


def _table(rows: int) -> str:
    numbers = ",\n    ".join(
        f"case when number % 100 = {each} then null else number % {1000 + each} end as n{each}"
        for each in range(NUMBERS)
    )
    texts = ",\n    ".join(
        f"case when number % 100 = {each} then null else 'c' || number % {10 + each} end as t{each}"
        for each in range(NUMBERS)
    )
    return TABLE.format(numbers=numbers, texts=texts, rows=rows)


def _hundred() -> tuple[list[str], list[str]]:
    """(100 checks that hold, the aggregates that a person would write for them)."""
    claims, aggregates = [], []
    for each in range(NUMBERS):
        n, t = f"n{each}", f"t{each}"
        claims += [
            f"  - missing_count({n}) > 0\n",
            f"  - min({n}) < 5\n",
            f"  - max({n}) > 0\n",
            f"  - avg({n}) > 0\n",
            f"  - sum({n}) > 0\n",
            f"  - invalid_count({n}) = 0:\n      valid min: 0\n",
            f"  - missing_count({t}) > 0\n",
            f"  - max_length({t}) < 9\n",
            f"  - min_length({t}) > 0\n",
            f"  - invalid_count({t}) = 0:\n      valid min length: 2\n",
        ]
        aggregates += [
            f"count(*) filter (where {n} is null)",
            f"min({n})",
            f"max({n})",
            f"avg({n})",
            f"sum({n})",
            f"count(*) filter (where {n} < 0)",
            f"count(*) filter (where {t} is null)",
            f"max(length({t}))",
            f"min(length({t}))",
            f"count(*) filter (where length({t}) < 2)",
        ]
    return claims, aggregates


def _project(folder: Path, checks: str) -> Path:
    project = folder / "project"
    project.mkdir()
    (project / "rampart.yml").write_text("scan: {checks: [checks.yml]}\n")
    (project / "checks.yml").write_text(checks)
    return project


def _rampart(server: Server, folder: Path) -> float:
    return _seconds(server, folder, [RAMPART, "scan"])


def _soda(server: Server, folder: Path) -> float:
    return _seconds(server, folder, [SODA, "scan", "-d", "rampart", "-c", "soda.yml", "checks.yml"])


def _seconds(server: Server, folder: Path, command: list[str | Path]) -> float:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    environment = {**clean, **server.target.environment(), "HOME": str(folder)}
    started = perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    seconds = perf_counter() - started
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return seconds
