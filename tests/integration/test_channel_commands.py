"""The heartbeat, `rampart channels` and `rampart doctor`, as a user meets them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitors import DataMonitor, cli
from monitors import log as logs
from monitors.alert.heartbeat import beat
from monitors.config import load_config
from monitors.config_alerts import Heartbeat
from monitors.warehouse.target import Target
from tests.receivers import HttpReceiver, http_receiver


@pytest.fixture
def http(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpReceiver]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture
def rampart(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Write rampart.yml and run a command beside it: (exit code, stdout, stderr)."""

    def run(text: str, *arguments: str) -> tuple[int, str, str]:
        path = tmp_path / "rampart.yml"
        path.write_text(text)
        monkey = pytest.MonkeyPatch()
        monkey.setattr("sys.argv", ["rampart", "--config", str(path), *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        monkey.undo()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return run


# -------------------------------------------------------------------- heartbeat

HEARTBEAT = Heartbeat.model_validate({"url": {"env": "HEARTBEAT_URL"}, "timeout": "1 second"})


@pytest.mark.parametrize(
    ("path", "exit_code", "called"),
    [
        ("/200/uuid", 0, "/200/uuid"),
        ("/200/uuid", 1, "/200/uuid/1"),
        ("/200/uuid/", 2, "/200/uuid/2"),
        ("/200/uuid?rid=7", 1, "/200/uuid/1?rid=7"),
        ("/200/uuid?rid=7", 0, "/200/uuid?rid=7"),
    ],
)
def test_a_heartbeat_tells_the_exit_code(
    http: HttpReceiver, monkeypatch: pytest.MonkeyPatch, path: str, exit_code: int, called: str
) -> None:
    """healthchecks.io's convention: the address itself for success, the code behind it for red."""
    monkeypatch.setenv("HEARTBEAT_URL", f"{http.url}{path}")

    assert beat(HEARTBEAT, "scan", exit_code)
    assert [("GET", called)] == [(each.method, each.path) for each in http.received]


@pytest.mark.parametrize(
    "mood", ["500", "404", "hang", "close", "away", "no-server", "unset", "bad"]
)
def test_a_heartbeat_that_fails_is_a_warning_without_the_address(
    http: HttpReceiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mood: str
) -> None:
    """It never raises, and takes no longer than it may."""
    logs.configure(level="error", log_file=tmp_path / "log", file_level="debug", pretty=False)
    where = {
        "no-server": "http://127.0.0.1:9/verysecretuuid",
        "bad": "nonsense verysecretuuid",
    }.get(mood, f"{http.url}/{mood}/verysecretuuid")
    if mood != "unset":
        monkeypatch.setenv("HEARTBEAT_URL", where)
    started = time.monotonic()

    assert not beat(HEARTBEAT, "run", 0)
    assert time.monotonic() - started < 4
    said = (tmp_path / "log").read_text()
    assert "heartbeat failed" in said
    assert "verysecretuuid" not in said


def test_only_scheduled_commands_beat(http: HttpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """One typed by hand must not hide that the scheduler is dead."""
    monkeypatch.setenv("HEARTBEAT_URL", http.url)

    assert not beat(HEARTBEAT, "load", 0)
    assert not beat(None, "run", 0)
    assert [] == http.received


def test_every_completed_run_beats(
    http: HttpReceiver,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    warehouse: Target,
    use: Callable[[Target], None],
) -> None:
    """A scan that is red (no check at all), one that fails; the outcome stays what it is."""
    use(warehouse)
    monkeypatch.setenv("HEARTBEAT_URL", f"{http.url}/200/uuid")
    (tmp_path / "rampart.yml").write_text("heartbeat: {url: {env: HEARTBEAT_URL}}\n")
    verdict = DataMonitor(load_config(tmp_path)).scan()
    monkeypatch.setenv("HEARTBEAT_URL", "http://127.0.0.1:9/gone")
    again = DataMonitor(load_config(tmp_path)).scan()

    assert (1, 1) == (verdict.exit_code, again.exit_code)
    assert ["/200/uuid/1"] == [each.path for each in http.received]


# -------------------------------------------------------------------- rampart channels

TWO = (
    "channels:\n  ops: {type: webhook, url: {env: OPS_URL}}\n"
    "  team: {type: log, only: {severity: [medium, low]}, digest: daily at 08:00}\n"
)


def test_a_test_message_arrives(
    http: HttpReceiver,
    monkeypatch: pytest.MonkeyPatch,
    rampart: Callable[..., tuple[int, str, str]],
) -> None:
    """Whatever the channel filters; each test has a key of its own."""
    monkeypatch.setenv("OPS_URL", http.url)
    codes = [rampart(TWO, "channels", "test", "ops")[0] for _ in range(2)]
    bodies = [json.loads(each.body) for each in http.received]

    assert [0, 0] == codes
    assert ["test", "test"] == [body["event"] for body in bodies]
    assert 2 == len({body["key"] for body in bodies})
    assert "Test: channel ops works" in bodies[0]["text"]


@pytest.mark.parametrize(
    ("mood", "code", "said"),
    [
        ("500", 1, "rampart: channel `ops`: the receiver answered 500"),
        ("close", 1, "rampart: channel `ops`: the connection was closed"),
        ("", 1, "rampart: channel `ops`: `url`: the variable OPS_URL is not set"),
    ],
)
def test_a_test_that_does_not_go_through_is_one_line_and_1(
    http: HttpReceiver,
    monkeypatch: pytest.MonkeyPatch,
    rampart: Callable[..., tuple[int, str, str]],
    mood: str,
    code: int,
    said: str,
) -> None:
    """And says why, without the address."""
    if mood:
        monkeypatch.setenv("OPS_URL", f"{http.url}/{mood}")
    found, out, err = rampart(TWO, "channels", "test", "ops")
    lines = [line for line in err.splitlines() if not line.startswith("{")]

    assert (code, "", 1) == (found, out, len(lines))
    assert lines[0].startswith(said)


def test_an_unknown_channel_is_wrong_usage(rampart: Callable[..., tuple[int, str, str]]) -> None:
    """2, and the names that there are."""
    code, _out, err = rampart(TWO, "channels", "test", "opps")

    assert 2 == code
    assert "rampart: channel `opps` is not configured; known: ops, team" in err


def test_channels_are_listed_with_what_they_take(
    monkeypatch: pytest.MonkeyPatch, rampart: Callable[..., tuple[int, str, str]]
) -> None:
    """Name, type, routing or what is wrong; never an address."""
    _code, broken, _err = rampart(TWO, "channels", "list")
    monkeypatch.setenv("OPS_URL", "https://example.com/verysecret")
    code, out, _err = rampart(TWO, "channels", "list")
    as_json = json.loads(rampart(TWO, "channels", "list", "--json")[1])

    assert 0 == code
    assert "the variable OPS_URL is not set" in broken
    assert ["ops", "webhook", "everything,", "at", "once"] == out.splitlines()[0].split()
    assert "only severity medium, low; medium and low daily at 08:00 UTC" in out
    assert ["ops", "team"] == [each["name"] for each in as_json["channels"]]
    assert "verysecret" not in out


def test_doctor_names_broken_channels_and_what_nobody_hears(
    rampart: Callable[..., tuple[int, str, str]], warehouse: Target, use: Callable[[Target], None]
) -> None:
    """A channel without its secret, and HIGH that goes nowhere."""
    use(warehouse)
    alone = "channels:\n  team: {type: log, only: {severity: [medium, low]}}\n"
    _code, out, _err = rampart(TWO, "doctor")
    _code, gaps, _err = rampart(alone, "doctor")
    _code, none, _err = rampart("environment: dev\n", "doctor")

    assert "WRONG channel ops: `url`: the variable OPS_URL is not set" in out
    assert "ok    channel team: only severity medium, low" in gaps
    assert re.search(r"WRONG channels: no channel takes some urgent incidents \(critical: ", gaps)
    assert "ok    channels: none: `!! ALERT` lines" in none
