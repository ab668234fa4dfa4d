"""Elementary's report of the builds, made from what is installed: no download, no telemetry.

Elementary has two halves. The dbt package writes what each build did into the schema `elementary`;
the Python package reads that and makes one HTML file. Neither comes with Rampart.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

import psycopg
import yaml

from monitors.errors import PipelineFailed, UsageError
from monitors.log import get_logger, masked
from monitors.warehouse.connection import connect, state_folder
from monitors.warehouse.dbt import environment, write_profile
from monitors.warehouse.package_files import install_path, is_real
from monitors.warehouse.target import Target

log = get_logger("Elementary")

VERSION = "0.25.1"
"""Of both halves; Elementary takes no other pair."""
SWITCH = "RAMPART_ELEMENTARY"
NEEDED = ("elementary", "dbt_utils")
SEAL = (
    '<meta http-equiv="Content-Security-Policy" content="default-src'
    " 'unsafe-inline' 'unsafe-eval' data: blob:\">\n"
)
"""What stands in the file itself may run and be shown, and nothing else."""
REPORT = Path("target") / "elementary_report.html"


def make_report(target: Target, project_dir: Path, file: Path | None = None) -> Path:
    """Write the report to `file`, `target/elementary_report.html` of the project by default.

    Raises UsageError, in one line with what to type, when a half of Elementary is missing or no
    build has written anything for it; PipelineFailed when Elementary itself fails.
    """
    lacking = missing(project_dir) or _nothing_written(target)
    if lacking:
        raise UsageError(f"no Elementary report: {'; '.join(lacking)}")
    path = (file or project_dir / REPORT).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = state_folder(project_dir).resolve() / "elementary"
    _run(target, project_dir, folder, path)
    return path


def missing(project_dir: Path) -> list[str]:
    """What is not installed, each with what to type; empty when both halves are there."""
    lacking = []
    install = install_path(project_dir)
    found = _package_version(install)
    if not is_real(install, "elementary"):
        lacking.append(
            "the dbt package elementary is not installed: type `rampart deps` where the package hub"
            f" can be reached, or copy it and dbt_utils to {install}"
        )
    elif found != VERSION:
        lacking.append(f"the dbt package elementary is {found}, not {VERSION}: type `rampart deps`")
    try:
        found = version("elementary-data")
    except PackageNotFoundError:
        found = None
    if found != VERSION:
        state = f"is {found}" if found else "is not installed"
        lacking.append(
            f"the Python package elementary-data {state}: type"
            f" `{sys.executable} -m pip install elementary-data=={VERSION}`"
        )
    return lacking


def _package_version(install: Path) -> str | None:
    path = install / "elementary" / "dbt_project.yml"
    if not path.is_file():
        return None
    return str(yaml.safe_load(path.read_text(encoding="utf-8")).get("version"))


def _nothing_written(target: Target) -> list[str]:
    with connect(target, read_only=True) as connection:
        try:
            sql = f"select 1 from {_schema(target)}.dbt_invocations limit 1"
            written = connection.execute(sql.encode()).fetchone()
        except psycopg.errors.UndefinedTable:
            written = None
    return [] if written else [f"no build wrote for it yet: type `{SWITCH}=1 rampart build`"]


def _schema(target: Target) -> str:
    return target.custom_schema("elementary")


def _run(target: Target, project_dir: Path, folder: Path, path: Path) -> None:
    project = _own_project(folder, install_path(project_dir))
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config" / "config.yml").write_text("anonymous_usage_tracking: false\n")
    profiles = write_profile(
        target, project_dir, folder / "profiles", name="elementary", schema=_schema(target)
    )
    command = [
        sys.executable, "-m", "monitors.show.edr", str(project),
        "--config-dir", str(folder / "config"), "--profiles-dir", str(profiles),
        "--target-path", str(folder / "target"), "--file-path", str(path),
        "--open-browser", "false", "--project-name", project_dir.resolve().name,
    ]  # fmt: skip
    variables = {**os.environ, **environment(target, project_dir)}
    variables.pop(SWITCH, None)
    done = subprocess.run(
        command,
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    said = masked(done.stdout)
    (folder / "edr.log").write_text(said, encoding="utf-8")
    if done.returncode or not path.is_file():
        last = next((line for line in reversed(said.splitlines()) if line.strip()), "nothing said")
        raise PipelineFailed(
            f"Elementary could not make its report: {last.strip()[:200]};"
            f" all it said is in {folder / 'edr.log'}"
        )
    path.write_text(sealed(path.read_text(encoding="utf-8")), encoding="utf-8")
    log.info("report written", path=str(path))


def sealed(html: str) -> str:
    """The page with everything shut off that would reach out when somebody opens it.

    As Elementary writes it, it asks a font host; the code in it could ask others.
    """
    return SEAL + re.sub(r"<link\b[^>]*https?://[^>]*>", "", html)


def _own_project(folder: Path, install: Path) -> Path:
    """A copy of the dbt project that Elementary runs, with our packages in it: nothing to fetch."""
    found = distribution("elementary-data").locate_file("elementary/monitor/dbt_project")
    source = Path(str(found))
    project = folder / "project"
    shutil.rmtree(project, ignore_errors=True)
    keep_out = shutil.ignore_patterns("dbt_packages", "target", "logs")
    shutil.copytree(source, project, ignore=keep_out)
    (project / "dbt_packages").mkdir()
    for name in NEEDED:
        (project / "dbt_packages" / name).symlink_to((install / name).resolve())
    return project
