"""Jobs under watch: whatever they do, their start and end are on record."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from monitors import job
from monitors.commands.journal import Journal, spool_folder, take_in_spool
from monitors.commands.purge import Cleaner
from monitors.store.journal import RunRecord, StageRecord, put_record
from monitors.store.migrate import migrate
from monitors.warehouse.connection import Connection, connect
from monitors.warehouse.target import Target
from tests.conftest import ROOT

AWAY = {"RAMPART_HOST": "127.0.0.1", "RAMPART_PORT": "9"}
"""A warehouse that does not answer."""


@dataclass
class Desk:
    """A project folder and the questions that tests ask of its warehouse."""

    root: Path
    target: Target

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "monitors.cli", "--log-level", "error", *arguments]

    def exec(
        self, *arguments: str, script: str | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        child = [sys.executable, "-c", script] if script is not None else []
        return subprocess.run(
            self.command("exec", "--pipeline", "nightly", *arguments, "--", *child)
            if child else self.command("exec", "--pipeline", "nightly", *arguments),
            cwd=self.root, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        )  # fmt: skip

    def start(self, *arguments: str, script: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command("exec", "--pipeline", "nightly", *arguments, "--",
                         sys.executable, "-uc", script),
            cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        )  # fmt: skip

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with connect(self.target) as connection:
            return connection.execute(sql.encode()).fetchall()

    def stages(self, columns: str = "pipeline_name, status, error_type") -> list[tuple[Any, ...]]:
        return self.ask(f"select {columns} from monitoring.pipeline_logs order by log_id")


@pytest.fixture
def desk(tmp_path: Path, warehouse: Target, use: Callable[[Target], None]) -> Desk:
    (tmp_path / "rampart.yml").write_text("environment: ci\n")
    use(warehouse)
    return Desk(tmp_path, warehouse)


# -------------------------------------------------------------------- exec


def test_output_passes_through_and_counts_are_kept(desk: Desk) -> None:
    """Byte for byte, reports too; the run_id is the child's to use."""
    script = (
        "import json, os, sys\n"
        "print('plain'); print(json.dumps({'rampart': {'rows_read': 5}}))\n"
        "print(json.dumps({'rampart': {'rows_written': 3, 'rows_read': 7}})); print('{no json')\n"
        "sys.stdout.buffer.write(b'\\xff no line end'); print('warned', file=sys.stderr)\n"
        "print(os.environ['RAMPART_RUN_ID'], file=sys.stderr)"
    )
    done = subprocess.run(
        [*desk.command("exec", "--pipeline", "nightly", "--"), sys.executable, "-c", script],
        cwd=desk.root, capture_output=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    (run,) = desk.ask(
        "select run_id, command, exit_code, ended_at > started_at from monitoring.runs"
    )

    assert 0 == done.returncode
    assert (
        b'plain\n{"rampart": {"rows_read": 5}}\n{"rampart": {"rows_written": 3, "rows_read": 7}}\n'
        b"{no json\n\xff no line end"
    ) == done.stdout
    assert f"warned\n{run[0]}\n".encode() == done.stderr
    assert ("exec", 0, True) == run[1:]
    assert [("nightly", "job", "gold", "succeeded", 7, 3, None)] == desk.stages(
        "pipeline_name, stage, layer, status, rows_read, rows_written, error_message"
    )


def test_a_failure_is_the_childs_own_exit_code_with_an_alert(desk: Desk) -> None:
    """The end of its traceback is kept, and no secret of it: by variable, by name, in a URL."""
    script = (
        "import os\n"
        "raise ValueError('no ' + os.environ['DB_PASSWORD'] + ' postgresql://me:hush@db/x"
        " api_key=abc123')"
    )
    done = desk.exec(script=script, DB_PASSWORD="tr0ub4dor")
    (row,) = desk.stages("status, error_type, error_message")

    assert 1 == done.returncode
    assert "tr0ub4dor" in done.stderr, "its own output is untouched"
    alert = done.stderr.splitlines()[-1]
    assert alert.startswith("!! ALERT: JOB FAILURE !! - nightly: exit code 1 after ")
    assert alert.endswith("ValueError: no *** postgresql://***@db/x api_key=***")
    assert ("failed", "EXIT_CODE") == row[:2]
    assert "Traceback (most recent call last):" in row[2]
    assert not any(secret in row[2] for secret in ("tr0ub4dor", "hush", "abc123"))
    assert 3 == desk.exec(script="raise SystemExit(3)").returncode


def test_a_job_that_takes_too_long_is_stopped(desk: Desk) -> None:
    """It may end well after SIGTERM, and is red all the same: exit 124."""
    script = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('bye'), sys.exit(0)))\n"
        "time.sleep(30)"
    )
    done = desk.exec("--timeout", "1 second", script=script)

    assert (124, "bye\n") == (done.returncode, done.stdout)
    assert "JOB FAILURE !! - nightly: not done within 1 s, so it was stopped" in done.stderr
    assert [("nightly", "failed", "TIMED_OUT")] == desk.stages()
    assert [(124,)] == desk.ask("select exit_code from monitoring.runs")


