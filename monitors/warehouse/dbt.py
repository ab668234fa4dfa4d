"""Running dbt: the profile it connects by, and its commands as child processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from monitors.log import get_logger
from monitors.warehouse.connection import state_folder
from monitors.warehouse.package_files import OWN_PACKAGE, OWN_PACKAGE_VARIABLE
from monitors.warehouse.target import Target, profile_name

log = get_logger("Dbt")

NO_TELEMETRY = {
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "False",
    "DO_NOT_TRACK": "1",
    "OTEL_SDK_DISABLED": "true",
}
"""Nothing leaves the machine unasked: dbt, Elementary and Soda."""
AUDIT = {"RAMPART_AUDIT": "1"}
"""With it, tests look at whole tables and not at what is new; see get_where_subquery.sql."""
RUN_ID_IN_ARTIFACTS = "RAMPART_RUN_ID"
"""Under this name the run that started dbt stands in `metadata.env` of the artifacts."""


def environment(target: Target, project_dir: Path) -> dict[str, str]:
    """The variables with which `dbt`, `soda` and `psql` reach the same database as Rampart."""
    return {
        **target.environment(),
        "DBT_PROFILES_DIR": str(write_profile(target, project_dir)),
        OWN_PACKAGE_VARIABLE: os.environ.get(OWN_PACKAGE_VARIABLE) or str(OWN_PACKAGE),
        **NO_TELEMETRY,
    }


def write_profile(
    target: Target,
    project_dir: Path,
    folder: Path | None = None,
    *,
    name: str | None = None,
    schema: str | None = None,
) -> Path:
    """A folder with a profiles.yml that names the target; secrets stay in the environment.

    The project's own profile and schema in `.rampart/profiles`, unless others are given.
    """
    output: dict[str, Any] = {
        "type": "postgres",
        "host": "{{ env_var('RAMPART_HOST') }}",
        "port": "{{ env_var('RAMPART_PORT') | as_number }}",
        "user": "{{ env_var('RAMPART_USER') }}",
        "password": "{{ env_var('RAMPART_PASSWORD', '') }}",
        "dbname": "{{ env_var('RAMPART_DBNAME') }}",
        "schema": schema or target.schema,
        "threads": 4,
        **dict(target.extra),
    }
    name = name or profile_name(project_dir)
    profile = {name: {"target": target.name, "outputs": {target.name: output}}}
    folder = folder or state_folder(project_dir) / "profiles"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "profiles.yml"
    text = "# Written by Rampart at every command; yours is ../../profiles.yml.\n"
    text += yaml.safe_dump(profile, sort_keys=False)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        staged = path.with_suffix(f".{os.getpid()}")
        staged.write_text(text, encoding="utf-8")
        staged.replace(path)
    return folder


def run_dbt(
    target: Target,
    project_dir: Path,
    *arguments: str,
    quiet: bool = True,
    variables: Mapping[str, str] | None = None,
) -> int:
    """Run one dbt command in the project; its exit code (0 fine, 1 failures, 2 unusable).

    Its own output goes to logs/dbt.log and, unless quiet, to stderr.
    """
    done = _start(target, project_dir, arguments, quiet, variables)
    for line in (done.stdout or "").splitlines():
        if line.strip():
            log.debug("dbt says", text=line.strip())
    if done.returncode == 2 or (done.returncode and not arguments):
        log.error("dbt could not start", text=_tail(done.stdout or ""))
    return done.returncode


def dbt_output(target: Target, project_dir: Path, *arguments: str) -> tuple[int, str]:
    """The exit code of one dbt command, and all that it said."""
    done = _start(target, project_dir, arguments, True, None)
    return done.returncode, done.stdout or ""


def _start(
    target: Target,
    project_dir: Path,
    arguments: Sequence[str],
    quiet: bool,
    variables: Mapping[str, str] | None,
) -> subprocess.CompletedProcess[str]:
    quietly = ["--quiet"] if quiet else []
    child = ["-m", "monitors.warehouse.dbt_child", str(os.getpid())]
    command = [sys.executable, *child, *quietly, *arguments]
    log.debug("dbt starts", arguments=list(arguments))
    return subprocess.run(
        command,
        cwd=project_dir,
        env={**os.environ, **environment(target, project_dir), **(variables or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if quiet else sys.stderr.fileno(),
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def stamp(run_id: str) -> dict[str, str]:
    """The variable that makes dbt write the run into its artifacts."""
    return {f"DBT_ENV_CUSTOM_ENV_{RUN_ID_IN_ARTIFACTS}": run_id}


def target_folder(project_dir: Path) -> Path:
    """Where dbt writes its artifacts: DBT_TARGET_PATH over `target-path` over `target`."""
    named = os.environ.get("DBT_TARGET_PATH") or _project(project_dir).get("target-path")
    return project_dir / str(named or "target")


def project_name(project_dir: Path) -> str | None:
    """The name in dbt_project.yml; None where there is none."""
    name = _project(project_dir).get("name")
    return str(name) if name else None


def _project(project_dir: Path) -> dict[str, Any]:
    try:
        text = (project_dir / "dbt_project.yml").read_text(encoding="utf-8")
        found = yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError):
        return {}  # dbt itself says what is wrong with it
    return found if isinstance(found, dict) else {}


def _tail(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-4:])
