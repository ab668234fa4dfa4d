"""What a scrape costs at 10,000 series, and fifty requests a second while scans run."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from time import monotonic, perf_counter, sleep

import psutil
import urllib3

from bench.figure import Figure, Options
from bench.server import embedded_server
from monitors.warehouse.target import Target

CHECKS, DAYS, STAGES = 2_000, 100, 20_000
RATE = 50
PATHS = ("/metrics", "/health", "/health/live", "/")
ROOT = Path(__file__).parents[1]

FILL = (
    "insert into monitoring.runs (run_id, command, environment, started_at, ended_at, exit_code)"
    " select 'run-' || n, 'scan', 'dev', moments.at, moments.at, 0"
    f" from generate_series(0, {DAYS - 1}) as days (n),"
    " lateral (select now() - n * interval '1 day') as moments (at)",
    "insert into monitoring.data_quality_metrics (run_id, environment, execution_timestamp, layer,"
    " category, suite_name, dataset, check_id, check_name, metric_name, metric_value, expected_min,"
    " expected_max, status, severity, success_rate, message)"
    " select 'run-' || n, 'dev', now() - n * interval '1 day', 'gold', 'business', 'bench',"
    " 'facts.t' || m % 100, 'bench.check_' || m, 'a check', 'row_count', m, 0, 1e6, 'pass', 'high',"
    " 100, 'fine'"
    f" from generate_series(0, {DAYS - 1}) as days (n),"
    f" generate_series(1, {CHECKS}) as checks (m)",
    "insert into monitoring.pipeline_logs (run_id, pipeline_name, stage, layer, status, started_at,"
    f" finished_at, rows_read, rows_written) select 'run-' || n % {DAYS}, 'feed_' || n % 10,"
    " 'load', 'bronze', 'succeeded', moments.at, moments.at + interval '3 seconds', 10, 10"
    f" from generate_series(1, {STAGES}) as stages (n),"
    " lateral (select now() - n * interval '5 minutes') as moments (at)",
    "create schema shop",
    "create table shop.orders as select n as id, n % 97 as amount"
    " from generate_series(1, 200000) as orders (n)",
    "vacuum analyze",
)
SODA = """
checks for shop.orders:
  - row_count > 0:
      identity: shop.row_count
      name: there are orders
      attributes: {category: business, layer: gold}
  - missing_count(amount) = 0:
      identity: shop.amounts
      name: orders carry an amount
      attributes: {category: business, layer: gold}
"""


def serve(options: Options) -> Iterator[Figure]:
    """A scrape as the server makes it, then a minute (times --scale) of load beside scans."""
    from monitors.commands.serve import Watch
    from monitors.config import Config
    from monitors.show.exporter import StoreCollector, look_at
    from monitors.store.figures import read_figures

    with embedded_server(options.folder) as server:
        server.execute(*FILL)
        watch = Watch(Config(), server.target)

        def scrape() -> tuple[float, int]:
            started = perf_counter()
            look = look_at(
                lambda: watch.pool.read(lambda each: read_figures(each, "dev")), RuntimeError
            )
            _, text = StoreCollector(lambda: look, watch.collector.limits).render()
            return 1000 * (perf_counter() - started), _series(text)

        scrape()
        backend = psutil.Process(watch.pool.read(lambda each: each.info.backend_pid))
        before = _cpu(backend)
        found = [scrape() for _ in range(4 * options.pairs)]
        cpu = 1000 * (_cpu(backend) - before) / len(found)
        watch.pool.close()
        note = f"{found[0][1]:,} series, {CHECKS:,} checks of {DAYS} days, {STAGES:,} stages"
        yield Figure(
            "serve_scrape", "the clock", [each[0] for each in found], "<=", 150, "ms", note
        )
        yield Figure("serve_cpu", "the clock", [cpu], "<=", 150, "ms", "CPU of both processes")
        yield from _under_load(server.target, options)


def _under_load(target: Target, options: Options) -> Iterator[Figure]:
    folder = options.folder / "project"
    (folder / "checks").mkdir(parents=True)
    (folder / "rampart.yml").write_text("scan: {checks: [checks/*.yml]}\n")
    (folder / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    (folder / "checks" / "shop.yml").write_text(SODA)
    seconds = 60 * options.scale
    with _serving(target, folder) as url, _scanning(target, folder) as scans:
        took, errors = _ask(url, seconds)
    note = f"{len(took):,} requests in {seconds:g} s, {len(scans)} scans beside them"
    yield Figure("serve_errors", "none", [errors], "<=", 0, "", note)
    yield Figure("serve_p95", "the clock", [1000 * quantiles(took, n=20)[18]], "<=", 1000, "ms")


def _ask(url: str, seconds: float) -> tuple[list[float], int]:
    """RATE requests a second, each at its time whatever became of the ones before."""
    pool = urllib3.PoolManager(maxsize=64, retries=False, timeout=10)
    started = monotonic()
    took: list[float] = []
    errors: list[str] = []

    def one(number: int) -> None:
        sleep(max(0.0, started + number / RATE - monotonic()))
        began = perf_counter()
        try:
            reply = pool.request("GET", url + PATHS[number % len(PATHS)])
            if reply.status != 200:
                errors.append(str(reply.status))
        except urllib3.exceptions.HTTPError as error:
            errors.append(str(error))
        took.append(perf_counter() - began)

    with ThreadPoolExecutor(64) as threads:
        list(threads.map(one, range(int(RATE * seconds))))
    return took, len(errors)


@contextmanager
def _serving(target: Target, folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "monitors.cli", "serve", "--port", "0"]
    with subprocess.Popen(
        command, cwd=folder, env=_environment(target), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1].rstrip("/")
        finally:
            process.terminate()


@contextmanager
def _scanning(target: Target, folder: Path) -> Iterator[list[float]]:
    """`rampart scan`, one after the other; gives the seconds of each."""
    ended, took = threading.Event(), []
    command = [sys.executable, "-m", "monitors.cli", "scan"]

    def scan() -> None:
        while not ended.is_set():
            started = perf_counter()
            subprocess.run(
                command, cwd=folder, env=_environment(target), check=False, capture_output=True
            )
            took.append(perf_counter() - started)

    thread = threading.Thread(target=scan)
    thread.start()
    try:
        yield took
    finally:
        ended.set()
        thread.join()


def _cpu(backend: psutil.Process) -> float:
    """Seconds that this process and the database's have worked."""
    return sum(sum(each.cpu_times()[:2]) for each in (backend, psutil.Process()))


def _series(text: bytes) -> int:
    return sum(not line.startswith(b"#") for line in text.splitlines())


def _environment(target: Target) -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith("RAMPART_")}
    more = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    return {**own, **target.environment(), **more}