@pytest.mark.parametrize("leader", ["signal.SIG_IGN", "signal.SIG_DFL"])
def test_what_does_not_stop_is_killed_with_all_it_started(desk: Desk, leader: str) -> None:
    """After the grace nothing of the group is left, whether or not its leader stopped in time."""
    script = (
        "import os, signal, subprocess, sys, time\n"
        f"signal.signal(signal.SIGTERM, {leader})\n"
        "print(subprocess.Popen([sys.executable, '-c',"
        " 'import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)']).pid)\n"
        "sys.stdout.flush(); time.sleep(60)"
    )
    started = time.monotonic()
    done = desk.exec("--timeout", "1 second", "--grace", "1 second", script=script)

    assert 124 == done.returncode
    assert time.monotonic() - started < 30
    assert not _is_alive(int(done.stdout))


@pytest.mark.parametrize(
    ("number", "exit_code", "handler"),
    [
        (signal.SIGTERM, 143, ""),
        (signal.SIGINT, 130, "signal.signal(2, signal.SIG_DFL)\n"),
        (signal.SIGTERM, 7, "signal.signal(15, lambda *_: sys.exit(7))\n"),
    ],
)
def test_a_stop_is_passed_on(
    desk: Desk, number: signal.Signals, exit_code: int, handler: str
) -> None:
    """The child decides how it ends; the record says who stopped it."""
    script = f"import signal, sys, time\n{handler}print('ready')\ntime.sleep(30)"
    process = desk.start(script=script)
    assert process.stdout is not None
    assert "ready\n" == process.stdout.readline()
    process.send_signal(number)
    _out, err = process.communicate(timeout=30)

    assert exit_code == process.returncode
    assert f"stopped by {number.name}" in err
    assert [("nightly", "failed", "STOPPED")] == desk.stages()


def test_what_the_child_leaves_behind_does_not_hold_us(desk: Desk) -> None:
    """A server that it starts lives on, and its open output is not waited for."""
    script = (
        "import subprocess, sys\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(20)']).pid)"
    )
    started = time.monotonic()
    done = desk.exec(script=script)
    left = int(done.stdout)

    assert 0 == done.returncode
    assert time.monotonic() - started < 15
    assert _is_alive(left)
    os.kill(left, signal.SIGKILL)


def test_a_command_that_cannot_start_is_recorded(desk: Desk) -> None:
    """Exit 2 and an alert line: the job did not run."""
    done = desk.exec("--", "no-such-command")

    assert 2 == done.returncode
    assert (
        "!! ALERT: JOB FAILURE !! - nightly: cannot start `no-such-command`:"
        " No such file or directory\n"
    ) == done.stderr
    assert [("nightly", "failed", "NOT_STARTED")] == desk.stages()
    assert 2 == desk.exec("--timeout", "soon", "--", "true").returncode


@pytest.mark.parametrize("option", ["--pipeline", "--stage"])
def test_a_job_without_a_name_is_refused(desk: Desk, option: str) -> None:
    """Nobody would find its record."""
    done = desk.exec(option, " ", "--", "true")

    assert 2 == done.returncode
    assert f"Invalid value for '{option}': found ` `, allowed is a name" in done.stderr
    with (
        pytest.raises(ValueError, match=r"job\(''\): allowed is a name"),
        job("", config=desk.root),
    ):
        pass


def test_a_killed_watcher_stays_started(desk: Desk) -> None:
    """kill -9 of exec itself: the row that never ended says so, and the job goes with it."""
    child = _kill_in_mid_job(desk)

    assert not sys.platform.startswith("linux") or _is_gone(child)
    assert [("nightly", "started", None)] == desk.stages()
    assert [(None, None)] == desk.ask("select ended_at, exit_code from monitoring.runs")


