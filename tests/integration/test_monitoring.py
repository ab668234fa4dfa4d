"""What ops/ ships works: rules, routing, dashboards, compose; with a real Prometheus."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml

from monitors.arrival.sample import write_sample
from monitors.monitor import DataMonitor
from monitors.show.exporter import Limits, Look, families
from monitors.store.figures import read_figures
from monitors.store.migrate import migrate
from monitors.store.roles import grant_roles
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.conftest import ROOT, Server, copy_project
from tests.integration.test_serve import TOKEN, fill, serving
from tests.receivers import http_receiver

OPS = ROOT / "ops"
RULES = yaml.safe_load((OPS / "prometheus/rules/alerts.yml").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
TESTS = yaml.safe_load((OPS / "prometheus/tests/alerts.yml").read_text())["tests"]
BOARDS = {path.stem: json.loads(path.read_text()) for path in OPS.glob("grafana/dashboards/*.json")}
COMPOSE = yaml.safe_load((OPS / "compose/compose.yml").read_text())


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [each for each in programs if shutil.which(each) is None]
    return pytest.mark.skipif(
        bool(missing),
        reason=f"{', '.join(missing)} not installed:"
        " apt-get install prometheus prometheus-alertmanager",
    )


def targets() -> list[tuple[str, str, dict[str, Any]]]:
    """(dashboard, panel, target) of every query."""
    return [
        (name, panel["title"], target)
        for name, board in sorted(BOARDS.items())
        for panel in board["panels"]
        for target in panel["targets"]
    ]


# -------------------------------------------------------------------- Prometheus


@pytest.mark.parametrize("alert", ALERTS, ids=lambda each: each["alert"])
def test_each_alert_says_what_to_do(alert: dict[str, Any]) -> None:
    """Severity, summary, description, and a section of the runbook that is there."""
    headings = re.findall(r"^## (.*)$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE)

    assert alert["labels"]["severity"] in ("critical", "warning", "none")
    assert {"summary", "description", "runbook_url"} == alert["annotations"].keys()
    assert f"docs/runbook.md#{alert['alert'].lower()}" == alert["annotations"]["runbook_url"]
    assert alert["alert"] in headings


@pytest.mark.parametrize("name", sorted({each["alert"] for each in ALERTS} - {"Watchdog"}))
def test_each_alert_has_a_test_that_fires_it_and_one_that_does_not(name: str) -> None:
    """Of each severity that it comes in."""
    severities = {each["labels"]["severity"] for each in ALERTS if each["alert"] == name}
    names = [each["name"] for each in TESTS]

    assert len(severities) <= sum(each.startswith(f"{name} fires: ") for each in names)
    assert len(severities) <= sum(each.startswith(f"{name} does not fire: ") for each in names)


@needs("promtool", "prometheus-alertmanager")
def test_rules_and_configurations_are_valid_and_fire_as_they_must() -> None:
    """promtool checks and tests the rules, amtool takes the routing."""
    rules = [str(path) for path in sorted((OPS / "prometheus/rules").glob("*.yml"))]
    for command in (
        ["promtool", "check", "rules", *rules],
        ["promtool", "check", "config", "--syntax-only", "prometheus.yml"],
        ["promtool", "test", "rules", "tests/alerts.yml"],
        ["amtool", "check-config", "alertmanager.yml"],
    ):
        done = subprocess.run(command, cwd=OPS / "prometheus", capture_output=True, text=True)
        assert 0 == done.returncode, done.stdout + done.stderr


@needs("promtool", "prometheus-alertmanager")
def test_the_tests_of_the_rules_can_fail(tmp_path: Path) -> None:
    """Rules that never fire are found out, each of them."""
    folder = tmp_path / "prometheus"
    shutil.copytree(OPS / "prometheus", folder)
    path = folder / "rules/alerts.yml"
    rules = yaml.safe_load(path.read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["expr"] = f"({rule['expr']}) and on () vector(1) < 0"
    path.write_text(yaml.safe_dump(rules))
    done = subprocess.run(
        ["promtool", "test", "rules", "tests/alerts.yml"],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip

    assert 0 != done.returncode
    for name in {each["alert"] for each in ALERTS}:
        assert f'alertname=\\"{name}\\"' in done.stdout + done.stderr, name


def test_every_metric_that_is_asked_for_is_there(warehouse: Target) -> None:
    """Rules and dashboards name metrics that the exporter has, and docs/monitoring.md lists all."""
    with connect(warehouse) as connection:
        migrate(connection)
        fill(connection)
        figures = read_figures(connection, "dev")
    look = Look(datetime.now(timezone.utc), 0.1, figures)
    known = {"up", "ALERTS"}
    documented = (ROOT / "docs/monitoring.md").read_text()
    for family in families(look, Limits()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert f"`{name}`" in documented
        known |= {name, f"{name}_bucket"} if family.type == "histogram" else {name}
    recording = yaml.safe_load((OPS / "prometheus/rules/recording.yml").read_text())
    recorded = [rule for group in recording["groups"] for rule in group["rules"]]
    asked = [rule["expr"] for rule in [*ALERTS, *recorded]]
    asked += [target["expr"] for *_, target in targets() if "expr" in target]
    named = re.compile(r"\b(?:rampart|pipeline|data_quality|active)_[a-z0-9_]+\b")

    for expression in asked:
        bare = re.sub(r'"[^"]*"|\b(?:by|on|ignoring) \([^)]*\)', "", expression)
        for name in named.findall(bare):
            assert name in known or name in ("pipeline_name",), f"{name} in {expression}"


# -------------------------------------------------------------------- Grafana, compose


def test_dashboards_are_ready_to_be_provisioned() -> None:
    """Two dashboards, their own ids, a description where a title is not enough, known sources."""
    sources = yaml.safe_load((OPS / "grafana/provisioning/datasources/rampart.yml").read_text())
    known = {(each["type"], each["uid"]) for each in sources["datasources"]}

    assert {"pipeline_overview", "data_quality"} == set(BOARDS)
    for name, board in BOARDS.items():
        ids = [panel["id"] for panel in board["panels"]]
        assert sorted(set(ids)) == sorted(ids)
        assert board["uid"].startswith("rampart-")
        for panel in board["panels"]:
            for target in panel["targets"]:
                source = target["datasource"]
                assert (source["type"], source["uid"]) in known, (name, panel["title"])
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24
    gauge = next(p for p in BOARDS["pipeline_overview"]["panels"] if p["type"] == "gauge")
    steps = gauge["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [None, 80, 95] == [step["value"] for step in steps]


def test_compose_has_no_default_password_and_no_open_port() -> None:
    """What is secret is asked for by name; each port is on this machine only; mounts exist."""
    secret = re.compile(r"PASS|TOKEN|ADMIN_USER|WEBHOOK")
    text = (OPS / "compose/compose.yml").read_text()
    for name, rest in re.findall(r"\$\{(\w+)([^}]*)\}", text):
        if secret.search(name):
            assert rest.startswith(":?"), name
    assert {
        "postgres", "rampart", "prometheus", "alertmanager", "grafana", "postgres-exporter",
    } == COMPOSE["services"].keys()  # fmt: skip
    for name, service in COMPOSE["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
        for key, value in service.get("environment", {}).items():
            if secret.search(key) and "FILE" not in key:
                assert value.startswith("${"), key
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (OPS / "compose" / source).exists(), source
    asked = set(re.findall(r"\$\{(\w+):\?", text))
    given = set(re.findall(r"^(\w+)=$", (OPS / "compose/env.example").read_text(), re.MULTILINE))
    assert asked == given


# -------------------------------------------------------------------- the whole chain


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(log: Path, *command: str) -> Iterator[None]:
    """A process that is ended by its own id."""
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=20)


def until(what: Any, seconds: float, message: str) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if found := what():
                return found
        except (urllib3.exceptions.HTTPError, ConnectionError):
            pass
        time.sleep(0.2)
    raise AssertionError(f"{message} within {seconds:g} s")


@contextmanager
def prometheus(
    folder: Path, rampart: str, alertmanager: int | None = None, *, scrape: str = "10s"
) -> Iterator[str]:
    """The shipped Prometheus configuration with the addresses of this machine put in; its URL."""
    shutil.copytree(OPS / "prometheus", folder / "prometheus")
    token = folder / "token"
    token.write_text(TOKEN)
    path = folder / "prometheus" / "prometheus.yml"
    text = path.read_text()
    for old, new in (
        ("/run/secrets/rampart_token", str(token)),
        ('"rampart:9750"', f'"{rampart.removeprefix("http://")}"'),
        ('"alertmanager:9093"', f'"127.0.0.1:{alertmanager or 9}"'),
        ('"postgres-exporter:9187"', ""),
        ("environment: prod", "environment: dev"),
        ("scrape_interval: 10s", f"scrape_interval: {scrape}"),
    ):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    port = free_port()
    with started(
        folder / "prometheus.log",
        "prometheus",
        f"--config.file={path}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ):
        yield f"http://127.0.0.1:{port}"


def asked(url: str, query: str) -> list[Any]:
    """The samples of an instant query; raises AssertionError with what Prometheus says."""
    reply = urllib3.request("GET", f"{url}/api/v1/query", fields={"query": query}, retries=False)
    if reply.status == 503:
        raise ConnectionError("Prometheus is still starting")
    found = json.loads(reply.data)
    assert "success" == found["status"], f"{query}: {found.get('error')}"
    return list(found["data"]["result"])


ORDERS = """
checks for shop.orders:
  - missing_count(amount) = 0:
      identity: shop.amounts
      name: orders carry an amount
      attributes: {category: business, layer: gold, severity: critical}
