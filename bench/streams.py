"""A topic into raw, against the clock; COPY of the same messages in the same batches stands beside.

Brokers, producer, consumer and Postgres share the machine. The rate counts from the commit of the
first batch to that of the last, so that neither the start nor the joining of the group is in it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from time import perf_counter

from bench.figure import Figure, Options
from bench.server import Server, embedded_server
from bench.stream_source import values_of_300_bytes
from monitors.warehouse.connection import connect

MESSAGES = 10_000_000
BATCH = 50_000
PEAK_MB = 250

RATE = """
select (sum(rows_read) - (array_agg(rows_read order by log_id))[1])
    / extract(epoch from max(finished_at) - min(finished_at)), count(*)
from monitoring.pipeline_logs where stage = 'consume'
"""
COPY = """copy copied (_delivery_id, _source_row, payload) from stdin
(format csv, delimiter E'\\x02', quote E'\\x01', null E'\\x03')"""


def consume(options: Options) -> Iterator[Figure]:
    """10 M messages of 300 bytes, or the share of them that `--scale` says."""
    messages = max(10 * BATCH, int(MESSAGES * options.scale) // 8000 * 8000)
    with embedded_server(options.folder) as server:
        memory = _consumed(options, server, messages)
        with connect(server.target) as connection:
            row = connection.execute(RATE.encode()).fetchone()
        assert row is not None
        rate, batches = float(row[0]), int(row[1])
        copied = _copied(server, min(messages, 20 * BATCH))
    note = (
        f"{messages:,} messages in {batches:,} batches;"
        f" COPY alone takes {copied:,.0f}/s of them, {rate / copied:.2f}x"
    )
    yield Figure("consume", "the clock", [rate], ">=", 30_000, "/s", note)
    grown = memory["late_mb"] / memory["early_mb"]
    yield Figure("consume", "RSS of the last third against the first", [grown], "<=", 1.1, "x")
    yield Figure("consume", "peak RSS of the consumer", [memory["peak_mb"]], "<=", PEAK_MB, "MB")


def _consumed(options: Options, server: Server, messages: int) -> dict[str, float]:
    source = subprocess.Popen(
        [sys.executable, "-m", "bench.stream_source", "events", "bench", str(messages)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert source.stdout is not None
        address = source.stdout.readline().strip()
        (options.folder / "rampart.yml").write_text(
            "streams:\n  events:\n"
            f"    kafka: {{brokers: '{address}', topic: events, group: bench}}\n"
            "    table: bench_raw.events\n    dlq_path: monitoring.dead_letters\n"
            "    watermark: 1 hour\n    checkpoint: bench\n    event_time: event_timestamp\n"
            f"    event_time_format: seconds\n    max_records_per_batch: {BATCH}\n"
        )
        done = subprocess.run(
            [sys.executable, "-m", "bench.consume_once", str(options.folder), str(messages)],
            env={**os.environ, **server.target.environment()},
            stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    finally:
        source.kill()
        source.wait()
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _copied(server: Server, messages: int) -> float:
    """Messages per second: the bytes are ready, and each batch is one COPY and one commit."""
    values = values_of_300_bytes()
    server.execute(
        "create table copied (_delivery_id bigint, _source_row bigint, payload json not null)",
        "create index on copied using brin (_delivery_id) with (pages_per_range = 16)",
        "checkpoint",
    )
    batch = b"".join(b"1\x02%d\x02%b\n" % (n, values[n % len(values)]) for n in range(BATCH))
    pieces = [batch[at : at + 256 * 1024] for at in range(0, len(batch), 256 * 1024)]
    batches = messages // BATCH
    with connect(server.target) as connection, connection.cursor() as cursor:
        started = perf_counter()
        for _ in range(batches):
            with cursor.copy(COPY.encode()) as copy:
                for piece in pieces:
                    copy.write(piece)
            connection.commit()
        return batches * BATCH / (perf_counter() - started)