# -------------------------------------------------------------------- the warehouse is away


def test_a_job_runs_while_the_warehouse_is_away(desk: Desk) -> None:
    """One line says so; the next command that reaches the warehouse takes the record in."""
    done = desk.exec(script='print(\'{"rampart": {"rows_written": 4}}\')', **AWAY)

    assert 0 == done.returncode
    assert 1 == len(done.stderr.splitlines())
    assert "nightly: the record of this run is not in the warehouse: cannot connect" in done.stderr
    (file,) = spool_folder(desk.root).iterdir()
    assert "succeeded" == json.loads(file.read_text())["stages"][0]["status"]
    Cleaner(desk.root).purge()
    assert [("exec", 0), ("purge", 0)] == desk.ask(
        "select command, exit_code from monitoring.runs order by started_at"
    )
    assert [("nightly", "succeeded", 4)] == desk.stages("pipeline_name, status, rows_written")
    assert [] == list(spool_folder(desk.root).iterdir())


def test_a_job_that_was_killed_while_the_warehouse_was_away_is_known(desk: Desk) -> None:
    """Its start was kept, so that its silence is seen."""
    _kill_in_mid_job(desk, **AWAY)
    Cleaner(desk.root).purge()

    assert [("nightly", "started", None)] == desk.stages()


def test_the_spool_takes_no_step_back(desk: Desk, connection: Connection) -> None:
    """Late, twice and out of order: the end of a run is never overwritten by its start."""
    migrate(connection)
    now = datetime(2026, 11, 18, tzinfo=timezone.utc)
    begun = StageRecord("p", "job", "gold", "started", now, source="x")
    ended = StageRecord("p", "job", "gold", "failed", now, now, "x", "E", "why", {"rows_read": 2})
    start = RunRecord("r1", "exec", "ci", now, stages=(begun,))
    end = RunRecord("r1", "exec", "ci", now, now, 3, {"rampart": "1"}, "abc", (ended,))
    for record in (start, end, end, start):
        put_record(connection, RunRecord.from_json(record.to_json()))
    connection.commit()

    assert [("p", "failed", "E", "why", 2)] == desk.stages(
        "pipeline_name, status, error_type, error_message, rows_read"
    )
    assert [("r1", 3)] == desk.ask("select run_id, exit_code from monitoring.runs")


def test_a_spool_file_that_is_none_is_set_aside(desk: Desk, connection: Connection) -> None:
    """Others are taken in; a claim that a killed command left is taken up again."""
    migrate(connection)
    now = datetime(2026, 11, 18, tzinfo=timezone.utc)
    folder = spool_folder(desk.root)
    folder.mkdir(parents=True)
    (folder / "bad.json").write_text("{}")
    record = RunRecord("r2", "exec", "ci", now)
    (folder / "r2.json.1.taken").write_text(record.to_json())

    assert 1 == take_in_spool(connection, desk.root)
    assert ["bad.unreadable"] == [path.name for path in folder.iterdir()]
    assert 0 == take_in_spool(connection, desk.root)
    assert [("r2",)] == desk.ask("select run_id from monitoring.runs")


