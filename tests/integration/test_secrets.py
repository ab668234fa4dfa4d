"""Promise 7: secrets and personal values appear in no log, row, page, message or error."""

from __future__ import annotations

import csv
import json
import subprocess
from dataclasses import replace
from datetime import date
from pathlib import Path
from urllib.parse import quote

import pytest
from psycopg import sql

from monitors.arrival.sample import write_sample
from monitors.warehouse.connection import Connection, connect
from monitors.warehouse.target import Target
from tests.canaries import Canaries
from tests.conftest import Server, copy_project
from tests.leaks import Leaks, watching
from tests.receivers import http_receiver

CHANNEL = """
channels:
  oncall: {type: webhook, url: {env: ONCALL_URL}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The sample of one day, small, and a channel."""
    folder = copy_project(tmp_path / "project")
    settings = folder / "rampart.yml"
    settings.write_text(settings.read_text() + CHANNEL)
    summary = write_sample(folder / "landing", last_day=date(2026, 11, 24), days=2, scale=0.02)
    for path in summary.today:
        if "clickstream" in path.parts:
            path.unlink()
    return folder


@pytest.fixture
def owner(debian_server: Server, canaries: Canaries) -> Target:
    """A database of a role whose password is planted; the server asks for it."""
    password = canaries.plant("password")
    target = debian_server.new_database()
    with connect(target) as connection:
        role = sql.Identifier(f"owner_{target.dbname}")
        connection.execute(
            sql.SQL("create role {} superuser login password {}").format(
                role, sql.Literal(password)
            )
        )
    return replace(target, user=f"owner_{target.dbname}", password=password)


def test_no_secret_turns_up(project: Path, owner: Target, canaries: Canaries) -> None:
    """A password and a token in a URL, through every step, also those that go wrong."""
    token = canaries.plant("token")
    canaries.folders.append(project)
    canaries.targets.append(owner)
    with http_receiver() as receiver:
        canaries.receivers.append(receiver)
        env = {**owner.environment(), "ONCALL_URL": f"{receiver.url}/500/?token={token}"}
        shout = "echo $RAMPART_PASSWORD $ONCALL_URL >&2; echo $RAMPART_PASSWORD; exit 3"
        for arguments in (
            ["load"], ["build", "--select", "stg_salesforce__users"], ["scan"], ["notify"],
            ["channels", "list"], ["channels", "test", "oncall"], ["doctor"],
            ["incidents", "list"], ["incidents", "show", "1"], ["--traceback", "load", "nobody"],
        ):  # fmt: skip
            canaries.run(project, *arguments, env=env)
        shouted = canaries.run(
            project, "exec", "--pipeline", "shout", "--", "sh", "-c", shout, env=env
        )
        # what a job prints is the job's own; what Rampart says and writes about it is not
        canaries.outputs.popitem()
        away = {**env, "RAMPART_PORT": "1"}
        wrong = {**env, "RAMPART_USER": "nobody-of-this-name"}
        for unusable in (away, wrong):
            canaries.run(project, "scan", env=unusable)
            canaries.run(project, "--traceback", "scan", env=unusable)
            canaries.run(project, "doctor", env=unusable)

    assert 3 == shouted.returncode
    assert receiver.received, "the channel was used"
    assert any("cannot connect" in text for text in canaries.outputs.values())


def test_no_personal_value_is_shown(project: Path, owner: Target, canaries: Canaries) -> None:
    """Rows that are rejected, unreadable or examples of a fault: columns under `personal:` of
    their feed are hidden in each place that shows a row."""
    email, client = canaries.plant("email"), canaries.plant("client")
    register = next((project / "landing" / "salesforce").glob("sf_user_full*"))
    header, *rows = csv.reader(register.read_text().splitlines(keepends=True))
    at = [name.lower() for name in header].index("email")
    for number, row in enumerate(rows):
        row[at] = email
        row[0] = row[0] if number % 9 else ""  # a user without an id is rejected
    with register.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows, [*rows[0], "one", "too", "many"]])
    event = {"event_name": "page_view", "client_id": client, "session_id": client}
    events = project / "landing" / "clickstream" / "events_2026-11-24.jsonl"
    lines = [json.dumps({**event, "event_timestamp": "never", "n": n}) for n in range(50)]
    events.write_text("\n".join([*lines, lines[0][:-5], f'{{"client_id": "{client}\\u0000"}}']))
    canaries.folders.append(project)
    canaries.exempt.update({register, events})
    canaries.targets.append(owner)
    del canaries.planted["password"]
    with http_receiver() as receiver:
        canaries.receivers.append(receiver)
        env = {**owner.environment(), "ONCALL_URL": f"{receiver.url}/200"}
        loaded = canaries.run(project, "load", env=env)
        canaries.run(project, "build", env=env)
        canaries.run(project, "scan", env=env)
        listed = canaries.run(project, "quarantine", "list", env=env)
        for feed, delivery, row in _rejected(owner):
            shown = canaries.run(project, "quarantine", "show", feed, delivery, row, env=env)
            assert "***" in shown.stdout
        dead = canaries.run(project, "deadletters", "list", env=env)
        for number in range(1, 5):
            canaries.run(project, "deadletters", "show", str(number), env=env)
            canaries.run(project, "deadletters", "show", str(number), "--json", env=env)
        canaries.run(project, "incidents", "list", env=env)
        for number in range(1, 8):
            canaries.run(project, "incidents", "show", str(number), env=env)

    assert "dead letter" in loaded.stdout
    assert "sf_user" in listed.stdout
    assert "sf_user" in dead.stdout
    assert receiver.received, "an alert was told"


@pytest.mark.shows_password("to itself")
def test_the_watch_over_the_whole_suite_sees_a_leak(
    warehouse: Target, tmp_path: Path, connection: Connection
) -> None:
    """An output, a file, a row: each is found, so that silence means something."""
    leaks = Leaks()
    with watching(leaks):
        shout = ["sh", "-c", "echo $RAMPART_PASSWORD"]
        subprocess.run(shout, env=warehouse.environment(), capture_output=True, check=True)
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "dbt.log"
    log.write_text(f"connecting with {quote(warehouse.password, safe='')}")
    leaks.look_at_files(tmp_path)
    connection.execute("create schema monitoring")
    connection.execute("create table monitoring.notes as select %s as note", [warehouse.password])
    connection.commit()
    leaks.look_at_rows([warehouse])
    connection.execute("drop schema monitoring cascade")
    connection.commit()
    log.unlink()

    assert [
        "the output of sh -c echo $RAMPART_PASSWORD",
        "logs/dbt.log",
        f"{warehouse.dbname}: a row of monitoring.notes",
    ] == leaks.taken()


def _rejected(target: Target) -> list[tuple[str, str, str]]:
    """[(feed, delivery, row)]: one of the planted rows of each of the two feeds."""
    with connect(target) as connection:
        rows = connection.execute(
            "select distinct on (feed) feed, delivery_id, source_row from quarantine.ledger"
            " where feed in ('sf_user', 'clickstream') order by feed, delivery_id desc"
        ).fetchall()
    assert 2 == len(rows)
    return [(feed, str(delivery), str(row)) for feed, delivery, row in rows]
