"""Logs: the documented fields, masked secrets, rotation; every query of docs/logs.md runs."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import structlog

from monitors import log as logs
from monitors.errors import Dropped, PipelineFailed, UsageError
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.conftest import ROOT

DOCS = ROOT / "docs" / "logs.md"
PASSWORD = "s3cr/t p@ss'word"


@pytest.fixture(autouse=True)
def _afresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test leaves handlers, a run_id or secrets behind."""
    monkeypatch.setattr(logs, "_secrets", set())
    structlog.contextvars.clear_contextvars()
    yield
    structlog.contextvars.clear_contextvars()
    root = logging.getLogger(logs.ROOT)
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    root.propagate = True
    root.setLevel(logging.NOTSET)


class Stderr:
    """What was written to stderr so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.text = ""

    def getvalue(self) -> str:
        self.text += self.capsys.readouterr().err
        return self.text


@pytest.fixture
def stderr(capsys: pytest.CaptureFixture[str]) -> Stderr:
    return Stderr(capsys)


def lines(stream: Stderr) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_every_line_has_the_fixed_fields_first(stderr: Stderr) -> None:
    """timestamp in UTC, level, component, message, run_id, file, line: in this order."""
    logs.configure()
    logs.bind_run("run-7")
    logs.get_logger("Loader").warning("dead letter", reason="NUL byte")
    (line,) = lines(stderr)
    assert list(line) == [
        "timestamp", "level", "component", "message", "run_id", "file", "line", "reason",
    ]  # fmt: skip
    assert line | {"timestamp": "", "line": 0} == {
        "timestamp": "", "level": "warning", "component": "Loader", "message": "dead letter",
        "run_id": "run-7", "file": "test_log.py", "line": 0, "reason": "NUL byte",
    }  # fmt: skip
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["timestamp"])
    read = datetime.fromisoformat(line["timestamp"].replace("Z", "+00:00"))
    assert abs((datetime.now(timezone.utc) - read).total_seconds()) < 60


def test_an_exception_is_one_field_with_its_stack(stderr: Stderr) -> None:
    """A log line stays one line; the traceback is text inside it."""
    logs.configure()
    try:
        raise ValueError("no\nway")
    except ValueError:
        logs.get_logger("X").error("broke", exc_info=True)
    (line,) = lines(stderr)
    assert line["exception"].startswith("Traceback (most recent call last):")
    assert line["exception"].endswith("ValueError: no\nway")
    assert "test_log.py" in line["exception"]


def test_a_stage_logs_its_metrics_and_the_place_of_its_caller(stderr: Stderr) -> None:
    """Duration, context, and what the caller put in; file and line are the caller's."""
    logs.configure(level="debug")
    with logs.stage(logs.get_logger("Monitor"), "load", feed="web") as metrics:
        metrics.update(rows_read=3, rows_written=2, rows_dead_lettered=1, null_shares={"a": 0.5})
    begun, done = lines(stderr)
    assert (begun["message"], begun["level"], begun["stage"]) == ("stage started", "debug", "load")
    assert (done["message"], done["level"]) == ("stage finished", "info")
    assert done["rows_read"] == done["rows_written"] + done["rows_dead_lettered"]
    assert done["null_shares"] == {"a": 0.5}
    assert 0 <= done["duration_seconds"] < 5
    assert done["file"] == "test_log.py"


def test_what_another_did_is_no_failure(stderr: Stderr) -> None:
    """A dropped stage is told, and alarms nobody who counts errors."""
    logs.configure()
    with pytest.raises(Dropped), logs.stage(logs.get_logger("Consumer"), "consume"):
        raise Dropped("partition 3")
    (told,) = lines(stderr)
    assert ("stage dropped", "info") == (told["message"], told["level"])
    assert "exception" not in told


def test_a_failed_stage_says_why_and_lets_the_error_through(stderr: Stderr) -> None:
    """A foreseen error has a message and no stack; an unforeseen one has both."""
    logs.configure()
    logger = logs.get_logger("Monitor")
    with pytest.raises(ZeroDivisionError), logs.stage(logger, "load"):
        _ = 1 / 0
    with pytest.raises(PipelineFailed), logs.stage(logger, "build"):
        raise PipelineFailed("dbt failed")
    with pytest.raises(KeyboardInterrupt), logs.stage(logger, "scan"):
        raise KeyboardInterrupt
    unforeseen, foreseen, stopped = lines(stderr)
    assert unforeseen["message"] == "stage failed"
    assert unforeseen["level"] == "error"
    assert (unforeseen["error_type"], unforeseen["error_message"]) == (
        "ZeroDivisionError", "division by zero",
    )  # fmt: skip
    assert "ZeroDivisionError" in unforeseen["exception"]
    assert (foreseen["error_message"], "exception" in foreseen) == ("dbt failed", False)
    assert (stopped["error_type"], "exception" in stopped) == ("KeyboardInterrupt", False)