"""


@pytest.mark.slow
@needs("prometheus", "prometheus-alertmanager")
def test_from_broken_data_to_the_webhook(
    warehouse: Target, tmp_path: Path, use: Any, record_property: Any
) -> None:
    """A row breaks a critical check: within 30 seconds of the scan the webhook hears of it, once,
    from real Prometheus and Alertmanager as shipped; the parts stay silent, the Watchdog speaks."""
    use(warehouse)
    (tmp_path / "rampart.yml").write_text("scan: {checks: [checks/*.yml]}\n")
    (tmp_path / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "orders.yml").write_text(ORDERS)
    with connect(warehouse, autocommit=True) as connection:
        migrate(connection)
        connection.execute("create schema shop")
        connection.execute("create table shop.orders as select 1 as id, 9.5 as amount")
    assert 0 == DataMonitor(tmp_path / "rampart.yml").scan().exit_code
    token = tmp_path / "serve-token"
    token.write_text(TOKEN)
    port = free_port()
    with http_receiver() as receiver, serving(
        warehouse, tmp_path, "--token-file", str(token)
    ) as running:  # fmt: skip
        routing = (OPS / "prometheus/alertmanager.yml").read_text()
        routing = routing.replace("http://alert-webhook.invalid/", f"{receiver.url}/200")
        (tmp_path / "alertmanager.yml").write_text(routing)
        with (
            started(
                tmp_path / "alertmanager.log",
                "prometheus-alertmanager",
                f"--config.file={tmp_path / 'alertmanager.yml'}",
                f"--storage.path={tmp_path / 'alertmanager'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
            ),
            prometheus(tmp_path, running.url, port) as url,
        ):
            healthy = 'rampart_health_state{state="healthy"} == 1'
            until(lambda: asked(url, healthy), 40, "the healthy state is scraped")
            assert [] == receiver.received
            with connect(warehouse, autocommit=True) as connection:
                connection.execute("insert into shop.orders values (2, null)")
            started_at = time.monotonic()
            assert 1 == DataMonitor(tmp_path / "rampart.yml").scan().exit_code
            scanned_at = time.monotonic()
            until(lambda: receiver.received, 30, "the webhook hears of it")
            heard_at = time.monotonic()
            time.sleep(8)
            told = [
                alert for each in receiver.received for alert in json.loads(each.body)["alerts"]
            ]
            firing = {each["metric"]["alertname"] for each in asked(url, "ALERTS")}
    record_property("seconds_from_break", round(heard_at - started_at, 1))
    sys.stderr.write(
        f"\nwebhook {heard_at - started_at:.1f} s after the break,"
        f" {heard_at - scanned_at:.1f} s after the scan\n"
    )

    assert heard_at - started_at < 30
    assert {"PipelineUnhealthy"} == {alert["labels"]["alertname"] for alert in told}
    assert "dev" == told[0]["labels"]["environment"]
    assert "Red: shop.amounts" in told[0]["annotations"]["description"]
    assert "Watchdog" in firing
    assert "<error" not in json.dumps(told)


# -------------------------------------------------------------------- every query of every panel


def for_postgres(sql: str) -> str:
    """What Grafana makes of its macros and variables."""
    now = datetime.now(timezone.utc)
    since, until_ = now - timedelta(days=30), now + timedelta(hours=1)
    return re.sub(
        r"\$__timeFilter\(([^)]*)\)",
        lambda found: f"{found[1]} between '{since.isoformat()}' and '{until_.isoformat()}'",
        sql.replace("$environment", "dev"),
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, embedded_server: Server) -> Target:
    """The demo's two runs: eight days of history, then this morning's files with their faults."""
    folder = copy_project(tmp_path_factory.mktemp("demo") / "project")
    summary = write_sample(folder / "landing", last_day=date.today() - timedelta(days=1))
    target = embedded_server.new_database()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in target.environment().items():
            patch.setenv(name, value)
        for path in summary.today:
            path.rename(path.with_name(f".{path.name}"))  # somebody is still writing it
        assert 0 == DataMonitor(folder / "rampart.yml").run().exit_code
        for path in summary.today:
            path.with_name(f".{path.name}").rename(path)
        assert 1 == DataMonitor(folder / "rampart.yml").run().exit_code
    return target


@pytest.mark.slow
@needs("prometheus")
def test_every_query_of_every_panel_gives_something_on_the_demo(
    demo: Target, tmp_path: Path
) -> None:
    """No query errs and none is empty, against a real Prometheus and the real Postgres, as the
    reader's role."""
    with connect(demo, autocommit=True) as connection:
        grant_roles(connection, {"rampart_reader": "right-password"})
    reader = Target(demo.host, demo.port, "rampart_reader", demo.dbname, "environment")
    token = tmp_path / "serve-token"
    token.write_text(TOKEN)
    empty = []
    with (
        serving(reader, tmp_path, "--token-file", str(token)) as running,
        prometheus(tmp_path, running.url, scrape="1s") as url,
        connect(reader, autocommit=True, read_only=True) as connection,
    ):
        scrapes = "count_over_time(rampart_up[1m]) > 5"
        until(lambda: asked(url, scrapes), 60, "Prometheus has six scrapes")
        for board, panel, target in targets():
            if "expr" in target:
                query = target["expr"].replace("$environment", "dev")
                found = asked(url, query)
            else:
                found = connection.execute(for_postgres(target["rawSql"]).encode()).fetchall()
            if not found:
                empty.append((board, panel))

    assert [] == empty
