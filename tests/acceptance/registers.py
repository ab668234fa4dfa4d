"""Real registers: their extracts as files, as they came, and what a dimension must hold of them.

The data are third party, lie outside the repository and are read only. An extract becomes one file
with its original header; within a file the rows stand by key, since their order is not kept.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from monitors import DataMonitor
from monitors.verdict import Verdict
from monitors.warehouse.connection import connect
from monitors.warehouse.packages import install_packages
from monitors.warehouse.target import Target
from tests.conftest import ROOT, SHARED

PROJECTS = Path(__file__).parent
DATA = SHARED / "data"
Row = tuple[Any, ...]


class Version(NamedTuple):
    """One row of a dimension; `attributes` are in the order of the register's columns."""

    key: str
    attributes: Row
    valid_from: datetime
    valid_to: datetime | None
    is_deleted: bool


@dataclass(frozen=True)
class Extract:
    """One picture of a register; a None in `rows` is a cell that the file does not have."""

    number: int
    moment: datetime
    header: tuple[str, ...]
    columns: tuple[str, ...]
    rows: list[Row]

    @property
    def stamp(self) -> str:
        return self.moment.strftime("%Y%m%dT%H%M%SZ")

    def write_csv(self, folder: Path) -> Path:
        """As it came: the header of its day, columns that it did not have left out."""
        path = folder / f"{self.stamp}.csv"
        # a header may end in empty cells; they have no column of ours
        blanks = ("",) * sum(not name for name in self.header)
        kept = [n for n in range(len(self.columns)) if any(row[n] is not None for row in self.rows)]
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self.header)
            writer.writerows((*(row[n] for n in kept), *blanks) for row in self.rows)
        return path

    def write_jsonl(self, folder: Path) -> Path:
        """One object per row, without the keys that it does not have."""
        path = folder / f"{self.stamp}_{self.number:03}.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for row in self.rows:
                cells = zip(self.columns, row, strict=True)
                said = {name: cell for name, cell in cells if cell is not None}
                file.write(json.dumps(said, ensure_ascii=False) + "\n")
        return path


def needs(register: str) -> pytest.MarkDecorator:
    """Skip, saying why, where the data or the reader of their format are not there."""
    folder = DATA / register
    reason = f"{folder} is not there: third-party data are not in the repo"
    if folder.exists():
        reason = "pyarrow is not installed: it reads the register's extracts"
    return pytest.mark.skipif(not folder.exists() or find_spec("pyarrow") is None, reason=reason)


def extracts_of(register: str, chosen: Collection[int] | None = None) -> Iterator[Extract]:
    """The extracts of a register in the order in which they were published, all or the chosen."""
    from pyarrow import parquet

    with (DATA / register / "extracts_manifest.csv").open(newline="", encoding="utf-8") as file:
        manifest = list(csv.DictReader(file))
    table = parquet.read_table(DATA / register / "extracts.parquet")
    by = "_extract_no" if "_extract_no" in table.column_names else "_extracted_at"
    table = table.sort_by(by)  # stable: rows of one key stay in their order
    columns = tuple(name for name in table.column_names if not name.startswith("_"))
    first = 0
    for number, entry in enumerate(manifest):
        part = table.slice(first, int(entry["rows"]))
        first += part.num_rows
        if chosen is not None and number not in chosen:
            continue
        moment = datetime.fromisoformat(entry["_extracted_at"]).astimezone(timezone.utc)
        assert {moment} >= set(part["_extracted_at"].unique().to_pylist())
        cells = [part[name].to_pylist() for name in columns]
        header = tuple(entry["header"].split("|")) if "header" in entry else columns
        yield Extract(number, moment, header, columns, list(zip(*cells, strict=True)))
    assert first == table.num_rows