@pytest.mark.parametrize("pretty", [True, False])
def test_a_secret_appears_nowhere(stderr: Stderr, tmp_path: Path, pretty: bool) -> None:
    """Not in the message, in nested values, keys, objects, exceptions, URLs; not in the file."""
    logs.hide(PASSWORD)
    logs.hide("s3cr")
    logs.hide("12345")
    logs.hide(None)
    logs.hide("")
    logs.configure(pretty=pretty, log_file=tmp_path / "log")
    logger = logs.get_logger("X").bind(bound=PASSWORD)
    target = Target(
        "h", 1, PASSWORD, "d", "environment", PASSWORD, extra=(("sslpassword", PASSWORD),)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger.warning(
            f"connecting with {PASSWORD}",
            nested={"a": [{"b": (PASSWORD, {PASSWORD})}], PASSWORD: 1, "n": [12345]},
            number=12345,
            path=Path(f"/tmp/{PASSWORD}"),
            target=target,
            error=ValueError(PASSWORD),
            url="postgres://u:s3cr%2Ft%20p%40ss%27word@h/d",
        )
        try:
            local = PASSWORD
            raise ConnectionError(f"refused {local}")
        except ConnectionError:
            logger.error("broke", exc_info=True)
    for text in (stderr.getvalue(), (tmp_path / "log").read_text()):
        assert "***" in text
        for part in (PASSWORD, "s3cr", "p@ss", "p%40ss", "12345"):
            assert part not in text
    assert "ConnectionError" in stderr.getvalue()


def test_what_json_does_not_know_is_logged_as_text(stderr: Stderr) -> None:
    """Paths, dates, sets, NaN, bytes, half surrogates: always a line that a machine can read."""
    logs.configure()
    logs.get_logger("X").info(
        "odd", path=Path("/a"), moment=datetime(2026, 1, 2), share=float("nan"), big=float("inf"),
        some={1}, raw=b"\xff", half="\udcff", deep={"a": {1: None}}, flag=True,
    )  # fmt: skip
    text = stderr.getvalue()
    line = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert (line["path"], line["moment"], line["share"]) == ("/a", "2026-01-02 00:00:00", "nan")
    assert (line["some"], line["deep"], line["flag"]) == ([1], {"a": {"1": None}}, True)


def test_pretty_is_for_people_and_json_for_machines(
    stderr: Stderr, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A terminal gets the time of day and no line numbers; the file gets JSON all the same."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    logs.configure(log_file=tmp_path / "deep" / "log")
    logs.bind_run("run-7")
    logs.get_logger("X").info("hello", count=3)
    text = re.sub(r"\x1b\[[0-9;]*m", "", stderr.getvalue())
    assert re.match(r"\d\d:\d\d:\d\d \[info\s*\] hello", text)
    assert "count=3" in text
    assert "run-7" not in text
    assert "test_log.py" not in text
    line = json.loads((tmp_path / "deep" / "log").read_text())
    assert (line["message"], line["run_id"], line["count"]) == ("hello", "run-7", 3)


def test_the_level_decides_what_is_written(stderr: Stderr, tmp_path: Path) -> None:
    """On stderr and in the file, which may have a level of its own."""
    logs.configure(level="error", log_file=tmp_path / "log", file_level="info")
    logger = logs.get_logger("X")
    for level in ("debug", "info", "warning", "error"):
        getattr(logger, level)(level)
    assert [line["message"] for line in lines(stderr)] == ["error"]
    found = [json.loads(line)["message"] for line in (tmp_path / "log").read_text().splitlines()]
    assert found == ["info", "warning", "error"]


def test_the_file_turns_over_and_five_are_kept(
    stderr: Stderr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file is larger than the limit, each line is whole, the oldest go."""
    monkeypatch.setattr(logs, "FILE_BYTES", 2000)
    logs.configure(log_file=tmp_path / "log")
    for number in range(200):
        logs.get_logger("X").info("line", number=number)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["log", *(f"log.{n}" for n in range(1, 6))]
    for path in tmp_path.iterdir():
        assert path.stat().st_size <= 2000
        assert all(json.loads(line) for line in path.read_text().splitlines())
    assert '"number": 199' in (tmp_path / "log").read_text()


def test_a_full_disk_costs_the_file_and_not_the_job(stderr: Stderr) -> None:
    """Said once in one line; every line is still on stderr."""
    logs.configure(level="info", log_file=Path("/dev/full"), pretty=False)
    for number in range(3):
        logs.get_logger("Test").info("told", number=number)
    said = stderr.getvalue()

    assert "Traceback" not in said
    assert 1 == said.count("lines of /dev/full are lost (No space left on device)")
    assert 3 == said.count('"message": "told"')


def test_a_log_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    """Before anything is done: who asked for the file wants it."""
    with pytest.raises(UsageError, match=r"--log-file: .* cannot be opened"):
        logs.configure(log_file=tmp_path)


def test_what_repeats_itself_is_said_once_a_minute() -> None:
    """Whatever its numbers are."""
    now = [0.0]
    seldom = logs.Seldom(60, clock=lambda: now[0])
    said = [seldom.lets(text) for text in ("broker 1 down after 3 ms", "broker 1 down after 9 ms")]
    now[0] = 61

    assert [True, False] == said
    assert seldom.lets("broker 1 down after 3 ms")
    assert seldom.lets("another thing")


def test_configuring_twice_does_not_double_the_lines(stderr: Stderr) -> None:
    """A Python user may call it again."""
    logs.configure()
    logs.configure()
    logs.get_logger("X").info("once")
    assert len(lines(stderr)) == 1


# -------------------------------------------------------------------- docs/logs.md


@pytest.fixture(scope="module")
def real_log(tmp_path_factory: pytest.TempPathFactory, embedded_server: Any) -> Path:
    """stderr of real loads, with dbt's plain lines between: drift, dead letters, a mistyped file, a
    raw table that somebody has altered (which nobody foresees: it has a traceback)."""
    folder = tmp_path_factory.mktemp("logged")
    landing = folder / "landing"
    landing.mkdir()
    (folder / "rampart.yml").write_text(
        "feeds:\n  web: {table: web_raw.rows, format: csv, path: 'landing/*.csv'}\n"
    )
    (landing / "1.csv").write_text("id,a\n" + "1,\n" * 50_000)
    (landing / "2.csv").write_text("id,b\n2,x\n3\n4,\0\n5,y\n")
    target = embedded_server.new_database()
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), **target.environment()}
    text = ""
    late = landing / "3.csv"
    for arguments in (["load"], ["load", "web", "none.csv"], ["load", "web", str(late)]):
        if str(late) in arguments:
            late.write_text("id,a\n3,4\n")
            with connect(target) as connection:
                connection.execute("alter table web_raw.rows add c int not null default 1")
                connection.execute("alter table web_raw.rows alter c drop default")
        done = subprocess.run(
            [sys.executable, "-m", "monitors.cli", "--config", str(folder), *arguments],
            cwd=ROOT, env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        text += done.stderr + "06:30:00  1 of 3 START table model facts.fact_orders\n\n{not json}\n"
    path = folder / "mixed.log"
    path.write_text(text)
    return path


def queries() -> list[str]:
    return re.findall(r"```(?:sh|jq)\n(.*?)```", DOCS.read_text(), re.DOTALL)


@pytest.mark.parametrize("query", queries(), ids=range(1, len(queries()) + 1))
def test_each_jq_query_of_the_documentation_runs(query: str, real_log: Path) -> None:
    """On the mixed log of real loads: exit code 0, nothing on stderr, some output."""
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed: apt-get install jq")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", query],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LOG": str(real_log)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


def test_every_field_of_a_real_log_is_documented(real_log: Path) -> None:
    """And the fields that a load is said to have are there."""
    documented = set()
    for row in re.findall(r"^\| (`.*?) \|", DOCS.read_text(), re.MULTILINE):
        documented |= set(re.findall(r"`(\w+)`", row))
    found: set[str] = set()
    for line in real_log.read_text().splitlines():
        if line.startswith("{") and line != "{not json}":
            found |= set(json.loads(line))
    assert found - documented - {"migration"} == set()
    expected = {"run_id", "exception", "null_shares", "columns_added", "error_type", "source_line"}
    assert expected <= found
    assert len(queries()) >= 8
