"""Landing places without a database: what lies there, which names are whole, how time passes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import fsspec
import pytest

from monitors.arrival import storage
from monitors.arrival.open_time import open_before, open_between
from monitors.arrival.records import sha256_of
from monitors.arrival.storage import fits, list_place
from monitors.arrival.unfinished import finished_name, unfinished
from monitors.config_feeds import Calendar

Files = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path) -> Files:
    def write(*names: str, content: str = "x") -> Path:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path

    return write


def names_of(path: str, root: Path) -> list[str]:
    return [each.name for each in list_place(path, root).files]


def test_files_of_a_place_are_listed_as_deep_as_the_pattern_reaches(put: Files) -> None:
    """In order of name, from rampart.yml or an absolute path; folders are no files."""
    root = put("in/b.csv", "in/a.csv", "in/.c.csv", "in/d/e.csv", "in/.private/f.csv", "z.csv")
    for path in ("in/*.csv", f"{root}/in/*.csv", f"file://{root}/in/*.csv"):
        assert [".c.csv", "a.csv", "b.csv"] == names_of(path, root)
    assert [".c.csv", "a.csv", "b.csv", "d/e.csv"] == names_of("in/**/*.csv", root)
    assert [".c.csv", "a.csv", "b.csv", "d/e.csv"] == names_of("in/*/*.csv", root)


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("a.csv", "*.csv", True),
        ("a.csv.gz", "*.csv", False),
        ("b/a.csv", "*.csv", False),
        ("a.csv", "**/*.csv", True),
        ("b/c/a.csv", "**/*.csv", True),
        ("b/c/a.csv", "b/*/a.csv", True),
        ("b/c/a.csv", "*/a.csv", False),
        ("day_1/a.csv", "day_[0-9]/?.csv", True),
        ("A.csv", "a.csv", False),
    ],
)
def test_a_star_stays_in_its_folder(name: str, pattern: str, expected: bool) -> None:
    """As in a glob: `*` within a folder, `**` over any folders, case as it stands."""
    assert expected == fits(name, pattern)


def test_links_to_files_are_files_and_links_in_circles_end(put: Files) -> None:
    """A `**` follows no link to a folder; a link that leads nowhere cannot be read, and is told
    only where its name is one that the pattern means."""
    root = put("in/a.csv", "elsewhere/b.csv")
    (root / "in/link.csv").symlink_to(root / "elsewhere/b.csv")
    (root / "in/dangling.csv").symlink_to(root / "gone")
    (root / "in/dangling.txt").symlink_to(root / "gone")
    (root / "in/circle").symlink_to(root / "in")
    readable = ["a.csv", "circle/a.csv", "circle/link.csv", "link.csv"]

    def faults(path: str) -> dict[str, str | None]:
        return {each.name: each.fault for each in list_place(path, root).files}

    fault = f"a link to {root}/gone, which is not there"
    assert {"a.csv": None, "dangling.csv": fault, "link.csv": None} == faults("in/**/*.csv")
    assert dict.fromkeys(readable) | {"circle/dangling.csv": fault} == faults("in/*/*.csv")


def test_what_cannot_be_listed_says_why(put: Files, tmp_path: Path) -> None:
    """A place that is not there, one that is a file, one of an unknown kind: no error is raised."""
    root = put("in/a.csv")
    absent = list_place("out/*.csv", root)
    (root / "link").symlink_to(root / "gone")
    for path, said in (("link/*.csv", "it"), ("link/sub/*.csv", "link")):
        faults = list_place(path, root).faults
        assert (f"{said} is a link to {root}/gone, which is not there",) == faults

    assert (True, ("it does not exist",)) == (absent.is_absent, absent.faults)
    assert ("Not a directory",) == list_place("in/a.csv/*.csv", root).faults
    assert "nosuch" in list_place("nosuch://a/*.csv", root).faults[0]


def test_a_name_that_is_no_text_is_told_and_stops_nothing(put: Files) -> None:
    """The system allows any bytes in a name, a database does not."""
    root = put("in/a.csv")
    os.close(os.open(os.fsencode(root) + b"/in/b\xff.csv", os.O_CREAT | os.O_WRONLY))
    listing = list_place("in/*.csv", root)

    assert ["a.csv"] == [each.name for each in listing.files]
    assert ("b\ufffd.csv: its name is not UTF-8",) == listing.faults


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_named_and_the_others_are_read(put: Files) -> None:
    """Permission is part of being there."""
    root = put("in/a.csv", "in/closed/b.csv")
    (root / "in/closed").chmod(0)
    listing = list_place("in/**/*.csv", root)
    (root / "in/closed").chmod(0o700)

    assert ("closed: Permission denied",) == listing.faults
    assert ["a.csv"] == [each.name for each in listing.files]


def test_a_mount_point_counts_at_the_folder_or_above_it(
    put: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also behind a link; one that the project lies in says nothing of a share."""
    root = put("share/in/a.csv", "project/in/b.csv")
    project = root / "project"
    (project / "link").symlink_to(root / "share/in")
    # os.path.ismount is patched: which folders are mount points differs from machine to machine
    points = {str(root), str(project)}
    monkeypatch.setattr("os.path.ismount", lambda path: str(path) in points)
    paths = ["in/*.csv", f"{root}/share/in/*.csv", "../share/in/*.csv", "link/*.csv"]

    def listings() -> list[storage.Listing]:
        return [list_place(path, project, mounted=True) for path in paths]

    assert [((), ("nothing is mounted there",))] * 4 == [(x.files, x.faults) for x in listings()]
    points.add(str(root / "share"))
    assert [0, 1, 1, 1] == [len(each.files) for each in listings()]
    assert 1 == len(list_place("in/*.csv", project).files), "nobody asked for a mount"


