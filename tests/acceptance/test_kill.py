"""kill -9 of every command, and of Postgres under it: nothing is lost, nothing counted twice."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from monitors.arrival.sample import write_sample
from tests.conftest import ROOT, copy_project
from tests.receivers import http_receiver

SLOW = int(os.environ.get("RAMPART_TEST_KILLS", "300"))


@pytest.fixture
def home() -> Iterator[Path]:
    """A short path for a socket; the server in it belongs to this test alone."""
    folder = Path(tempfile.mkdtemp(prefix="rampart-kill-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def files_of(folder: Path) -> Path:
    """A small sample of all four feeds, and the order in which it arrives."""
    summary = write_sample(folder, last_day=date(2026, 11, 24), days=3, scale=0.02)
    # the last day of clickstream has its full size: too much for a load that is to be killed often
    arriving = [
        path for path in (*summary.history, *summary.today)
        if path not in summary.today or "clickstream" not in path.parts
    ]  # fmt: skip
    names = [path.relative_to(folder).as_posix() for path in arriving]
    (folder / "order.txt").write_text("\n".join(names))
    return folder


@pytest.mark.parametrize(
    ("points", "seed"),
    [(6, 11), pytest.param(SLOW, 7, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])],
)
def test_killed_anywhere_nothing_is_lost(
    tmp_path: Path, home: Path, points: int, seed: int
) -> None:
    """After each kill the books balance and the next command works; in the end every mart is that
    of a warehouse nobody disturbed, row for row, and every alert has been told."""
    project = copy_project(tmp_path / "project")
    settings = project / "rampart.yml"
    channel = "\nchannels:\n  oncall: {type: webhook, url: {env: ONCALL}}\n"
    settings.write_text(settings.read_text() + channel)
    with http_receiver() as receiver:
        done = subprocess.run(
            [sys.executable, "-m", "tests.killing", str(project), str(files_of(tmp_path / "files")),
             str(points), str(seed)],
            cwd=ROOT,
            env={**os.environ, "RAMPART_HOME": str(home), "ONCALL": f"{receiver.url}/200"},
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        told = {each.headers["Idempotency-Key"] for each in receiver.received}
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    kills = [line for line in lines if "victim" in line]
    table = table_of(kills)
    print(table)
    rounds = [line for line in lines if "round" in line]
    sent = {key for line in lines for key in line.get("sent", [])}

    assert points == len(kills), done.stderr
    assert [] == [each for each in kills if each["faults"]]
    assert [] == [each["differs"] for each in rounds if each["differs"]]
    assert sent
    assert sent <= told
    assert 0 == done.returncode, done.stderr


def table_of(kills: list[dict[str, Any]]) -> str:
    """The kill points and what came of them, for whoever reads the log of the test."""
    found = ["number  command  victim      moment     struck  ended    run   faults"]
    found += [
        f"{kill['number']!s:>6}  {kill['command']!s:7}  {kill['victim']!s:10}  {kill['moment']!s:9}"
        f"  {kill['struck']!s:6}  {kill['ended']!s:7}  {kill['run']!s:4}  {kill['faults'] or '-'}"
        for kill in kills
    ]
    cells = Counter((kill["command"], kill["victim"], kill["struck"]) for kill in kills)
    found.append("command  victim      struck at work  too late")
    found += [
        f"{command:7}  {victim:10}  {cells[command, victim, True]:14}"
        f"  {cells[command, victim, False]:8}"
        for command, victim in sorted({cell[:2] for cell in cells})
    ]
    return "\n".join(found)
