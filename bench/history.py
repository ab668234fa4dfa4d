"""The daily run of an SCD2 dimension: one more extract on ten days of history and on a hundred."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bench.figure import Figure, Options
from bench.scd2 import CHANGES, build, deliver, make_project, settle
from bench.server import Server, embedded_server
from monitors.store.migrate import migrate
from monitors.warehouse.connection import connect

ENTITIES = 100_000
DAYS = 10


def daily_extract(options: Options) -> Iterator[Figure]:
    """A full extract of which 1 % changed, after ten days of such and after a hundred."""
    entities = int(ENTITIES * options.scale)
    with embedded_server(options.folder) as server:
        histories = []
        for name, days in (("short", DAYS), ("long", 10 * DAYS)):
            server.execute(f"create database {name}")
            own = Server(server.postgres, replace(server.target, dbname=name))
            with connect(own.target) as connection:
                migrate(connection)
            project = make_project(options.folder / name, own, entities)
            for day in range(days):
                _next_day(own, day, entities)
            settle(own)
            build(project)
            # what autovacuum does within minutes of a load, here before the clock starts
            own.execute("vacuum analyze")
            histories.append((own, project, days))
        ratios = []
        for number in range(options.pairs + 1):
            seconds = []
            for own, project, days in histories:
                _next_day(own, days + number, entities)
                settle(own)
                seconds.append(build(project))
            short, long = seconds
            if number:  # the first incremental build finds a cold cache
                ratios.append(long / short)
        note = f"{entities:,} entities, last pair {long:.2f} s against {short:.2f} s"
        yield Figure("scd2_history", "a tenth of the history", ratios, "<=", 1.2, "x", note)


def _next_day(server: Server, day: int, entities: int) -> None:
    # as many come as go, so that the daily volume stays
    new = entities // 2000
    server.execute(*(change.format(n=day, new=new) for change in CHANGES))
    deliver(server, day, "full", "select * from bench.register")
