"""The dbt packages of a project: from the package hub, or Rampart's stand-ins where it is away.

`dbt deps` empties its folder before it fetches, also when it then fails. So whatever is there is
moved aside first and comes back when anything goes wrong; what a killed run left is put right by
the next one. Stand-ins are recognised by their version, `0.0.0+rampart`.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from monitors.warehouse.package_files import (
    OWN_PACKAGE,
    OWN_PACKAGE_VARIABLE,
    Named,
    PackagesError,
    install_path,
    is_complete,
    is_real,
    is_stand_in,
    named_packages,
)

STAND_INS = Path(__file__).with_name("dbt_packages")
PROBE_SECONDS = 3.0
WORK_FOLDER = "__rampart"  # dbt takes no folder that begins with two underscores for a package


@dataclass(frozen=True)
class PackagesReport:
    """Where the packages of a project are from; `message` is the one line to print."""

    source: Literal["hub", "stand-ins", "present"]
    packages: tuple[str, ...]
    message: str


def hub_is_reachable() -> bool:
    """Whether the package hub of dbt answers within three seconds (proxy variables count)."""
    import requests  # type: ignore[import-untyped, unused-ignore]
    from dbt.clients.registry import DEFAULT_REGISTRY_BASE_URL

    answers: list[bool] = []

    def ask() -> None:
        with suppress(requests.RequestException, ValueError):
            url = f"{DEFAULT_REGISTRY_BASE_URL}api/v1/index.json"
            with requests.get(url, timeout=PROBE_SECONDS, stream=True) as answer:
                answers.append(bool(answer.ok))

    # looking up a host name knows no timeout, so a thread does it that can be left behind
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    return answers == [True]


def install_packages(
    project_dir: Path,
    *,
    offline: bool = False,
    timeout: float = 60.0,
    reachable: Callable[[], bool] = hub_is_reachable,
) -> PackagesReport:
    """Put every package that the project names into place, from the hub unless `offline`.

    Real packages that are present and complete are never replaced by stand-ins. Raises
    PackagesError when a package is neither to be had nor to be stood in for.
    """
    project_dir = project_dir.resolve()
    install, named = install_path(project_dir), named_packages(project_dir)
    with _alone(install):
        _recover(install, named)
        why: str | None
        if all(local is not None for local in named.values()):
            why = "nothing to fetch"
        elif offline:
            why = "offline"
        elif not reachable():
            why = "the dbt package hub cannot be reached"
        else:
            why = _fetch(project_dir, install, named, timeout)
        if why is None:
            message = f"packages: {_listed(named)} from the dbt package hub"
            return PackagesReport("hub", tuple(named), message)
        _fill(install, named, why)
        return _report(install, named, f" ({why})")


def ensure_packages(project_dir: Path) -> str | None:
    """Bring what is not there yet; the line to print, or None when nothing was missing.

    Whatever is installed is used: dbt itself asks for no more than one folder per package named.
    """
    project_dir = project_dir.resolve()
    install, named = install_path(project_dir), named_packages(project_dir)
    if is_complete(install, named):
        return None
    return install_packages(project_dir).message


def packages_status(project_dir: Path) -> PackagesReport | None:
    """What is in place, without changing anything; None when nothing is."""
    project_dir = project_dir.resolve()
    install, named = install_path(project_dir), named_packages(project_dir)
    there = [n for n in named if is_stand_in(install / n) or is_real(install, n)]
    if is_complete(install, named):
        return _report(install, there, "" if named else " (packages.yml names none)")
    missing = _listed(n for n in named if n not in there)
    return (
        _report(install, there, f"; not in place: {missing}: type `rampart deps`")
        if there
        else None
    )


def _report(install: Path, names: Iterable[str], note: str) -> PackagesReport:
    stand_ins = [name for name in names if is_stand_in(install / name)]
    real = [name for name in names if name not in stand_ins]
    if not stand_ins:
        return PackagesReport("present", tuple(names), f"packages: {_listed(real)} present{note}")
    message = f"packages: Rampart's stand-ins for {_listed(stand_ins)}"
    message += f", the real {_listed(real)}" if real else ""
    message += "; the Elementary report needs the real one" if "elementary" in stand_ins else ""
    return PackagesReport("stand-ins", tuple(names), message + note)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _content(folder: Path) -> dict[Path, bytes]:
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@contextmanager
def _alone(install: Path) -> Iterator[None]:
    """One at a time: two that move the same folders would take them from each other."""
    install.mkdir(parents=True, exist_ok=True)
    handle = os.open(install.parent, os.O_RDONLY)
    try:
        with suppress(OSError):  # a network drive may know no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _recover(install: Path, named: Named) -> None:
    """Put right what a run left that was killed in the middle."""
    if _aside(install).is_dir():
        _settle(install, keep_new=all(is_real(install, name) for name in named))
    shutil.rmtree(install / WORK_FOLDER, ignore_errors=True)


def _aside(install: Path) -> Path:
    return install.with_name(f".{install.name}.aside")


def _settle(install: Path, *, keep_new: bool) -> None:
    """End a fetch: drop what was moved aside, or put it back. Every step may be the last one."""
    if keep_new:
        _aside(install).rename(install / WORK_FOLDER)
        shutil.rmtree(install / WORK_FOLDER, ignore_errors=True)
    else:
        shutil.rmtree(install, ignore_errors=True)
        _aside(install).rename(install)


def _fetch(project_dir: Path, install: Path, named: Named, timeout: float) -> str | None:
    """Let `dbt deps` do it. Returns why that failed, with everything as it was before."""
    try:
        install.rename(_aside(install))
    except OSError as error:
        return f"{install}, which `dbt deps` empties, cannot be moved aside: {error.strerror}"
    failure: str | None = "interrupted"
    try:
        failure = _dbt_deps(project_dir, timeout)
        missing = [name for name in named if not is_real(install, name)]
        if failure is None and missing:
            failure = f"`dbt deps` did not bring {_listed(missing)}"
    finally:
        _settle(install, keep_new=failure is None)
    return failure


def _dbt_deps(project_dir: Path, timeout: float) -> str | None:
    beside = Path(sys.executable).with_name("dbt")
    dbt = [str(beside)] if beside.exists() else [sys.executable, "-m", "dbt.cli.main"]
    quiet = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "GIT_TERMINAL_PROMPT": "0"}
    with subprocess.Popen(
        [*dbt, "deps", "--project-dir", str(project_dir), "--profiles-dir", str(project_dir)],
        cwd=project_dir,
        env={OWN_PACKAGE_VARIABLE: str(OWN_PACKAGE), **os.environ, **quiet},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # so that a git it started ends with it
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            return f"`dbt deps` took longer than {timeout:g} s"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    said = re.sub(r"\x1b\[[0-9;]*m|(?<=//)[^/@\s]+@", "", output).strip().splitlines()
    return None if process.returncode == 0 else f"`dbt deps` failed: {_listed(said[-1:])[:200]}"


def _fill(install: Path, named: Named, why: str) -> None:
    """Link the local packages, and put a stand-in where no real package is."""
    wanted = [name for name, at in named.items() if at is None and not is_real(install, name)]
    for name in wanted:
        if not (STAND_INS / name / "dbt_project.yml").is_file():
            raise PackagesError(
                f"the dbt package {name} is not installed and Rampart has no stand-in for it "
                f"({why}): connect and type `rampart deps`, or copy the package to {install / name}"
            )
    work = install / WORK_FOLDER
    work.mkdir()
    try:
        for name, local in named.items():
            target, staged = install / name, work / name
            if local is not None and not (target.is_symlink() and target.resolve() == local):
                staged.symlink_to(os.path.relpath(local, install.resolve()))
            elif name in wanted and _content(target) != _content(STAND_INS / name):
                shutil.copytree(STAND_INS / name, staged)
            else:
                continue
            if os.path.lexists(target):
                target.rename(work / f"{name}.old")
            staged.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
