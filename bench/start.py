"""How long a person waits: for `--help`, and for the demo from nothing to a verdict."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.figure import Figure, Options, in_turns, seconds_of
from monitors.warehouse.embedded import EmbeddedPostgres

ROOT = Path(__file__).parents[1]
RAMPART = Path(sys.executable).with_name("rampart")
PROJECT = ("dbt_project.yml", "packages.yml", "rampart.yml", ".dbtignore", "models", "macros",
           "monitors", "tests")  # fmt: skip


def help_text(options: Options) -> Iterator[Figure]:
    """`rampart --help` against an interpreter that does nothing: what our imports cost."""
    _help(), _nothing()  # the first start reads everything from the disk
    pairs = in_turns(max(options.pairs, 9), _help, _nothing)
    yield Figure(
        name="help",
        reference="python -c pass, seconds more",
        values=[ours - theirs for ours, theirs in pairs],
        relation="<=",
        target=0.25,
        unit="s",
    )


def demo(options: Options) -> Iterator[Figure]:
    """`rampart demo` on a fresh copy of the project: sample data, two runs, an empty server.

    There is no reference but the clock; one run, because it takes the better part of a minute.
    """
    project = options.folder / "project"
    project.mkdir()
    for name in PROJECT:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, project / name)
    try:
        seconds = seconds_of([RAMPART, "demo"], cwd=project)
    finally:
        postgres = EmbeddedPostgres(project / ".rampart" / "demo" / ".rampart")
        postgres.reset()
        for left in {postgres.folder, postgres.sockets}:
            shutil.rmtree(left, ignore_errors=True)
    yield Figure("demo", "the clock", [seconds], "<=", 60, "s")


def _help() -> float:
    return seconds_of([RAMPART, "--help"])


def _nothing() -> float:
    return seconds_of([sys.executable, "-c", "pass"])
