"""The hardened copy: a file is there whole or not at all, whatever happens in between."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal as signals
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from monitors.arrival import export
from monitors.arrival.copies import Copies
from monitors.arrival.export import ExportFailed, export_file
from monitors.arrival.growth import Growth
from monitors.commands import export as command
from monitors.config import load_config
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.conftest import ROOT

is_root = os.geteuid() == 0


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "out" / "a.csv"
    path.parent.mkdir()
    path.write_bytes(b"a,b\n1,2\n" * 100_000)
    return path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


def names(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


AWAY = {"RAMPART_HOST": "127.0.0.1", "RAMPART_PORT": "9"}
"""A warehouse that does not answer: the record is the file in the spool."""
POWERLESS = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"] if is_root else []
"""Before a command: permissions hold for root, too."""


def rampart(
    folder: Path, *arguments: object, before: list[str] | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*(before or []), sys.executable, "-m", "monitors.cli", "--log-level", "error", "export",
         *map(str, arguments)],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
    )  # fmt: skip


# -------------------------------------------------------------------- one file


def test_a_file_is_copied_once(source: Path, place: Path, tmp_path: Path) -> None:
    """Whole, with its checksum; a second time it is there already; a newer version replaces it."""
    copies = Copies(tmp_path / "notes")
    first = export_file(source, place, "a.csv", copies=copies)
    second = export_file(source, place, "a.csv", copies=copies)
    source.write_bytes(source.read_bytes().replace(b"1", b"3"))
    third = export_file(source, place, "a.csv", copies=copies)

    assert [True, False, True] == [first.copied, second.copied, third.copied]
    assert first.sha256 == second.sha256 != third.sha256
    assert hashlib.sha256((place / "a.csv").read_bytes()).hexdigest() == third.sha256
    assert ["a.csv"] == names(place)


def test_what_the_export_did_not_write_is_not_destroyed(
    source: Path, place: Path, tmp_path: Path
) -> None:
    """Another file, a copy that somebody changed, a copy of another source, a link to nothing."""
    copies = Copies(tmp_path / "notes")
    other = source.with_name("b.csv")
    other.write_text("other")
    target = place / "a.csv"
    not_ours = "another file is there, which this export did not write"
    for prepare, said in (
        (lambda: target.write_text("precious"), not_ours),
        (lambda: [export_file(source, place, "a.csv", copies=copies, overwrite=True),
                  target.write_text("precious")], not_ours),
        (lambda: [target.unlink(), export_file(other, place, "a.csv", copies=copies)],
         f"a copy of {other} is there"),
        (lambda: [target.unlink(), target.symlink_to("nowhere")], not_ours),
    ):  # fmt: skip
        prepare()
        before = target.readlink() if target.is_symlink() else target.read_bytes()
        with pytest.raises(ExportFailed) as raised:
            export_file(source, place, "a.csv", copies=copies)

        allowed = "move it away, or say --overwrite (`overwrite: true` in rampart.yml)"
        assert f"{target}: {said}; {allowed}" == str(raised.value)
        assert before == (target.readlink() if target.is_symlink() else target.read_bytes())

    done = export_file(source, place, "a.csv", copies=copies, overwrite=True)

    assert done.copied
    assert source.read_bytes() == target.read_bytes()
    assert ["a.csv"] == names(place)


def test_a_target_that_is_written_meanwhile_is_left_alone(source: Path, place: Path) -> None:
    """Also when its name was free at the beginning."""
    with pytest.raises(ExportFailed, match=r"a\.csv: somebody else wrote it meanwhile"):
        export_file(
            source, place, "a.csv", lambda _bytes: (place / "a.csv").write_text("x") and None
        )

    assert b"x" == (place / "a.csv").read_bytes()
    assert ["a.csv"] == names(place)


@pytest.mark.parametrize("before_the_name", [True, False])
def test_a_copy_is_known_whenever_the_export_was_killed(
    source: Path, place: Path, tmp_path: Path, before_the_name: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Between the note and the name, or right after it: the next one replaces what it finds."""
    copies = Copies(tmp_path / "notes")
    export_file(source, place, "a.csv", copies=copies)
    source.write_text("second")
    real = Path.replace

    def die(self: Path, target: Path) -> None:
        if target == place / "a.csv":
            if not before_the_name:
                real(self, target)
            raise KeyboardInterrupt
        real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            export_file(source, place, "a.csv", copies=copies)
    source.write_text("third")
    done = export_file(source, place, "a.csv", copies=copies)

    assert done.copied
    assert b"third" == (place / "a.csv").read_bytes()


