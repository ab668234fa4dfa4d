"""What tests of the page share: a warehouse worth looking at, and answers of the page to a path."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from monitors.commands.page import StatusPages
from monitors.commands.serve import Access, Watch
from monitors.results import CheckResult, Layer, Status
from monitors.show.page import Response, facts_of, respond
from monitors.show.server import Application
from monitors.store.history import History, MetricValue
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.alerting import Desk, verdict_of

NASTY = "</style><script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}"
"""Markup that would do something if it were markup."""


def answer(desk: Desk, path: str, target: Target | None = None, **query: str) -> Response:
    """What the page says now, read as the server reads: autocommit, read only."""
    with connect(target or desk.target, autocommit=True, read_only=True) as connection:
        facts = facts_of(
            connection,
            desk.config.environment,
            desk.clock(),
            oldest_scan=desk.config.scan.within,
            volumes=desk.config.volumes,
        )
        found = respond(path, query, facts)
    assert found is not None, path
    return found


def page(desk: Desk, path: str, **query: str) -> str:
    return answer(desk, path, **query).body.decode()


def api(desk: Desk, path: str, **query: str) -> Any:
    return json.loads(answer(desk, path, **query).body)


def orders(status: Status = Status.PASS, **values: Any) -> CheckResult:
    return verdict_of(
        "shop.orders",
        status,
        **{"metric_name": "share", "metric_value": 0.0, "expected_max": 0.05, **values},
    )


def nasty(number: int = 1) -> CheckResult:
    """A red check whose every text is markup."""
    return CheckResult(
        f"nasty.{NASTY}{number}",
        f"claim {NASTY}",
        f"suite {NASTY}",
        f"facts.{NASTY}",
        Status.FAIL,
        layer=Layer.GOLD,
        message=f"value {NASTY}",
        segment=f"segment {NASTY}",
        attributes={
            "owner": f"owner {NASTY}",
            "matters": NASTY,
            "do": NASTY,
            "runbook": "javascript:alert(3)",
        },
    )


def put_feed(desk: Desk) -> None:
    """The feed `clicks`, which arrives in clicks_raw.events."""
    with connect(desk.target) as connection:
        connection.execute(
            "insert into monitoring.feeds (feed, raw_table, required, clock)"
            " values ('clicks', 'clicks_raw.events', true, 'wall')"
        )
        connection.commit()


def put_ledger(desk: Desk, *rows: tuple[str, str, int]) -> None:
    """Rejected rows of the feed `clicks`: [(rules, decision, days ago)]."""
    with connect(desk.target) as connection:
        connection.execute(
            "create table quarantine.ledger"
            " (feed text, rules text, decision text, loaded_at timestamptz)"
        )
        for rules, decision, age in rows:
            connection.execute(
                "insert into quarantine.ledger values ('clicks', %s, %s, %s)",
                (rules, decision, desk.clock() - timedelta(days=age)),
            )
        connection.commit()


def put_volume(desk: Desk, dataset: str, rows: list[float], judged: int) -> None:
    """Daily buckets up to yesterday; the last `judged` have a band, the very last is an alarm."""
    environment, today = desk.config.environment, desk.clock().replace(hour=0, minute=0)
    run_id = desk.rows("select max(run_id) from monitoring.runs")[0][0]
    with connect(desk.target) as connection:
        connection.execute(
            "insert into monitoring.volume_series (environment, project, dataset, every, clock,"
            " timezone, lateness, method, smallest_change) values (%s, 'shop', %s, 'day', 'wall',"
            " 'UTC', '0', 'model', 0.5)",
            (environment, dataset),
        )
        starts = [today - timedelta(days=len(rows) - place) for place in range(len(rows))]
        History(connection, environment, run_id).put(
            MetricValue(f"volume.{dataset}", dataset, "row_count", start, value, origin="bucket")
            for start, value in zip(starts, rows, strict=True)
        )
        for place, (start, value) in enumerate(zip(starts, rows, strict=True)):
            if place < len(rows) - judged:
                continue
            state = "anomalous" if place == len(rows) - 1 else "usual"
            connection.execute(
                "insert into monitoring.volume_judgements (environment, dataset, bucket_start,"
                " bucket_end, row_count, expected, lower, upper, score, state, cause, run_id)"
                " values (%s, %s, %s, %s, %s, 100, 80, 120, 1, %s, %s, %s)",
                (environment, dataset, start, start + timedelta(days=1), value, state,
                 f"far fewer rows {NASTY}", run_id),
            )  # fmt: skip
        connection.commit()


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@contextmanager
def served(desk: Desk) -> Iterator[str]:
    """The address of `rampart serve`'s own application, on a free port."""
    watch = Watch(desk.config, desk.target)
    site = watch.site(Access("127.0.0.1", 0), StatusPages(desk.config, watch.pool))
    server = make_server("127.0.0.1", 0, Application(site), WSGIServer, _Quiet)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        watch.pool.close()
