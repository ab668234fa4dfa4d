"""What the files of a dbt project say about its packages: which it names, which are in place."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml

from monitors.errors import RampartError

MARKER = "+rampart"
"""How the version of every stand-in ends."""

OWN_PACKAGE = Path(__file__).with_name("rampart_package").resolve()
"""Rampart as a dbt package: in a wheel its files, in a checkout a link to package/."""
OWN_PACKAGE_VARIABLE = "RAMPART_DBT_PACKAGE"
"""With it packages.yml names that folder: `local: "{{ env_var('RAMPART_DBT_PACKAGE') }}"`."""

Named = dict[str, Path | None]  # package name -> the folder of a `local:` one, else None


class PackagesError(RampartError):
    """The packages that a project names cannot be put in place."""


def _read(path: Path) -> dict[str, Any]:
    """A YAML file of dbt, {} when there is none; `env_var` is rendered as dbt does it."""
    if not path.is_file():
        return {}
    try:
        content = _render(yaml.safe_load(path.read_text(encoding="utf-8")) or {}, path)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise PackagesError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise PackagesError(f"{path}: keys and values expected, found {str(content)[:50]!r}")
    return content


def _render(value: Any, path: Path) -> Any:
    if isinstance(value, dict):
        keys = ("packages", "package", "local", "packages-install-path")
        return {k: _render(v, path) if k in keys else v for k, v in value.items()}
    if isinstance(value, list):
        return [_render(item, path) for item in value]
    if not isinstance(value, str) or "{{" not in value:
        return value
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.sandbox import SandboxedEnvironment

    def env_var(name: str, default: str | None = None) -> str:
        own = str(OWN_PACKAGE) if name == OWN_PACKAGE_VARIABLE else None
        found = os.environ.get(name, default if own is None else own)
        if found is None:
            raise PackagesError(f"{path} needs the environment variable {name}, which is not set")
        return found

    try:
        template = SandboxedEnvironment(undefined=StrictUndefined).from_string(value)
        return template.render(env_var=env_var)
    except TemplateError as error:
        raise PackagesError(f"{path}: `{value}` cannot be rendered: {error}") from None


def install_path(project_dir: Path) -> Path:
    project = _read(project_dir / "dbt_project.yml")
    if not project:
        raise PackagesError(f"{project_dir} is no dbt project: it has no dbt_project.yml")
    return project_dir / str(project.get("packages-install-path", "dbt_packages"))


def _entries(folder: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    for path in (folder / "packages.yml", folder / "dependencies.yml"):
        found = _read(path).get("packages") or []
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise PackagesError(f"{path}: `packages` must be a list of `package: ...` and the like")
        entries += found
    return entries


def named_packages(project_dir: Path) -> Named:
    """The packages that packages.yml names, and those that its `local:` ones name in turn."""
    named: Named = {}
    to_read = [project_dir]
    for folder in to_read:
        for entry in _entries(folder):
            if "local" not in entry:
                named.setdefault(_folder_name(entry))
                continue
            # dbt takes the path from the root project, for the packages of a package as well
            local = (project_dir / str(entry["local"])).resolve()
            name = _read(local / "dbt_project.yml").get("name")
            if not name:
                raise PackagesError(f"{folder} names `local: {entry['local']}`: no project there")
            named[str(name)] = local
            if local not in to_read:
                to_read.append(local)
    return named


def _folder_name(entry: dict[str, Any]) -> str:
    address = next((entry[k] for k in ("name", "subdirectory", "package", "git") if k in entry), "")
    return re.split(r"[/:]", str(address).rstrip("/"))[-1].removesuffix(".git").replace("-", "_")


def is_stand_in(folder: Path) -> bool:
    return str(_read(folder / "dbt_project.yml").get("version", "")).endswith(MARKER)


def is_real(install: Path, name: str) -> bool:
    """Whether it is there, whole, and so are the packages that it needs itself."""
    folder = install / name
    project = _read(folder / "dbt_project.yml")
    if not project.get("name") or is_stand_in(folder):
        return False
    parts = [*(project.get("macro-paths") or ["macros"]), *(project.get("model-paths") or [])]
    whole = any(next((folder / part).rglob("*.sql"), None) for part in parts)
    needed = (_folder_name(entry) for entry in _entries(folder))
    return folder.is_symlink() or (whole and all(is_real(install, need) for need in needed))


def is_complete(install: Path, named: Named) -> bool:
    """Whether every named package is there. The folder of one that comes from git is called by its
    project and not by its address, so any further project in the folder may be that one."""
    absent = [name for name in named if not (is_real(install, name) or is_stand_in(install / name))]
    others = [path for path in install.glob("*/dbt_project.yml") if path.parent.name not in named]
    return len(absent) <= len(others) and all(named[name] is None for name in absent)