def test_notes_of_what_is_long_gone_are_forgotten(
    source: Path, place: Path, tmp_path: Path
) -> None:
    """A landing place is emptied all the time; what is there, or was a day ago, stays known."""
    copies = Copies(tmp_path / "notes")
    for name in ("gone.csv", "there.csv", "late.csv"):
        export_file(source, place, name, copies=copies)
        if name != "late.csv":
            for note in (tmp_path / "notes").iterdir():
                os.utime(note, (0, 0))
        if name != "there.csv":
            (place / name).unlink()
    copies.tidy()
    left = [json.loads(path.read_text())["target"] for path in (tmp_path / "notes").iterdir()]

    assert {f"{place}/there.csv", f"{place}/late.csv"} == set(left)


def test_folders_below_the_target_are_made(source: Path, place: Path) -> None:
    """The path below the fixed part of a glob is kept."""
    export_file(source, place, "2026/11/a.csv")

    assert ["2026/11/a.csv"] == names(place)


def test_a_name_may_be_as_long_as_the_system_allows(source: Path, place: Path) -> None:
    """The temporary one is longer, and must not be what does not fit."""
    name = "ä" * 125 + ".csv"
    export_file(source, place, name)

    assert [name] == names(place)


def test_nobody_ever_sees_half_a_file(source: Path, place: Path) -> None:
    """While it is written only a dot file is there, which no feed reads."""
    seen: list[list[str]] = []
    export_file(source, place, "a.csv", lambda _bytes: seen.append(names(place)))

    assert seen
    assert all(len(each) == 1 and each[0].startswith(".rampart-a.csv.") for each in seen)
    assert ["a.csv"] == names(place)


def test_a_file_that_is_replaced_is_old_or_new_and_never_both(source: Path, place: Path) -> None:
    """Whoever opens it at any moment reads one of the two, whole."""
    target, size = place / "a.csv", 8 * 1024 * 1024
    target.write_bytes(b"a" * size)
    source.write_bytes(b"b" * size)
    seen: set[tuple[int, bytes]] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            content = target.read_bytes()
            seen.add((len(content), bytes(sorted(set(content)))))

    reader = threading.Thread(target=read)
    reader.start()
    export_file(source, place, "a.csv", overwrite=True)
    done.set()
    reader.join()

    assert seen <= {(size, b"a"), (size, b"b")}
    assert b"b" * size == target.read_bytes()


@pytest.mark.parametrize("at", [0, 1, 5])
def test_killed_in_the_middle_it_starts_over(
    source: Path, place: Path, tmp_path: Path, at: int
) -> None:
    """kill -9, then again: whole, and nothing of the first attempt is left."""
    source.write_bytes(os.urandom(1024 * 1024) * 8)
    script = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from monitors.arrival.export import export_file\n"
        "count = 0\n"
        "def die(_bytes):\n"
        "    global count\n"
        f"    if count == {at}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    count += 1\n"
        f"export_file(Path({str(source)!r}), Path({str(place)!r}), 'a.csv', die)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False)
    left = names(place)
    done = export_file(source, place, "a.csv")

    assert -9 == killed.returncode
    assert 1 == len(left)
    assert left[0].startswith(".rampart-")
    assert done.copied
    assert ["a.csv"] == names(place)
    assert (place / "a.csv").read_bytes() == source.read_bytes()