def test_a_place_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead network share hangs in the kernel; the command goes on."""
    monkeypatch.setattr(storage, "_list_local", lambda *_: time.sleep(5))
    listing = list_place("in/*.csv", Path("/"), seconds=0.05)

    assert ("it does not answer within 0 seconds",) == listing.faults


def test_a_place_by_url_is_listed_and_read_like_a_folder() -> None:
    """Any file system of fsspec: names, sizes, content; depth and private folders alike."""
    memory = fsspec.filesystem("memory")
    for name in ("a.csv", "d/e.csv", ".private/f.csv"):
        memory.pipe_file(f"/place/in/{name}", b"x,y\n")
    flat = list_place("memory://place/in/*.csv", Path("/"))
    deep = list_place("memory://place/in/**/*.csv", Path("/"))
    (file,) = flat.files

    assert [["a.csv"], ["a.csv", "d/e.csv"]] == [
        [each.name for each in listing.files] for listing in (flat, deep)
    ]
    assert (4, "a.csv", "memory://place/in/a.csv") == (
        file.size,
        file.source.name,
        str(file.source),
    )
    assert sha256_of(file.source) == sha256_of_bytes(b"x,y\n")
    before = file.source.stat()
    assert not storage.has_changed(file.source, before)
    memory.pipe_file("/place/in/a.csv", b"x,y\n1,2\n")
    assert storage.has_changed(file.source, before)
    memory.rm("/place", recursive=True)
    with pytest.raises(OSError):
        file.source.open("rb")
    assert list_place("memory://place/in/*.csv", Path("/")).is_absent


def sha256_of_bytes(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("a.csv.part", "a.csv"),
        ("a.csv.tmp", "a.csv"),
        ("d/a.csv.crdownload", "d/a.csv"),
        ("a.csv~", "a.csv"),
        (".a.csv.icloud", "a.csv"),
        (".syncthing.a.csv.tmp", "a.csv"),
        ("A.CSV.FILEPART", "A.CSV"),
    ],
)
def test_unfinished_names_are_known_and_the_name_that_is_meant(name: str, meant: str) -> None:
    """Uploaders, browsers, editors, sync clients."""
    assert unfinished(name, "*.csv*") is not None
    assert meant == finished_name(name)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "partial.csv", "tmp.csv", "a.part.csv"])
def test_finished_names_are_left_alone(name: str) -> None:
    """Only an end, or the mark of a sync client at the beginning, says unfinished."""
    assert unfinished(name, "*.csv*") is None


def test_a_pattern_may_want_such_a_name() -> None:
    """Who asks for `*.part` gets it."""
    assert unfinished("a.part", "*.part") is None


WEEKEND = Calendar.model_validate(
    {
        "closed": ["saturday", "sunday"],
        "holidays": [date(2026, 12, 25)],
        "timezone": "Europe/Berlin",
    }
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("begin", "end", "hours"),
    [
        ("2026-11-19T10:00", "2026-11-19T12:00", 2),
        ("2026-11-20T22:00", "2026-11-22T23:00", 1),  # until 23:00 UTC, Berlin's midnight
        ("2026-11-20T12:00", "2026-11-23T05:00", 11 + 6),
        ("2026-11-21T12:00", "2026-11-22T12:00", 0),
        ("2026-11-22T12:00", "2026-11-20T12:00", 0),
        ("2026-12-24T12:00", "2026-12-28T00:00", 11 + 1),  # a holiday before the weekend
    ],
)
def test_closed_hours_do_not_pass(begin: str, end: str, hours: int) -> None:
    """Days go from midnight to midnight of the calendar's zone."""
    assert timedelta(hours=hours) == open_between(at(begin), at(end), WEEKEND)


@pytest.mark.parametrize(
    ("end", "hours", "expected"),
    [
        ("2026-11-23T05:00", 20, "2026-11-20T09:00"),
        ("2026-11-21T12:00", 20, "2026-11-20T03:00"),
        ("2026-11-22T23:00", 1, "2026-11-20T22:00"),
        ("2026-11-19T12:00", 12, "2026-11-19T00:00"),
    ],
)
def test_so_much_open_time_before(end: str, hours: int, expected: str) -> None:
    """The way back is the same as the way there."""
    found = open_before(at(end), timedelta(hours=hours), WEEKEND)

    assert at(expected) == found
    assert timedelta(hours=hours) == open_between(found, at(end), WEEKEND)
