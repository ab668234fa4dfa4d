"""The report over 90 days: how large, how long, how much memory, for many datasets."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from bench.figure import Figure, Options
from bench.server import Server, embedded_server

DAYS = 90
CHECKS = 5
"""Per dataset: one of volume, one that fails now and then."""
NOW = "timestamptz '2026-06-30 06:00:00+00'"

RUNS = f"""
insert into monitoring.runs (run_id, command, environment, started_at, ended_at, exit_code)
select
    to_char(day at time zone 'UTC', 'YYYYMMDD"T"HH24MISS000000"Z"') || '-bench0',
    'run', 'dev', day - interval '5 minutes', day, 0
from generate_series({NOW} - interval '{DAYS - 1} days', {NOW}, interval '1 day') as day
"""
STAGES = """
insert into monitoring.pipeline_logs (
    run_id, pipeline_name, stage, layer, status, started_at, finished_at, rows_read, rows_written,
    rows_dead_lettered
)
select
    run_id, 'shop', 'load', 'bronze', 'succeeded', started_at, started_at + interval '40 seconds',
    49000 + (extract(day from ended_at) * 37)::integer, 48990, 10
from monitoring.runs
"""


def verdicts(datasets: int, red_every: int) -> str:
    """Every `red_every`th dataset is red today, and a few were on other days."""
    return f"""
insert into monitoring.data_quality_metrics (
    run_id, environment, execution_timestamp, data_timestamp, layer, category, suite_name, dataset,
    check_id, check_name, metric_name, metric_value, expected_min, expected_max, status, severity,
    success_rate, failed_expectations, message, attributes
)
select
    runs.run_id, 'dev', runs.ended_at, runs.ended_at - interval '6 hours',
    (array['gold', 'gold', 'silver', 'bronze'])[1 + dataset % 4], 'data_quality',
    'suite_' || dataset / 10, 'shop.dataset_' || lpad(dataset::text, 4, '0'),
    'shop.dataset_' || lpad(dataset::text, 4, '0') || '.check_' || number,
    'claim ' || number || ' about the rows of the dataset holds', 'share', judged.measured, 0,
    0.05, judged.status, 'medium',
    case judged.status when 'pass' then 100 when 'warn' then 100 when 'fail' then 0 end,
    case judged.status when 'fail' then 1 when 'blind' then null else 0 end,
    'share=' || round(judged.measured::numeric, 4) || ' (max 0.05)',
    jsonb_build_object(
        'owner', (array['Web analytics', 'Finance', 'Data platform'])[1 + dataset % 3],
        'matters', 'Revenue of the day is understated by the rows that are missing.',
        'do', 'select * from shop.offending_rows where dataset = ' || dataset
    )
from monitoring.runs as runs
cross join generate_series(1, {datasets}) as dataset
cross join generate_series(1, {CHECKS}) as number
cross join lateral (
    select
        case
            when number = 1 and dataset % {red_every} = 0 and runs.ended_at = {NOW} then 'fail'
            when number = 1 and hashint8(dataset * 1000 + extract(doy from runs.ended_at)::integer)
                % 97 = 0 then 'fail'
            when number = 2 and dataset % 17 = 0 then 'blind'
            when number = 3 and dataset % 23 = 0 and runs.ended_at = {NOW} then 'warn'
            else 'pass'
        end as status
) as said
cross join lateral (
    select
        said.status,
        case said.status when 'fail' then 0.07 when 'warn' then 0.048 else 0.02 end
        + 0.01 * sin(extract(doy from runs.ended_at) / 3.0 + dataset + number) as measured
) as judged
"""


def volumes(datasets: int) -> tuple[str, ...]:
    """A modelled volume for each: weeks with their ends, one alarm, blind at the start only."""
    series = f"""
insert into monitoring.volume_series (
    environment, project, dataset, every, clock, timezone, lateness, method, smallest_change
)
select
    'dev', 'shop', 'shop.dataset_' || lpad(dataset::text, 4, '0'), 'day', 'wall', 'UTC', '0',
    'model', 0.5
from generate_series(1, {datasets}) as dataset
"""
    buckets = f"""
insert into monitoring.metric_values (
    environment, metric_id, segment, data_timestamp, value, origin, dataset, metric_name, run_id
)
select
    'dev', 'volume.' || dataset.name, '', day,
    case
        when extract(isodow from day) > 5 then 0.6 else 1 end
    * case when date_trunc('day', {NOW}) - day = interval '12 days' then 0.2 else 1 end
    * (40000 + 2000 * sin(extract(doy from day)::integer * 1.7)),
    'bucket', dataset.name, 'row_count', (select max(run_id) from monitoring.runs)
