"""`rampart doctor`: what is wrong with a set-up, and how to mend it."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from monitors.commands.channels import faults_of, routing_text, unheard_of
from monitors.config import Config, load_config
from monitors.errors import ConfigError, RampartError
from monitors.scan.checks_files import find_files, read_checks
from monitors.store.migrate import available
from monitors.warehouse.connection import connect, resolve_target, state_folder
from monitors.warehouse.packages import packages_status
from monitors.warehouse.target import Target

FREE_BYTES = 1024**3
SUPPORTED = range(15, 19)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    is_fine: bool
    said: str
    is_warning: bool = False
    """It works, and is probably not what was meant."""

    @property
    def line(self) -> str:
        word = "warn " if self.is_warning else "ok   " if self.is_fine else "WRONG"
        return f"{word} {self.what}: {self.said}"


def examine(config_path: Path | None) -> list[Finding]:
    """Every part of the set-up, in the order in which one needs the other."""
    findings = [_python(), _versions()]
    try:
        config = load_config(config_path)
    except ConfigError as error:
        return [*findings, *(Finding("configuration", False, each) for each in error.faults)]
    feeds = ", ".join(config.feeds) or "no feed: `rampart load` has nothing to do"
    findings.append(Finding("configuration", True, f"{config.root}/rampart.yml: {feeds}"))
    findings += [_dbt_project(config), _packages(config), *_checks(config)]
    findings += [*_channels(config), _space(config)]
    try:
        target = resolve_target(config.root)
        findings.append(Finding("database", True, f"{target} (from {target.origin})"))
        findings += _database(target)
    except RampartError as error:
        findings.append(Finding("database", False, str(error)))
    return findings


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    fine = (3, 10) <= sys.version_info[:2] <= (3, 12)
    return Finding("python", fine, found if fine else f"{found}; needed is 3.10 to 3.12")


def _versions() -> Finding:
    wanted = {"dbt-core": "1.11.", "dbt-postgres": "1.11.", "soda-core-postgres": "3.5.6"}
    for name, start in wanted.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            return Finding(
                "packages", False, f"{name} is missing: pip install -r requirements.lock"
            )
        if not found.startswith(start):
            said = f"{name} is {found}, needed is {start}*: pip install -r requirements.lock"
            return Finding("packages", False, said)
    return Finding("packages", True, ", ".join(f"{name} {version(name)}" for name in wanted))


def _dbt_project(config: Config) -> Finding:
    path = config.root / "dbt_project.yml"
    said = (
        str(path) if path.is_file() else f"{path} is missing: `rampart build` needs a dbt project"
    )
    return Finding("dbt project", path.is_file(), said)


def _packages(config: Config) -> Finding:
    try:
        status = packages_status(config.root)
    except RampartError as error:
        return Finding("dbt packages", False, str(error))
    if status is None:
        return Finding("dbt packages", False, "not there: run `rampart deps`")
    return Finding("dbt packages", True, status.message)


def _checks(config: Config) -> list[Finding]:
    """How many there are, each that cannot be evaluated, and each that says what nobody means."""
    try:
        checks = read_checks(find_files(config.root, config.scan.checks))
    except RampartError as error:
        return [Finding("checks", False, str(error))]
    where = ", ".join(config.scan.checks)
    count = len(checks.definitions) - len(checks.problems)
    said = f"{count} in {where}" if count else f"none in {where}; a scan without checks is red"
    return [
        Finding("checks", count > 0, said),
        *(Finding("checks", False, each.problem) for each in checks.problems),
        *(Finding("checks", True, str(each), is_warning=True) for each in checks.warnings),
    ]


def _channels(config: Config) -> list[Finding]:
    """Each channel as far as it can be tried without sending, and what nobody would hear of."""
    if not config.channels:
        said = "none: `!! ALERT` lines on stderr are all that tells of a red check"
        return [Finding("channels", True, said)]
    findings = [
        Finding(f"channel {name}", fault is None, fault or routing_text(config.channels[name]))
        for name, fault in faults_of(config).items()
    ]
    if unheard := unheard_of(config):
        findings.append(Finding("channels", False, unheard))
    return findings


def _space(config: Config) -> Finding:
    folder = state_folder(config.root)
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    said = f"{free / 1024**3:.1f} GiB free at {existing}"
    return Finding("disk", free > FREE_BYTES, said if free > FREE_BYTES else f"only {said}")


def _database(target: Target) -> list[Finding]:
    with connect(target) as connection:
        server = connection.info.server_version // 10000
        fine = server in SUPPORTED
        said = f"PostgreSQL {server}" + ("" if fine else "; supported are 15 to 18")
        findings = [Finding("server version", fine, said)]
        row = connection.execute(
            "select has_database_privilege(current_database(), 'create'),"
            " to_regclass('monitoring.migrations') is not null"
        ).fetchone()
        may_create, has_store = row or (False, False)
        if has_store:
            done = connection.execute("select max(number) from monitoring.migrations").fetchone()
            newest = available()[-1][0]
            current = bool(done and done[0] == newest)
            said = f"migration {done[0] if done else 0} of {newest}"
            findings.append(
                Finding("store", current, said if current else f"{said}: run `rampart db migrate`")
            )
        elif may_create:
            findings.append(Finding("store", True, "not there yet; the first command creates it"))
        else:
            said = (
                f"not there, and {target.user} may not create it: run `rampart db migrate` as owner"
            )
            findings.append(Finding("store", False, said))
    return findings