def test_two_exports_at_once_end_with_one_whole_file(source: Path, place: Path) -> None:
    """Neither sweeps away what the other is writing."""
    source.write_bytes(os.urandom(1024 * 1024) * 4)
    faults: list[Exception] = []

    def copy() -> None:
        try:
            export_file(source, place, "a.csv", lambda _bytes: time.sleep(0.01))
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=copy) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == faults
    assert ["a.csv"] == names(place)
    assert (place / "a.csv").read_bytes() == source.read_bytes()


def test_a_source_that_changes_meanwhile_is_not_copied(source: Path, place: Path) -> None:
    """What is still being written is no file yet."""

    def write(_bytes: int) -> None:
        with source.open("ab") as file:
            file.write(b"more\n")

    with pytest.raises(ExportFailed, match=r"a\.csv: changed while it was copied"):
        export_file(source, place, "a.csv", write)

    assert [] == names(place)


@pytest.mark.parametrize(
    ("age", "grows", "settle", "copied", "waited"),
    [
        (1, True, 2, False, [2.0]),
        (1, False, 2, True, [2.0]),
        (3, True, 2, True, []),  # it looked done: `settle` says how long a writer may pause
        (3, True, 10, False, [10.0]),
        (-3600, True, 2, False, [2.0]),  # the clock of the share goes wrong
        (1, True, 0, True, []),
    ],
)
def test_a_file_is_looked_at_again_when_it_is_fresh(
    source: Path, place: Path, age: float, grows: bool, settle: float, copied: bool,
    waited: list[float],
) -> None:  # fmt: skip
    """Fresh and changed after the wait: not copied, and told as growing."""
    moment = 1_800_000_000.0
    os.utime(source, (moment - age, moment - age))
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if grows and seconds:
            with source.open("ab") as file:
                file.write(b"more\n")

    growth = Growth([source], timedelta(seconds=settle), lambda: moment, sleep)
    said = ""
    try:
        export_file(source, place, "a.csv", look=growth.settled)
    except ExportFailed as error:
        said = str(error)

    assert (copied, waited) == (names(place) == ["a.csv"], slept)
    grown = "it still grows (800,000 bytes, then 800,005), so it is left for the next run"
    assert ("" if copied else f"{source}: {grown}") == said


def test_all_fresh_files_settle_in_one_wait(source: Path) -> None:
    """A thousand of them cost no more than one."""
    clock, slept = [time.time()], [0.0]
    other = source.with_name("b.csv")
    other.write_text("b")

    def sleep(seconds: float) -> None:
        clock[0] += seconds
        slept[0] += seconds

    growth = Growth([source, other], timedelta(seconds=2), lambda: clock[0], sleep)
    growth.settled(source)
    growth.settled(other)

    assert 2.0 == pytest.approx(slept[0])