def test_a_count_beyond_a_bigint_is_not_understood(desk: Desk) -> None:
    """Said with its value; the others are kept, and the record is no worse for it."""
    script = (
        'print(\'{"rampart": {"rows_read": 99999999999999999999999, "rows_written": 3}}\')\n'
        'print(\'{"rampart": {"eaten": 1}}\')\n'
        'print(\'{"rampart": {"rows_read": "7"}}\')'
    )
    done = subprocess.run(
        [sys.executable, "-m", "monitors.cli", "--log-level", "warning", "exec", "--pipeline",
         "nightly", "--", sys.executable, "-c", script],
        cwd=desk.root, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    problems = [json.loads(line)["problem"] for line in done.stderr.splitlines()]

    assert [
        "rows_read: found 99999999999999999999999, allowed are whole numbers from 0 to"
        " 9223372036854775807",
        '"eaten": 1; allowed are rows_read, rows_written, rows_created, rows_updated,'
        " rows_deleted, rows_rejected, rows_dead_lettered",
        'rows_read: found "7", allowed are whole numbers from 0 to 9223372036854775807',
    ] == problems
    assert [("succeeded", None, 3)] == desk.stages("status, rows_read, rows_written")


def test_a_record_that_the_database_refuses_does_not_hold_up_the_others(
    desk: Desk, connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    """It is set aside, once, with its file and the reason; the rest of the spool goes in."""
    migrate(connection)
    connection.commit()
    now = datetime(2026, 11, 18, tzinfo=timezone.utc)
    folder = spool_folder(desk.root)
    folder.mkdir(parents=True)
    for run_id, rows in (("r1", 10**30), ("r2", 5)):
        stage = StageRecord("p", "job", "gold", "succeeded", now, now, counts={"rows_read": rows})
        record = RunRecord(run_id, "exec", "ci", now, now, 0, stages=(stage,))
        (folder / f"{run_id}.json").write_text(record.to_json())
    refused = folder / "refused" / "r1.json"

    with caplog.at_level("WARNING", "rampart"):
        assert 1 == take_in_spool(connection, desk.root)
        assert 0 == take_in_spool(connection, desk.root)
    assert [("r2",)] == desk.ask("select run_id from monitoring.runs")
    assert [refused] == [path for path in folder.rglob("*") if path.is_file()]
    (line,) = [each for each in caplog.messages if "record refused" in each]
    assert str(refused) in line
    assert "out of range" in line


def test_a_record_that_is_refused_at_once_does_not_wait(desk: Desk) -> None:
    """The database was there and said no: another try would change nothing."""
    now = datetime(2026, 11, 18, tzinfo=timezone.utc)
    stage = StageRecord("p", "job", "gold", "succeeded", now, now, counts={"rows_read": 10**30})
    said = Journal(desk.root).write(RunRecord("r1", "exec", "ci", now, now, 0, stages=(stage,)))

    assert said is not None
    assert "out of range" in said
    assert (spool_folder(desk.root) / "refused" / "r1.json").is_file()
    assert [] == list(spool_folder(desk.root).glob("*.json"))


def test_what_a_database_cannot_hold_is_left_out_of_the_record(desk: Desk) -> None:
    """A zero byte in the output of a job, which no text of Postgres has."""
    done = desk.exec(script="raise SystemExit('bro\\0ken')")

    assert 1 == done.returncode
    assert "broken" in desk.stages("error_message")[0][0]


@pytest.mark.parametrize("command", ["exec", "export"])
def test_exec_and_export_take_in_what_waits(desk: Desk, command: str) -> None:
    """They reach the warehouse as any other command does."""
    (desk.root / "rampart.yml").write_text(
        "environment: ci\nexports: {day: {from: 'out/*', to: place, required: false}}\n"
    )
    for folder in ("out", "place"):
        (desk.root / folder).mkdir()
    desk.exec(script="raise SystemExit(3)", **AWAY)
    if command == "exec":
        desk.exec(script="pass")
    else:
        subprocess.run(
            desk.command("export"), cwd=desk.root, check=True, capture_output=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    assert [("exec", 3), (command, 0)] == desk.ask(
        "select command, exit_code from monitoring.runs order by started_at"
    )
    assert [] == list(spool_folder(desk.root).iterdir())
    state = "resolved" if command == "exec" else "open"  # the older failure is told first
    assert [("job_failure", "high", state)] == incidents(desk)


def test_a_record_that_can_be_kept_nowhere_is_said_to_be_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line with both reasons; the job is not disturbed."""
    for name, value in AWAY.items():
        monkeypatch.setenv(name, value)
    (tmp_path / ".rampart").write_text("a file where the folder should be")
    now = datetime(2026, 11, 18, tzinfo=timezone.utc)
    said = Journal(tmp_path).write(RunRecord("r3", "exec", "ci", now))

    assert said is not None
    assert "cannot connect to" in said
    assert "and it cannot be kept in " in said


# -------------------------------------------------------------------- from Python


def test_a_block_is_a_job(desk: Desk) -> None:
    """Its totals, its run_id, its end."""
    with job("spark_daily", layer="silver", config=desk.root) as run:
        run.rows(read=10)
        run.rows(read=20, written=19)
        with pytest.raises(TypeError, match=r"rows\(eaten=\.\.\.\): allowed are read, written"):
            run.rows(eaten=1)
        with pytest.raises(ValueError, match=r"rows\(read=1000000000000000000000\): allowed are 0"):
            run.rows(read=10**21)

    assert [("spark_daily", "silver", "succeeded", 20, 19)] == desk.stages(
        "pipeline_name, layer, status, rows_read, rows_written"
    )
    assert [(run.run_id, 0)] == desk.ask("select run_id, exit_code from monitoring.runs")


def test_an_error_in_the_block_is_recorded_and_goes_on(desk: Desk) -> None:
    """With the end of its traceback and what it had counted; the alert line is said."""
    said: list[str] = []

    def divide() -> float:
        with job("spark_daily", config=desk.root, say=said.append) as run:
            run.rows(written=1)
            return 1 / 0

    with pytest.raises(ZeroDivisionError):
        divide()

    assert ["!! ALERT: JOB FAILURE !! - spark_daily: ZeroDivisionError: division by zero"] == said
    ((status, error_type, message, rows),) = desk.stages(
        "status, error_type, error_message, rows_written"
    )
    assert ("failed", "ZeroDivisionError", 1) == (status, error_type, rows)
    assert message.startswith("Traceback")
    assert message.endswith("ZeroDivisionError: division by zero")


def test_a_block_that_is_told_to_stop_is_recorded(desk: Desk) -> None:
    """SIGTERM: exit code 143, in the record, too."""
    script = (
        "import time\nfrom monitors import job\n"
        "with job('spark_daily'):\n    print('ready', flush=True)\n    time.sleep(30)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=desk.root, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    assert "ready\n" == process.stdout.readline()
    process.terminate()
    process.communicate(timeout=30)

    assert 143 == process.returncode
    assert [("spark_daily", "failed", "SystemExit")] == desk.stages()
    assert [(143,)] == desk.ask("select exit_code from monitoring.runs")


def _kill_in_mid_job(desk: Desk, **variables: str) -> int:
    """kill -9 of exec while its child runs, whose pid this is."""
    script = "import os, time\nprint(os.getpid())\ntime.sleep(30)"
    with desk.start(script=script, **variables) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.kill()
        process.wait()
        if not sys.platform.startswith("linux"):  # elsewhere nobody else ends it
            os.kill(child, signal.SIGKILL)
    return child


def _is_gone(pid: int, seconds: float = 5.0) -> bool:
    """Soon: the system tells the child after its parent is dead."""
    until = time.monotonic() + seconds
    while _is_alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not _is_alive(pid)


def _is_alive(pid: int) -> bool:
    """A zombie that nobody has collected is not."""
    try:
        return "Z" != Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


# -------------------------------------------------------------------- what its failure means


def incidents(desk: Desk) -> list[tuple[Any, ...]]:
    return desk.ask("select kind, severity, state from monitoring.incidents order by incident_id")


def test_a_failed_job_is_an_incident_until_it_works(desk: Desk) -> None:
    """Red twice is one incident; the job that works again resolves it."""
    for _ in range(2):
        desk.exec(script="raise SystemExit('the disk is full')")

    assert [("job_failure", "high", "open")] == incidents(desk)
    assert [("job.exec.nightly", "fail")] * 2 == desk.ask(
        "select check_id, status from monitoring.data_quality_metrics order by run_id"
    )

    desk.exec(script="pass")

    assert [("job_failure", "high", "resolved")] == incidents(desk)


def test_a_failure_of_which_the_warehouse_hears_late_is_an_incident_too(desk: Desk) -> None:
    """What waited in the spool is told by the command that takes it in."""
    desk.exec(script="raise SystemExit(3)", **AWAY)
    Cleaner(desk.root).purge()

    assert [("job_failure", "high", "open")] == incidents(desk)


def test_a_job_that_works_leaves_no_verdict(desk: Desk) -> None:
    """It says nothing when nothing is wrong."""
    desk.exec(script="pass")

    assert [] == desk.ask("select check_id from monitoring.data_quality_metrics")


def test_a_failed_export_is_an_incident(desk: Desk) -> None:
    """By the name of the export."""
    (desk.root / "rampart.yml").write_text(
        "environment: ci\nexports:\n  nightly: {from: 'out/*.csv', to: there}\n"
    )
    done = subprocess.run(
        desk.command("export", "nightly"),
        cwd=desk.root,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )

    assert 1 == done.returncode
    assert [("job_failure", "high", "open")] == incidents(desk)