from (
    select 'shop.dataset_' || lpad(number::text, 4, '0') as name
    from generate_series(1, {datasets}) as number
) as dataset
cross join generate_series(
    date_trunc('day', {NOW}) - interval '{DAYS} days',
    date_trunc('day', {NOW}) - interval '1 day', interval '1 day'
) as day
"""
    judged = f"""
insert into monitoring.volume_judgements (
    environment, dataset, segment, bucket_start, bucket_end, row_count, expected, lower, upper,
    score, kind, detectable_change, state, cause, run_id
)
select
    values.environment, values.dataset, '', values.data_timestamp,
    values.data_timestamp + interval '1 day', values.value, usual.expected,
    usual.expected * 0.85, usual.expected * 1.15, 1, null, 0.15,
    case
        when values.data_timestamp < {NOW} - interval '70 days' then 'blind'
        when values.value < usual.expected * 0.85 then 'anomalous' else 'usual'
    end,
    case when values.value < usual.expected * 0.85 then 'far fewer rows than on other days' else
    'as usual' end, values.run_id
from monitoring.metric_values as values
cross join lateral (
    select case when extract(isodow from values.data_timestamp) > 5 then 24000.0 else 40000 end
    as expected
) as usual
"""
    return series, buckets, judged


def states() -> str:
    """What flips would have left behind."""
    return """
insert into monitoring.check_states (
    environment, check_id, segment, is_red, recent, status, severity, layer, dataset, message,
    run_id, data_timestamp, changed_at
)
select
    environment, check_id, segment, status = 'fail', case status when 'fail' then 'r' else 'g' end,
    status, severity, layer, dataset, message, run_id, data_timestamp, execution_timestamp
from monitoring.data_quality_metrics
where run_id = (select max(run_id) from monitoring.runs)
"""


def fill(server: Server, datasets: int, red_every: int = 40) -> None:
    """90 days of daily scans, written by SQL."""
    server.execute(
        RUNS, STAGES, verdicts(datasets, red_every), *volumes(datasets), states(), "analyze"
    )


WRITE = r"""
import re, sys, time
from datetime import datetime, timezone
from pathlib import Path
from monitors.commands.report import make_report
from monitors.config import Config
from monitors.warehouse.connection import resolve_target
config = Config().model_copy(update={"root": Path(sys.argv[1])})
target = resolve_target(config.root)
started = time.perf_counter()
now = datetime(2026, 6, 30, 6, 30, tzinfo=timezone.utc)
written = make_report(config, target, now, Path("report.html"))
seconds = time.perf_counter() - started
# the high-water mark of getrusage is inherited from whoever started this process
peak = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
print(written.size, written.detailed, seconds, time.process_time(), peak)
"""
"""In a process of its own, so that its memory is its own."""


def report(options: Options) -> Iterator[Figure]:
    """Size in MB, seconds and peak memory in MB of `rampart report`."""
    for datasets in (10, 100, 1_000):
        scaled = max(int(datasets * options.scale), 1)
        folder = options.folder / str(datasets)
        folder.mkdir()
        with embedded_server(folder) as server:
            fill(server, scaled)
            runs = [_write(server, folder) for _ in range(options.pairs)]
        note = f"{scaled:,} datasets, {CHECKS} checks each, {DAYS} days, {runs[0][1]:.0f} in detail"
        limit = 1.5 if scaled <= 100 else 3
        yield Figure("report_size", "the ruler", [run[0] / 1e6 for run in runs], "<=", limit, "MB",
                     note)  # fmt: skip
        yield Figure("report_seconds", "the clock", [run[2] for run in runs], "<=", 10, "s",
                     f"{note}; {runs[0][3]:.1f} s of CPU with the imports")  # fmt: skip
        yield Figure(
            "report_memory", "the process", [run[4] for run in runs], "<=", 200, "MB", note
        )


def _write(server: Server, folder: Path) -> list[float]:
    """[bytes, datasets in detail, seconds, seconds of CPU, MB]."""
    environment = {**os.environ, **server.target.environment(), "RAMPART_LOG_LEVEL": "error"}
    started = perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", WRITE, str(folder)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"after {perf_counter() - started:.1f} s: {done.stderr[-2000:]}")
    return [float(word) for word in done.stdout.split()[-5:]]
