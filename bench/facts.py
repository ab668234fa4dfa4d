"""The daily run of the facts: a day's events added to a short history and to one ten times as long.

Two databases on one server hold the same table of events, one ten times the other. Both get the
same new delivery in turns; what is compared is the time that dbt reports for the models of the
path, and apart from them for the tests on these models.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from bench.dbt import results, run
from bench.figure import Figure, Options
from bench.server import Server, embedded_server
from bench.start import PROJECT, ROOT
from monitors.store.migrate import migrate
from monitors.warehouse.connection import connect
from monitors.warehouse.packages import install_packages

DAY = 100_000
DAYS = 10
PATH = ("stg_clickstream__events", "int_clickstream_events_judged", "fact_events", "fact_orders")
RAW = (
    "create schema clickstream_raw",
    "create table clickstream_raw.events"
    " (payload json, _delivery_id bigint not null, _source_row bigint not null)",
    "create index on clickstream_raw.events using brin (_delivery_id) with (pages_per_range = 16)",
    "insert into monitoring.runs (run_id, command, environment) values ('bench', 'bench', 'ci')",
)
LOADS = (
    "insert into monitoring.runs (run_id, command, environment)"
    " select 'day-' || day, 'load', 'ci' from generate_series({first}, {last}) as day",
    "insert into monitoring.pipeline_logs"
    " (run_id, pipeline_name, stage, layer, status, started_at, finished_at)"
    " select 'day-' || day, 'clickstream', 'load', 'bronze', 'succeeded', {ended}, {ended}"
    " from generate_series({first}, {last}) as day",
)
DELIVERY = """
    insert into monitoring.deliveries (delivery_id, feed, name, sha256, sequence, extracted_at,
        extracted_at_from, kind, records, rows, dead_letters, bytes, run_id, admission, admitted_by)
    overriding system value
    select day, 'clickstream', 'day-' || day, 'x', day,
        timestamptz '2020-01-02' + day * interval '1 day', 'name', 'events', {rows}, {rows}, 0, 0,
        'day-' || day, 'admitted', 'rampart'
    from generate_series({first}, {last}) as day
"""
EVENTS = """
    insert into clickstream_raw.events
    select
        json_build_object(
            'event_name', case when n % 20 = 0 then 'purchase' else 'page_view' end,
            'event_timestamp', (extract(epoch from timestamptz '2020-01-01') * 1000000)::bigint
            + day * 86400000000::bigint + n * 800000::bigint,
            'client_id', 'client-' || n % 5000,
            'session_id', 'session-' || day || '-' || n % 10000,
            'page_location', 'https://shop.example/' || n % 300,
            'transaction_id', case when n % 20 = 0 then 'T-' || day || '-' || n end,
            'revenue', case when n % 20 = 0 then n % 900 + 1 end,
            'currency', case when n % 20 = 0 then 'EUR' end,
            'traffic_source', json_build_object('source', 'news', 'medium', 'email')
        ),
        day,
        n
    from generate_series({first}, {last}) as day, generate_series(1, {rows}) as n
"""


GREEN = """
    insert into monitoring.pipeline_logs
        (run_id, pipeline_name, stage, layer, status, source, started_at, finished_at)
    values ('bench', 'dbt', 'build', 'gold', 'succeeded', 'dbt build into ci.rampart', now(), now())
"""
"""What `rampart build` notes: tests look at what came since."""


@dataclass(frozen=True)
class History:
    """A database of its own and a copy of the project that builds into it."""

    server: Server
    project: Path
    rows: int

    def deliver(self, first: int, last: int, ended: str = "now()") -> None:
        """Deliver the days `first` to `last`, numbered from 1, loaded at the moment `ended`."""
        values = {"first": first, "last": last, "rows": self.rows, "ended": ended}
        self.server.execute(*(load.format(**values) for load in LOADS))
        self.server.execute(DELIVERY.format(**values), EVENTS.format(**values))
        self.server.execute("analyze clickstream_raw.events", "checkpoint")

    def build(self) -> tuple[float, float]:
        """(seconds of the models of the path, seconds of their tests)."""
        run(self.project, "build", "--exclude-resource-type", "unit_test", "--select", *PATH)
        self.server.execute(GREEN)
        seconds = results(self.project)
        return (
            sum(seconds[node] for node in seconds if node.startswith("model.")),
            sum(seconds[node] for node in seconds if node.startswith("test.")),
        )


def daily_run(options: Options) -> Iterator[Figure]:
    """One more day of events: on ten days against on a hundred."""
    rows = int(DAY * options.scale)
    with embedded_server(options.folder) as server:
        histories = []
        for name, days in (("short", DAYS), ("long", 10 * DAYS)):
            history = _history(options.folder / name, server, name, rows)
            history.deliver(1, days, "now() - interval '1 hour'")
            history.build()
            # what autovacuum does within minutes of a load, here before the clock starts
            history.server.execute("vacuum analyze")
            histories.append((history, days))
        models, tests, note, note_tests = [], [], "", ""
        for number in range(1, options.pairs + 1):
            seconds = []
            for history, days in histories:
                history.deliver(days + number, days + number)
                seconds.append(history.build())
            (short, short_tests), (long, long_tests) = seconds
            models.append(long / short)
            tests.append(long_tests / short_tests)
            note = f"last pair {long:.2f} s against {short:.2f} s"
            note_tests = f"last pair {long_tests:.2f} s against {short_tests:.2f} s"
        size = f"{rows:,} rows added to {rows * DAYS * 10:,}"
        reference = f"to {rows * DAYS:,}"
        yield Figure("facts", reference, models, "<=", 1.2, "x", f"{size}; {note}")
        yield Figure("facts_tests", reference, tests, "<=", 1.2, "x", f"{size}; {note_tests}")


def _history(folder: Path, server: Server, database: str, rows: int) -> History:
    server.execute(f"create database {database}")
    own = Server(server.postgres, replace(server.target, dbname=database))
    with connect(own.target) as connection:
        migrate(connection)
    own.execute(*RAW)
    folder.mkdir()
    for name in PROJECT:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    target = own.target
    output = {"type": "postgres", "host": target.host, "port": 5432, "user": target.user,
              "password": "", "dbname": database, "schema": "rampart", "threads": 1}  # fmt: skip
    (folder / "profiles.yml").write_text(
        yaml.safe_dump({"rampart": {"target": "ci", "outputs": {"ci": output}}})
    )
    install_packages(folder, offline=True)
    return History(own, folder, rows)