def test_a_file_that_somebody_writes_is_left_for_the_next_run(
    source: Path, place: Path, tmp_path: Path
) -> None:
    """A line every fifth of a second: red and told; whole once the writer is done."""
    (tmp_path / "rampart.yml").write_text(
        "exports: {day: {from: 'out/*.csv', to: place, settle: 1 second}}\n"
    )
    script = (
        "import time\nwith open('out/a.csv', 'a', buffering=1) as file:\n"
        "    while True:\n        file.write('3,4\\n'); time.sleep(0.2)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path) as writer:
        while source.stat().st_size == 800_000:
            time.sleep(0.01)
        during = rampart(tmp_path, **AWAY)
        writer.kill()
    left = names(place)
    after = rampart(tmp_path, **AWAY)

    assert (1, []) == (during.returncode, left)
    assert "it still grows (" in during.stderr
    assert 0 == after.returncode
    assert (place / "a.csv").read_bytes() == source.read_bytes()


def test_a_disk_that_lies_is_found_out(
    source: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What reads back otherwise never gets its name."""
    monkeypatch.setattr(export, "_sha256_of", lambda _path: "0" * 64)
    with pytest.raises(ExportFailed, match="what was written reads back otherwise"):
        export_file(source, place, "a.csv")

    assert [] == names(place)


def test_what_is_wrong_is_named(source: Path, place: Path, tmp_path: Path) -> None:
    """A source that has vanished, a folder as a source, a target that is none."""
    for wrong, said in (
        ((tmp_path / "gone.csv", place), "gone.csv: this source does not exist"),
        ((tmp_path, place), f"{tmp_path}: no regular file"),
        ((source, tmp_path / "nowhere"), "the target folder does not exist; is it mounted?"),
        ((source, source), "a.csv: the target is no folder"),
    ):
        with pytest.raises(ExportFailed, match=said):
            export_file(*wrong, "a.csv")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not is_root or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root and the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_too_small_is_known_before(source: Path, small_disk: Path) -> None:
    """Nothing is written when it cannot fit."""
    source.write_bytes(b"x" * 2_000_000)
    with pytest.raises(ExportFailed, match=r"no space: 2,000,000 bytes are needed, 1,048,576 are"):
        export_file(source, small_disk, "a.csv")

    assert [] == names(small_disk)


def test_a_disk_that_fills_up_meanwhile_keeps_nothing(source: Path, small_disk: Path) -> None:
    """One line, and the half is gone again."""

    def fill(_bytes: int) -> None:
        (small_disk / "other").write_bytes(b"x" * os.statvfs(small_disk).f_bavail * 4096)

    source.write_bytes(b"x" * 1_040_000)
    (small_disk / "b").write_bytes(b"x" * 4096)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "BLOCK_BYTES", 64 * 1024)
        with pytest.raises(ExportFailed, match=r"no space left while writing a\.csv"):
            export_file(source, small_disk, "a.csv", fill)

    assert "a.csv" not in names(small_disk)
    assert not any(".part" in name for name in names(small_disk))


def test_a_read_only_target_is_named(source: Path, small_disk: Path) -> None:
    """As the mount says it."""
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(ExportFailed, match="disk: the file system is read-only"):
        export_file(source, small_disk, "a.csv")


@pytest.mark.skipif(not is_root, reason="becoming somebody else needs root")
def test_a_permission_is_named_with_who_asks_and_who_may(source: Path, place: Path) -> None:
    """The account, the folder, its owner and mode."""
    place.chmod(0o755)
    script = (
        "import os\nfrom pathlib import Path\n"
        "from monitors.arrival.export import export_file, ExportFailed\n"
        "os.setuid(65534)\n"
        "try:\n"
        "    export_file(Path('/etc/hostname'), Path(os.environ['PLACE']), 'a.csv')\n"
        "except ExportFailed as error:\n"
        "    print(error)\n"
    )
    open_place = Path("/tmp") / f"rampart-place-{os.getpid()}"
    open_place.mkdir(mode=0o755)
    try:
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True,
            env={**os.environ, "PLACE": str(open_place)},
        )  # fmt: skip
    finally:
        open_place.rmdir()

    assert "permission denied: this is nobody, the folder" in done.stdout
    assert "belongs to root with mode 0755" in done.stdout


# -------------------------------------------------------------------- the command


def test_files_by_name_need_no_project(source: Path, place: Path, tmp_path: Path) -> None:
    """It says that the run is not recorded, and makes nothing of its own."""
    done = rampart(tmp_path, source, place)

    assert (0, ["a.csv"]) == (done.returncode, names(place))
    assert done.stdout.startswith("exported export: 1 copied, 800,000 bytes\n")
    why = "there is no rampart.yml and no warehouse is configured"
    assert f"rampart: this run is not recorded: {why}\n" == done.stderr
    assert {"out", "place"} == {path.name for path in tmp_path.iterdir()}


def test_configured_exports_are_recorded(
    source: Path, place: Path, tmp_path: Path, warehouse: Target, use: Callable[[Target], None]
) -> None:
    """A failed file stops no other; alert lines, exit 1; states and reasons in the log."""
    use(warehouse)
    (tmp_path / "rampart.yml").write_text(
        "exports:\n"
        "  day: {from: 'out/**/*.csv', to: place}\n"
        "  gone: {from: 'out/*.csv', to: nowhere}\n"
        "  none: {from: 'out/*.json', to: place}\n"
        "  maybe: {from: 'out/*.json', to: place, required: false}\n"
    )
    (source.parent / "deep").mkdir()
    (source.parent / "deep" / "b.csv").write_text("b")
    done = rampart(tmp_path)

    assert 1 == done.returncode
    assert ["a.csv", "deep/b.csv"] == names(place)
    assert [
        f"!! ALERT: EXPORT PIPELINE FAILURE !! - gone: {tmp_path}/nowhere: the target folder does"
        " not exist; is it mounted?",
        "!! ALERT: EXPORT PIPELINE FAILURE !! - none: no file matches, and the export is required",
    ] == [line for line in done.stderr.splitlines() if not line.startswith("{")]
    with connect(warehouse) as connection:
        rows = connection.execute(
            "select pipeline_name, status, error_type from monitoring.pipeline_logs order by log_id"
        ).fetchall()
        runs = connection.execute("select command, exit_code from monitoring.runs").fetchall()
    assert [
        ("day", "succeeded", None), ("gone", "failed", "EXPORT_FAILED"),
        ("none", "failed", "NO_DATA"), ("maybe", "skipped", "SKIPPED_NO_DATA"),
    ] == rows  # fmt: skip
    assert [("export", 1)] == runs
    again = json.loads(rampart(tmp_path, "day", "--json").stdout)
    assert [False, False] == [file["copied"] for file in again["exports"][0]["files"]]
    assert 2 == rampart(tmp_path, "nmae").returncode


def test_without_the_warehouse_it_works_and_says_so(
    source: Path, place: Path, tmp_path: Path
) -> None:
    """The record waits in the spool."""
    (tmp_path / "rampart.yml").write_text("exports: {day: {from: 'out/*', to: place}}\n")
    done = rampart(tmp_path, RAMPART_HOST="127.0.0.1", RAMPART_PORT="9")

    assert (0, ["a.csv"]) == (done.returncode, names(place))
    (line,) = done.stderr.splitlines()
    waits = "rampart: the record of this run waits for the warehouse: "
    assert line.startswith(f"{waits}cannot connect to 127.0.0.1:9")
    assert 1 == len(list((tmp_path / ".rampart/spool").iterdir()))


def spooled(folder: Path) -> dict[str, Any]:
    """The one record that waits."""
    (path,) = (folder / ".rampart/spool").iterdir()
    return json.loads(path.read_text())


@pytest.mark.skipif(is_root and not shutil.which("setpriv"), reason="root needs setpriv for it")
@pytest.mark.parametrize("mode", [0o000, 0o555])
def test_a_folder_that_may_not_be_used_fails_its_files_only(
    source: Path, place: Path, tmp_path: Path, mode: int
) -> None:
    """Neither searched nor written: a named permission error, the others go on, all recorded."""
    (tmp_path / "rampart.yml").write_text("exports: {day: {from: 'out/**/*.csv', to: place}}\n")
    for folder in (source.parent / "shut", place / "shut"):
        folder.mkdir()
    (source.parent / "shut" / "b.csv").write_text("b")
    (source.parent / "z.csv").write_text("z")
    (place / "shut").chmod(mode)
    try:
        done = rampart(tmp_path, "--json", before=POWERLESS, **AWAY)
    finally:
        (place / "shut").chmod(0o755)
    record = spooled(tmp_path)

    assert 1 == done.returncode
    assert ["a.csv", "z.csv"] == names(place)
    (said,) = json.loads(done.stdout)["exports"][0]["failed"]
    assert said.startswith(f"{place}/shut/b.csv: permission denied: this is ")
    assert f"the folder {place}/shut belongs to " in said
    assert f"with mode {mode:04o}" in said
    assert f"!! ALERT: EXPORT PIPELINE FAILURE !! - day: {said}" in done.stderr.splitlines()
    assert "Traceback" not in done.stderr
    assert 1 == record["exit_code"]
    assert ["failed", "EXPORT_FAILED", said] == [
        record["stages"][0][key] for key in ("status", "error_type", "error_message")
    ]


def test_what_nobody_foresaw_fails_its_file_only(
    source: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are copied, and the exit code on record is the one that is given."""
    for name, value in AWAY.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "rampart.yml").write_text("exports: {day: {from: 'out/*.csv', to: place}}\n")
    (source.parent / "z.csv").write_text("z")
    real = command.export_file

    def export_one(path: Path, *rest: Any, **options: Any) -> Any:
        if path == source:
            raise RuntimeError("nobody foresaw it")
        return real(path, *rest, **options)

    monkeypatch.setattr(command, "export_file", export_one)
    config = load_config(tmp_path)
    outcome = command.export_files(command.plan_configured(config, []), config)
    record = spooled(tmp_path)

    assert ["z.csv"] == names(place)
    assert [f"{source}: RuntimeError: nobody foresaw it"] == list(outcome.exports[0].failed)
    assert (1, 1) == (outcome.exit_code, record["exit_code"])
    assert "failed" == record["stages"][0]["status"]


def test_what_breaks_the_whole_export_is_recorded(
    source: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row ends as failed, and the exit code is not that of a stop."""
    for name, value in AWAY.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "rampart.yml").write_text("exports: {day: {from: 'out/*.csv', to: place}}\n")
    config = load_config(tmp_path)
    plans = command.plan_configured(config, [])

    def broken(*_any: Any) -> None:
        raise ZeroDivisionError("nobody foresaw it")

    monkeypatch.setattr(command._Work, "carry_out", broken)
    with pytest.raises(ZeroDivisionError):
        command.export_files(plans, config)
    record = spooled(tmp_path)

    assert 1 == record["exit_code"]
    assert ["failed", "ZeroDivisionError", "nobody foresaw it; 0 of 1 files are there"] == [
        record["stages"][0][key] for key in ("status", "error_type", "error_message")
    ]


SLOW = """
import sys, time
from monitors.commands import export as command
real = command.export_file
def slow(source, folder, name, **rest):
    def wait(_bytes):
        print("ready", flush=True)
        time.sleep(30)
    return real(source, folder, name, wait, **rest)
command.export_file = slow
from monitors.cli import main
sys.argv = ["rampart", "--log-level", "info", "export"]
main()
"""


@pytest.mark.parametrize(("signal", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_stop_is_recorded_as_one(
    source: Path, place: Path, tmp_path: Path, warehouse: Target, use: Callable[[Target], None],
    signal: str, code: int,
) -> None:  # fmt: skip
    """Every export that had not ended is failed, STOPPED; no traceback, and no half file."""
    use(warehouse)
    (tmp_path / "rampart.yml").write_text(
        "exports:\n  day: {from: 'out/*.csv', to: place}\n  more: {from: 'out/*', to: place}\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", SLOW], cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
        process.send_signal(getattr(signals, signal))
        _out, err = process.communicate(timeout=30)
    with connect(warehouse) as connection:
        rows = connection.execute(
            "select status, error_type, error_message from monitoring.pipeline_logs order by log_id"
        ).fetchall()
        runs = connection.execute("select exit_code from monitoring.runs").fetchall()

    assert code == process.returncode
    assert [
        ("failed", "STOPPED", f"stopped by {signal}; 0 of 1 files are there"),
    ] * 2 == rows  # fmt: skip
    assert [(code,)] == runs
    assert "Traceback" not in err
    assert "SystemExit" not in err
    assert "exception" not in err
    assert (
        f"!! ALERT: EXPORT PIPELINE FAILURE !! - day: stopped by {signal}; 0 of 1 files are there"
    ) in err.splitlines()
    assert [] == names(place)


def test_a_newer_version_replaces_and_a_foreign_file_does_not_unless_told(
    source: Path, place: Path, tmp_path: Path
) -> None:
    """By the notes of the project, for files by name too; --overwrite, or `overwrite: true`."""
    (tmp_path / "rampart.yml").write_text(
        "exports:\n  day: {from: 'out/*.csv', to: place, settle: 0 seconds}\n"
        "  bold: {from: 'out/*.csv', to: place, settle: 0 seconds, overwrite: true}\n"
    )
    target, codes = place / "a.csv", []
    for content, arguments in (
        ("first", ["day"]), ("second", ["day"]), ("third", [source, place]),
        (None, ["day"]), (None, ["day", "--overwrite"]),
        (None, ["bold"]),
    ):  # fmt: skip
        (source if content else target).write_text(content or "foreign")
        done = rampart(tmp_path, *arguments, **AWAY)
        codes.append(done.returncode)
        assert (target.read_text() == source.read_text()) == (done.returncode == 0)
        if done.returncode:
            assert "another file is there, which this export did not write; move" in done.stderr

    assert [0, 0, 0, 1, 0, 0] == codes


def test_without_a_project_no_other_file_is_replaced(
    source: Path, place: Path, tmp_path: Path
) -> None:
    """Nothing is noted there, so nothing is known to be its own."""
    (place / "a.csv").write_text("x")
    done = rampart(tmp_path, source, place)
    told = rampart(tmp_path, "--overwrite", source, place)

    assert [1, 0] == [done.returncode, told.returncode]
    assert "did not write (without a rampart.yml it notes nothing); move it" in done.stderr
    assert source.read_bytes() == (place / "a.csv").read_bytes()


def test_a_lost_record_is_not_said_to_wait(source: Path, place: Path, tmp_path: Path) -> None:
    """Only what lies in the spool waits."""
    (tmp_path / "rampart.yml").write_text("exports: {day: {from: 'out/*', to: place}}\n")
    (tmp_path / ".rampart").write_text("a file where the folder should be")
    done = rampart(tmp_path, **AWAY)

    assert "rampart: this run is not recorded: cannot connect to 127.0.0.1:9" in done.stderr
    assert "waits" not in done.stderr


@pytest.mark.parametrize("with_project", [True, False])
def test_a_file_without_a_folder_is_told_the_usage(
    source: Path, place: Path, tmp_path: Path, with_project: bool
) -> None:
    """Not that there is no such export, nor that there is no rampart.yml."""
    if with_project:
        (tmp_path / "rampart.yml").write_text("exports: {day: {from: 'out/*', to: place}}\n")
    for named in ("out/a.csv", "out/b.csv", "out"):
        done = rampart(tmp_path, named)

        assert 2 == done.returncode
        assert "Usage: rampart export [OPTIONS] [NAME | SOURCE... FOLDER]" in done.stderr
        assert f"Error: `{named}`: name the folder that it goes to, too\n" in done.stderr


def test_a_source_folder_that_is_not_there_is_named(place: Path, tmp_path: Path) -> None:
    """As it was looked for."""
    (tmp_path / "rampart.yml").write_text("exports: {day: {from: 'nothing/*', to: place}}\n")
    done = rampart(tmp_path, **AWAY)

    assert (
        "!! ALERT: EXPORT PIPELINE FAILURE !! - day:"
        f" the source folder {tmp_path}/nothing does not exist"
    ) in done.stderr.splitlines()


def test_two_sources_of_one_name_are_refused(source: Path, place: Path, tmp_path: Path) -> None:
    """One would overwrite the other."""
    other = tmp_path / "b" / "a.csv"
    other.parent.mkdir()
    other.write_text("x")
    done = rampart(tmp_path, source, other, place)

    assert 2 == done.returncode
    assert "two sources are called a.csv" in done.stderr
