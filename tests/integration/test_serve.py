"""`rampart serve` over a real Postgres and real sockets: what it says, what does not stop it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest
import urllib3
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from monitors.cli import cli
from monitors.commands.purge import Cleaner
from monitors.commands.serve import Access, Watch
from monitors.config import Config
from monitors.results import Layer, Severity, Status
from monitors.show.server import Application
from monitors.store.migrate import migrate
from monitors.store.postgres import RunContext, StageCounts, Store
from monitors.store.roles import grant_roles
from monitors.warehouse.connection import Connection, connect
from monitors.warehouse.embedded import EmbeddedPostgres
from monitors.warehouse.target import Target
from tests.alerting import Clock, Desk, verdict_of
from tests.conftest import ROOT, Server

TOKEN = "0123456789abcdef-of-a-test"


@dataclass
class Running:
    """A `rampart serve` of its own process."""

    url: str
    process: subprocess.Popen[str]

    def get(self, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
        return urllib3.request("GET", self.url + path, headers=headers, timeout=20, retries=False)

    def metrics(self) -> dict[str, dict[str, float]]:
        return parsed(self.get("/metrics").data.decode())


def parsed(text: str) -> dict[str, dict[str, float]]:
    """{sample: {labels as text: value}}."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


@contextmanager
def serving(target: Target, folder: Path, *options: str) -> Iterator[Running]:
    if not (folder / "rampart.yml").exists():
        (folder / "rampart.yml").write_text("{}\n")
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("RAMPART_")},
        **target.environment(),
        "PYTHONUNBUFFERED": "1",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "monitors.cli", "serve", "--port", "0", *options],
        cwd=folder, env={**environment, "PYTHONPATH": str(ROOT)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        line = process.stdout.readline()
        if "http://" not in line:
            process.kill()
            assert process.stderr is not None
            raise RuntimeError(f"did not start: {line}{process.stderr.read()}")
        try:
            yield Running(line.split()[-1].rstrip("/").replace("0.0.0.0", "127.0.0.1"), process)
        finally:
            process.terminate()
            process.communicate(timeout=20)


@pytest.fixture(scope="module")
def filled(embedded_server: Server) -> Target:
    """A warehouse with two feeds, builds, verdicts and what follows from them."""
    target = embedded_server.new_database()
    with connect(target) as connection:
        migrate(connection)
        fill(connection)
    return target


def fill(connection: Connection) -> None:
    moment = datetime.now(timezone.utc)
    store = Store(connection, RunContext("20260101T000000Z-aaaaaa", "dev"))
    store.start_run("run")
    for feed, hours in (("orders", 2), ("users", 30)):
        connection.execute(
            "insert into monitoring.feeds (feed, raw_table, required, clock)"
            " values (%s, 'shop_raw.' || %s, true, 'wall')",
            (feed, feed),
        )
        connection.execute(
            "insert into monitoring.deliveries (feed, name, sha256, sequence, extracted_at,"
            " extracted_at_from, kind, records, rows, dead_letters, bytes, run_id, admission,"
            " admitted_by) values (%s, 'a', 'a', 1, %s, 'name', 'events', 10, 9, 1, 1,"
            " '20260101T000000Z-aaaaaa', 'admitted', 'rampart')",
            (feed, moment - timedelta(hours=hours)),
        )
        log_id = store.start_stage(feed, "load", "bronze", "a")
        store.finish_stage(log_id, "succeeded", StageCounts(10, 9, None, 1))
    connection.commit()
    for status, source in (("succeeded", "rampart"), ("failed", "rampart --select a")):
        log_id = store.start_stage("dbt", "build", "gold", source)
        store.finish_stage(log_id, status, StageCounts())
    store.add_results(
        [
            verdict_of("shop.fine", Status.PASS, metric_value=3.0, expected_max=5.0),
            verdict_of(
                "shop.rate", Status.FAIL, metric_name="quarantine_rate", metric_value=0.2,
                layer=Layer.SILVER,
            ),
            verdict_of("shop.blind", Status.BLIND, layer=Layer.GOLD),
            verdict_of(
                "shop.chains", Status.PASS, layer=Layer.GOLD, metric_name="integrity_score",
                metric_value=99.5,
            ),
        ],
        moment,
    )  # fmt: skip
    store.finish_run(1)
    connection.commit()


_watches: list[Watch] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _watches:
        _watches.pop().pool.close()


def watch_of(target: Target, **settings: Any) -> Watch:
    _watches.append(Watch(Config.model_validate(settings), target))
    return _watches[-1]


def text_of(watch: Watch) -> dict[str, dict[str, float]]:
    return parsed(watch.collector.render()[1].decode())


# -------------------------------------------------------------------- metrics


def test_the_names_that_people_chart(filled: Target) -> None:
    """Counters, histogram, score and lag stand under the names and labels that are documented."""
    found = text_of(watch_of(filled))

    assert 20 == found["pipeline_records_processed_total"]["layer=bronze,status=read"]
    assert 2 == found["pipeline_records_processed_total"]["layer=bronze,status=dead_lettered"]
    assert 1 == found["pipeline_runs_total"]["pipeline_name=dbt,status=failed"]
    assert 0 == found["pipeline_runs_total"]["pipeline_name=orders,status=failed"]
    durations = found["pipeline_execution_duration_seconds_bucket"]
    assert 2 == durations["le=+Inf,pipeline_name=dbt"]
    assert 2 == durations["le=3600.0,pipeline_name=dbt"]
    assert 2 == found["pipeline_execution_duration_seconds_count"]["pipeline_name=dbt"]
    assert {"layer=silver": 50.0, "layer=gold": 100.0} == found["data_quality_score"]
    lags = found["pipeline_lag_seconds"]
    assert pytest.approx(2 * 3600, abs=60) == lags["layer=bronze"]
    assert pytest.approx(2 * 3600, abs=60) == lags["layer=gold"]
    assert pytest.approx(30 * 3600, abs=60) == found["rampart_feed_lag_seconds"]["feed=users"]
    assert {"": 0.0} == found["active_streaming_consumers"]


def test_what_each_check_says(filled: Target) -> None:
    """Status as a number that rises with how bad it is, value, bounds, rate and integrity."""
    found = text_of(watch_of(filled))
    names = "check_id={},dataset=facts.fact_orders,layer={},segment=,severity=high"

    statuses = found["rampart_check_status"]
    assert 0 == statuses[names.format("shop.fine", "silver")]
    assert 4 == statuses[names.format("shop.rate", "silver")]
    assert 1 == statuses[names.format("shop.blind", "gold")]
    assert 3.0 == found["rampart_check_value"]["check_id=shop.fine,segment="]
    assert 5.0 == found["rampart_check_expected_max"]["check_id=shop.fine,segment="]
    assert [0.2] == list(found["rampart_quarantine_rate"].values())
    assert [99.5] == list(found["rampart_scd2_integrity"].values())
    assert {"": 1.0} == found["rampart_up"]
    assert 1 == found["rampart_last_run_exit_code"]["command=run"]


def test_consumers_that_are_alive_are_counted(warehouse: Target) -> None:
    """Of streams, where there are any: those that gave a sign of life within a minute."""
    with connect(warehouse) as connection:
        migrate(connection)
        fill(connection)
        connection.execute("drop table if exists monitoring.stream_heartbeats")
        connection.execute(
            "create table monitoring.stream_heartbeats as"
            " select '20260101T000000Z-aaaaaa' as run_id, now() - age as beat_at"
            " from unnest(array['1 second', '2 seconds', '2 minutes']::interval[]) as ages (age)"
        )
        connection.commit()

    assert {"": 2.0} == text_of(watch_of(warehouse))["active_streaming_consumers"]


def test_the_score_is_that_of_the_view(filled: Target) -> None:
    """Exporter and monitoring.quality_scores never disagree."""
    with connect(filled) as connection:
        rows = connection.execute(
            "select 'layer=' || layer, quality_score from monitoring.quality_scores"
            " where environment = 'dev' and layer is not null and suite_name is null"
        ).fetchall()

    assert dict(rows) == text_of(watch_of(filled))["data_quality_score"]


def test_labels_are_bounded_the_worst_first(filled: Target) -> None:
    """Beyond the limit a check has no series, and it is said how many have none."""
    found = text_of(watch_of(filled, serve={"max_checks": 1}))

    assert ["shop.rate"] == [
        labels.split(",")[0].removeprefix("check_id=") for labels in found["rampart_check_status"]
    ]
    assert 3 == found["rampart_series_left_out"]["kind=checks"]
    assert 2 == len(found["data_quality_score"])


def test_the_whole_exposition_is_valid(filled: Target) -> None:
    """Prometheus' own linter and OpenMetrics' parser take every line of it."""
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as strict

    content_type, text = watch_of(filled).collector.render("application/openmetrics-text")

    assert content_type.startswith("application/openmetrics-text")
    for odd in ("application/openmetrics-text; version=abc", "text/plain; version=,;q=x", "\xff;,"):
        assert "200" == answer(watch_of(filled), "/metrics", HTTP_ACCEPT=odd)[0][:3], odd
    assert 25 < len(list(strict(text.decode())))


def test_the_fast_way_writes_what_the_library_writes(warehouse: Target) -> None:
    """Many checks, names full of quotes, backslashes and line ends: the same samples either way."""
    from prometheus_client import CollectorRegistry, generate_latest

    with connect(warehouse) as connection:
        migrate(connection)
        store = Store(connection, RunContext("r", "dev"))
        store.start_run("scan")
        odd = ["plain", 'a"b', "a\\b", "a\nb", "ä{},=", "\\n"]
        store.add_results(
            [
                verdict_of(f"{odd[n % 6]}{n}", Status.PASS, metric_value=n / 7, segment=odd[n % 5])
                for n in range(150)
            ],
            datetime.now(timezone.utc),
        )
        connection.commit()
    watch = watch_of(warehouse)
    registry = CollectorRegistry()
    registry.register(watch.collector)

    found = text_of(watch)
    assert 150 == len(found["rampart_check_value"])
    assert parsed(generate_latest(registry).decode()) == found


def test_a_role_without_any_right_on_facts_is_enough(filled: Target) -> None:
    """The reader's scrape works although it may not look into a raw table or a mart."""
    with connect(filled, autocommit=True) as connection:
        connection.execute("create schema if not exists facts")
        connection.execute("create table facts.fact_orders (id int)")
        grant_roles(connection, {"rampart_reader": "right-password"})
        connection.execute("revoke all on schema facts from rampart_reader")
    reader = Target(filled.host, filled.port, "rampart_reader", filled.dbname, "environment")
    with connect(reader) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("select * from facts.fact_orders")
    watch = watch_of(reader)

    assert {"": 1.0} == text_of(watch)["rampart_up"]
    assert watch.health().facts is not None


def test_counters_never_fall(warehouse: Target, tmp_path: Path, use: Callable[..., None]) -> None:
    """Over a restart of the server and a purge that deletes what was counted, twice."""
    use(warehouse)
    (tmp_path / "rampart.yml").write_text("retention: {logs: 1 days}\n")
    (tmp_path / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    with connect(warehouse) as connection:
        migrate(connection)
        fill(connection)
        connection.execute(
            "update monitoring.pipeline_logs set started_at = now() - interval '9 d'"
        )
        connection.execute("update monitoring.pipeline_logs set finished_at = started_at")
        connection.commit()

    def counters() -> dict[str, dict[str, float]]:
        found = text_of(watch_of(warehouse))
        names = ("pipeline_records_processed_total", "pipeline_execution_duration_seconds_count")
        return {name: found[name] for name in names}

    before = counters()
    Cleaner(tmp_path).purge()
    Cleaner(tmp_path).purge()
    after = counters()
    with connect(warehouse) as connection:
        left = connection.execute("select count(*) from monitoring.pipeline_logs").fetchone()

    assert (0,) == left
    assert before == after


def test_tries_go_on_counting_when_their_message_is_purged(
    warehouse: Target, tmp_path: Path, use: Callable[..., None]
) -> None:
    """A delivered message and its tries are deleted, and the counter stays where it was."""
    use(warehouse)
    (tmp_path / "rampart.yml").write_text("retention: {metrics: 1 days, logs: 1 days}\n")
    (tmp_path / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    with connect(warehouse) as connection:
        migrate(connection)
        connection.execute(
            "insert into monitoring.outbox (environment, key, event, channel, message, state,"
            " next_try_at, created_at, sent_at) select 'dev', 'a', 'opened', 'mail', '{}', 'sent',"
            " at, at, at from (select now() - interval '9 days') as moments (at)"
        )
        connection.execute(
            "insert into monitoring.outbox_attempts (outbox_id, started_at, seconds, outcome)"
            " select outbox_id, now(), 1, unnest(array['failed', 'failed', 'sent'])"
            " from monitoring.outbox"
        )
        connection.commit()
    before = text_of(watch_of(warehouse))["rampart_outbox_tries_total"]
    Cleaner(tmp_path).purge()
    after = text_of(watch_of(warehouse))["rampart_outbox_tries_total"]
    with connect(warehouse) as connection:
        left = connection.execute("select count(*) from monitoring.outbox_attempts").fetchone()

    assert {"channel=mail,outcome=failed": 2.0, "channel=mail,outcome=sent": 1.0} == before
    assert before == after
    assert (0,) == left


def test_counters_are_those_of_the_logs(filled: Target) -> None:
    """The fast way to count gives what a plain count gives."""
    with connect(filled) as connection:
        rows = connection.execute(
            "select pipeline_name, count(*) from monitoring.pipeline_logs"
            " where finished_at is not null group by 1"
        ).fetchall()
    found = text_of(watch_of(filled))["pipeline_execution_duration_seconds_count"]

    assert {f"pipeline_name={name}": float(number) for name, number in rows} == found


def test_incidents_outbox_and_health(
    warehouse: Target, tmp_path: Path, use: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A critical failure is an incident, a waiting message, a red check and a state `down`."""
    use(warehouse)
    monkeypatch.setenv("HOOK", "http://127.0.0.1:9/x")
    clock = Clock(datetime.now(timezone.utc))
    hook = {"type": "webhook", "url": {"env": "HOOK"}}
    desk = Desk(warehouse, tmp_path, {"channels": {"hook": hook}}, clock)
    desk.scan(verdict_of("shop.stop", severity=Severity.CRITICAL))
    watch = watch_of(warehouse)
    found = text_of(watch)
    status, body = answer(watch, "/health")

    assert 1 == found["rampart_incidents_open"]["severity=critical,state=open"]
    assert 0 == found["rampart_incidents_open"]["severity=low,state=open"]
    assert 1 == found["rampart_outbox_messages"]["channel=hook,state=pending"]
    assert 1 == found["rampart_outbox_failing_messages"]["channel=hook,state=pending"]
    assert 1 == found["rampart_outbox_tries_total"]["channel=hook,outcome=failed"]
    assert 1 == found["rampart_health_state"]["state=down"]
    assert [1.0] == [
        value for labels, value in found["rampart_check_red"].items() if "shop.stop" in labels
    ]
    assert "503" == status[:3]
    assert "unhealthy" == json.loads(body)["status"]
    assert "shop.stop" in json.loads(body)["reason"]


# -------------------------------------------------------------------- health and access


def answer(
    watch: Watch, path: str, access: Access | None = None, **environ: str
) -> tuple[str, bytes]:
    """(status line, body) without a socket."""
    said: list[str] = []
    app = Application(watch.site(access or Access("127.0.0.1", 0)))
    values = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "HTTP_HOST": "localhost:1", **environ}
    body = b"".join(app(values, lambda status, headers: said.append(status)))
    return said[0], body


def test_health_says_database_freshness_and_last_scan(filled: Target) -> None:
    """One JSON object with status, reason, checks and a moment in UTC; green is 200."""
    status, body = answer(watch_of(filled), "/health")
    found = json.loads(body)

    assert "200" == status[:3]
    assert "healthy" == found["status"]
    assert {"database", "data_freshness", "last_scan"} == found["checks"].keys()
    assert {"status": "up"} == found["checks"]["database"]
    assert "known" == found["checks"]["last_scan"]["status"]
    assert pytest.approx(7200, abs=60) == found["checks"]["data_freshness"]["age_seconds"]
    assert datetime.strptime(found["timestamp"], "%Y-%m-%dT%H:%M:%SZ")


def test_a_scan_that_is_too_old_is_unhealthy(filled: Target) -> None:
    """`scan: within:` holds for the health, too."""
    status, body = answer(watch_of(filled, scan={"within": "0 seconds"}), "/health")

    assert "503" == status[:3]
    assert "late" == json.loads(body)["checks"]["last_scan"]["status"]


def test_an_empty_database_says_what_to_do(warehouse: Target) -> None:
    """Without the schema monitoring: 503, the reason, and a scrape that says rampart_up 0."""
    watch = watch_of(warehouse)
    status, body = answer(watch, "/health")

    assert "503" == status[:3]
    assert "rampart db migrate" in json.loads(body)["reason"]
    assert {"": 0.0} == text_of(watch)["rampart_up"]
    assert "503" == answer(watch, "/health/ready")[0][:3]
    assert "200" == answer(watch, "/health/live")[0][:3]


def test_only_the_token_opens(filled: Target) -> None:
    """No token, a wrong one, another scheme: 401. Liveness alone is open."""
    watch, access = watch_of(filled), Access("0.0.0.0", 0, token=TOKEN)
    for header in ("", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"):
        assert "401" == answer(watch, "/metrics", access, HTTP_AUTHORIZATION=header)[0][:3], header

    given = {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}", "HTTP_HOST": "elsewhere"}
    assert "200" == answer(watch, "/metrics", access, **given)[0][:3]
    assert "401" == answer(watch, "/", access)[0][:3]
    assert "200" == answer(watch, "/health/live", access)[0][:3]


def test_a_page_of_another_site_cannot_read_loopback(filled: Target) -> None:
    """A name that was pointed at 127.0.0.1 is refused; so is every method that could write."""
    watch = watch_of(filled)

    assert "403" == answer(watch, "/health", HTTP_HOST="evil.example:9750")[0][:3]
    assert "200" == answer(watch, "/health", HTTP_HOST="[::1]:9750")[0][:3]
    assert "405" == answer(watch, "/health", REQUEST_METHOD="POST")[0][:3]
    assert "404" == answer(watch, "/../etc/passwd")[0][:3]
    assert b"" == answer(watch, "/health", REQUEST_METHOD="HEAD")[1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--host", "0.0.0.0"), "--token-file"),
        (("--token-file", "none"), "cannot be read"),
        (("--token-file", "short"), "16 or more"),
        (("--host", "192.0.2.1", "--allow-anonymous"), "cannot listen on 192.0.2.1"),
    ],
)
def test_what_it_refuses(
    options: tuple[str, ...],
    said: str,
    filled: Target,
    tmp_path: Path,
    use: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another address without a token, a bad token, an address that is not ours: exit 2, a line."""
    use(filled)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rampart.yml").write_text("{}\n")
    (tmp_path / "short").write_text("secret\n")
    found = CliRunner().invoke(cli, ["serve", "--port", "0", *options])

    assert found.exception is not None
    assert 2 == getattr(found.exception, "exit_code", None)
    assert said in str(found.exception)
    assert "secret" not in str(found.exception)


# -------------------------------------------------------------------- what does not stop it


def test_it_stops_with_the_code_of_its_signal(filled: Target, tmp_path: Path) -> None:
    """143 after SIGTERM, 130 after SIGINT, and nothing on stderr but logs."""
    codes = []
    for number in (signal.SIGTERM, signal.SIGINT):
        with serving(filled, tmp_path) as running:
            assert 200 == running.get("/health/live").status
            running.process.send_signal(number)
            running.process.wait(timeout=20)
            codes.append(running.process.returncode)
            assert running.process.stderr is not None
            assert "Traceback" not in running.process.stderr.read()

    assert [143, 130] == codes


def test_slow_clients_and_two_hundred_at_once(filled: Target, tmp_path: Path) -> None:
    """Sixty who send half a request and read nothing stop none of two hundred others."""
    with serving(filled, tmp_path) as running:
        port = int(running.url.rsplit(":", 1)[1])
        slow = []
        for number in range(60):
            each = socket.create_connection(("127.0.0.1", port))
            whole = number % 2
            each.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n" + b"\r\n" * whole)
            slow.append(each)
        started = time.monotonic()
        with ThreadPoolExecutor(200) as pool:
            paths = ["/metrics", "/health", "/", "/health/live"] * 50
            found = list(pool.map(lambda path: running.get(path).status, paths))
        seconds = time.monotonic() - started
        for each in slow:
            each.close()
        with connect(filled) as connection:
            opened = connection.execute(
                "select count(*), count(*) filter (where state like 'idle in%%')"
                " from pg_stat_activity where datname = current_database()"
                " and pid <> pg_backend_pid()"
            ).fetchone()

    assert [200] * 200 == found
    assert seconds < 30
    assert opened is not None
    assert opened[0] <= 4
    assert 0 == opened[1]


def test_the_database_goes_away_and_comes_back(tmp_path: Path, embedded_home: Path) -> None:
    """A stopped server is rampart_up 0 and 503 with its reason, live stays; and it recovers."""
    home = embedded_home / "away"
    home.mkdir(exist_ok=True)
    server = EmbeddedPostgres(home)
    target = server.start()
    with connect(target) as connection:
        migrate(connection)
        fill(connection)
    try:
        with serving(target, tmp_path) as running:
            assert 200 == running.get("/health").status
            server.stop()
            time.sleep(1.1)
            gone = running.get("/health")
            up_while_gone = running.metrics()["rampart_up"][""]
            live = running.get("/health/live").status
            ready = running.get("/health/ready").status
            server.start()
            deadline = time.monotonic() + 20
            while running.get("/health").status != 200 and time.monotonic() < deadline:
                time.sleep(0.2)
            back = running.get("/health").status
    finally:
        server.reset()

    assert 503 == gone.status
    assert "down" == json.loads(gone.data)["checks"]["database"]["status"]
    assert json.loads(gone.data)["reason"]
    assert 0 == up_while_gone
    assert (200, 503) == (live, ready)
    assert 200 == back


def test_a_database_that_hangs_costs_a_bounded_time(filled: Target) -> None:
    """A backend that is stopped in its tracks: the read ends by itself, the next one is fine."""
    watch = watch_of(filled, serve={"statement_timeout": "1 seconds", "connections": 1})
    pid = watch.pool.read(lambda each: each.info.backend_pid)
    os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        hung = watch.health()
        seconds = time.monotonic() - started
    finally:
        os.kill(pid, signal.SIGCONT)
    time.sleep(1.1)

    assert hung.facts is None
    assert "hangs" in str(hung.reason)
    assert seconds < 10
    assert watch.health().facts is not None


def test_a_query_that_takes_too_long_is_ended(filled: Target) -> None:
    """By the server itself, and the connection is used again."""
    watch = watch_of(filled, serve={"statement_timeout": "1 seconds", "connections": 1})
    pid = watch.pool.read(lambda each: each.info.backend_pid)
    with pytest.raises(Exception, match="did not answer within 1 s"):
        watch.pool.read(lambda each: each.execute("select pg_sleep(20)"))

    assert pid == watch.pool.read(lambda each: each.info.backend_pid)
    with pytest.raises(Exception, match="read-only"):
        watch.pool.read(lambda each: each.execute("create table a (b int)"))


def test_a_killed_connection_is_replaced_unseen(filled: Target) -> None:
    """A kept connection that an administrator ended costs nobody an answer."""
    watch = watch_of(filled, serve={"connections": 1})
    pid = watch.pool.read(lambda each: each.info.backend_pid)
    with connect(filled, autocommit=True) as connection:
        connection.execute("select pg_terminate_backend(%s)", (pid,))

    assert watch.health().facts is not None


def test_one_look_serves_all_who_ask_at_once() -> None:
    """Fifty at once make one; while it fails nobody waits behind the one who tries."""
    from monitors.show.shared import Shared

    made: list[int] = []
    go = threading.Event()

    def slow() -> str:
        made.append(1)
        go.wait(5)
        return "fine" if len(made) == 1 else "failed"

    clock = [0.0]
    shared = Shared(slow, failed=lambda each: each == "failed", clock=lambda: clock[0])
    with ThreadPoolExecutor(50) as pool:
        asked = [pool.submit(shared.get) for _ in range(50)]
        time.sleep(0.2)
        go.set()
        assert {"fine"} == {each.result() for each in asked}
    assert 1 == len(made)
    clock[0] = 2.0
    assert "failed" == shared.get()
    go.clear()
    clock[0] = 4.0
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(shared.get)
        time.sleep(0.1)
        assert "failed" == shared.get()
        assert not first.done()
        go.set()


def test_the_same_figures_over_otlp(filled: Target) -> None:
    """A real receiver gets counters as sums, the histogram by bucket, gauges as they are."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceRequest,
    )

    from monitors.show.otlp import Pusher
    from tests.receivers import http_receiver

    watch = watch_of(filled)
    with http_receiver() as receiver:
        pusher = Pusher(watch.collector, receiver.url + "/200", 60, "dev")
        deadline = time.monotonic() + 10
        while not receiver.received and time.monotonic() < deadline:
            time.sleep(0.05)
        pusher.close()
    body = receiver.received[0].body
    if receiver.received[0].headers.get("Content-Encoding") == "gzip":
        import gzip

        body = gzip.decompress(body)
    request = ExportMetricsServiceRequest.FromString(body)
    metrics = {each.name: each for each in request.resource_metrics[0].scope_metrics[0].metrics}
    runs = metrics["pipeline_runs"].sum
    durations = metrics["pipeline_execution_duration_seconds"].histogram.data_points

    assert runs.is_monotonic
    assert 2 == runs.aggregation_temporality
    assert {10.0, 20.0} <= {
        point.as_double for point in metrics["pipeline_records_processed"].sum.data_points
    } | {10.0}
    assert 3 == len(durations)
    assert 2 == max(point.count for point in durations)
    assert all(point.count == sum(point.bucket_counts) for point in durations)
    assert all(len(p.bucket_counts) == len(p.explicit_bounds) + 1 for p in durations)
    assert 1.0 == metrics["rampart_up"].gauge.data_points[0].as_double