def history(extracts: Iterable[Extract], *, lower: bool = False) -> list[Version]:
    """The versions that full extracts give, extract by extract as on paper; the key comes first.

    Of several rows of one key the last counts, and of several extracts with one moment the last.
    Rows without a key are nobody's. Who is gone keeps what was last said of him.
    """
    closed: list[Version] = []
    current: dict[str, Version] = {}
    for moment, together in groupby(extracts, key=lambda extract: extract.moment):
        said: dict[str, tuple[Row, bool]] = {}
        for extract in together:
            rows = {
                (row[0].lower() if lower else row[0]): row[1:] for row in extract.rows if row[0]
            }
            for key in (said.keys() | current.keys()) - rows.keys():
                said[key] = (said[key][0] if key in said else current[key].attributes, True)
            said |= {key: (row, False) for key, row in rows.items()}
        for key, (attributes, is_deleted) in said.items():
            before = current.get(key)
            if before and (before.attributes, before.is_deleted) == (attributes, is_deleted):
                continue
            if before:
                closed.append(before._replace(valid_to=moment))
            current[key] = Version(key, attributes, moment, None, is_deleted)
    return in_order([*closed, *current.values()])


def in_order(versions: Iterable[Version]) -> list[Version]:
    return sorted(versions, key=lambda version: (version.key, version.valid_from))


@dataclass(frozen=True)
class Register:
    """A register's dbt project in a folder of its own, and the warehouse it fills."""

    folder: Path
    target: Target

    @property
    def landing(self) -> Path:
        return self.folder / "landing"

    def load(self, *paths: Path) -> Verdict:
        """`rampart load`: all that has landed, or the files named."""
        with self._environment():
            monitor = DataMonitor(self.folder)
            return monitor.load(next(iter(monitor.config.feeds)), paths)

    def build(self, *select: str, full_refresh: bool = False) -> Verdict:
        """`rampart build`; it must be green."""
        with self._environment():
            verdict = DataMonitor(self.folder).build(select, full_refresh=full_refresh)
        assert (0, ()) == (int(verdict.exit_code), verdict.alerts)
        return verdict

    def scan(self) -> Verdict:
        with self._environment():
            return DataMonitor(self.folder).scan()

    def command(self, *arguments: str) -> str:
        """What `rampart ...` prints."""
        script = "from monitors.cli import main; main()"
        with self._environment():
            done = subprocess.run(
                [sys.executable, "-c", script, *arguments],
                cwd=self.folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True, text=True, check=True,
            )  # fmt: skip
        return done.stdout

    def execute(self, statement: str) -> None:
        with connect(self.target) as connection:
            connection.execute(statement.encode())

    def rows(self, query: str) -> list[Row]:
        with connect(self.target, read_only=True) as connection:
            return connection.execute(query.encode()).fetchall()

    def value(self, query: str) -> Any:
        return self.rows(query)[0][0]

    def versions(self, dimension: str, key: str, attributes: Iterable[str]) -> list[Version]:
        """What a dimension holds, as `history` says it; is_current must follow from valid_to."""
        found = self.rows(
            f"select {key}, array[{', '.join(attributes)}], valid_from, valid_to, is_deleted"
            f" from {dimension} where is_current = (valid_to is null)"
        )
        assert len(found) == self.value(f"select count(*) from {dimension}")
        return in_order(Version(row[0], tuple(row[1]), *row[2:]) for row in found)

    @contextmanager
    def _environment(self) -> Iterator[None]:
        """No configured warehouse but this one."""
        with pytest.MonkeyPatch.context() as patch:
            for name in [n for n in os.environ if n.startswith(("RAMPART_", "DBT_", "PG"))]:
                patch.delenv(name)
            patch.setenv("DBT_PROFILES_DIR", str(self.folder / "no-profiles"))
            for name, value in self.target.environment().items():
                patch.setenv(name, value)
            yield


def install(register: str, folder: Path, target: Target) -> Register:
    """Copy a project to where its packages.yml expects to be, beside a copy of the package."""
    project = folder / "tests" / "acceptance" / register
    for name in ("macros", "models/staging", "tests/generic"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copytree(ROOT / "package", folder / "package", symlinks=True)
    ignored = shutil.ignore_patterns("target", "logs", "landing", "dbt_packages", ".rampart")
    shutil.copytree(PROJECTS / register, project, ignore=ignored)
    (project / "landing").mkdir()
    install_packages(project, offline=True)
    return Register(project, target)
