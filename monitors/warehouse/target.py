"""Which database: `RAMPART_*` variables over profiles.yml over the embedded Postgres."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from monitors.errors import ConfigError
from monitors.log import hide

Origin = Literal["environment", "profiles.yml", "embedded"]
PLAIN_SCHEMA_TARGETS = ("prod", "embedded", "ci")
"""Targets in which schema names stand as they are; any other gets its own prefix."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the warehouse is. `extra`: further keys of the dbt profile (sslmode, threads)."""

    host: str
    port: int
    user: str
    dbname: str
    origin: Origin
    password: str = field(default="", repr=False)
    name: str = "prod"
    schema: str = "rampart"
    extra: tuple[tuple[str, Any], ...] = ()

    @property
    def is_embedded(self) -> bool:
        return self.origin == "embedded"

    def custom_schema(self, name: str) -> str:
        """What the macro generate_schema_name makes of a schema name for this target."""
        return name if self.name in PLAIN_SCHEMA_TARGETS else f"{self.schema}_{name}"

    def __str__(self) -> str:
        where = "embedded Postgres" if self.is_embedded else f"{self.host}:{self.port}"
        return f"{where}, database {self.dbname}, user {self.user}"

    def environment(self) -> dict[str, str]:
        """The variables that profiles.yml and the Soda configuration read."""
        return {
            "RAMPART_HOST": self.host,
            "RAMPART_PORT": str(self.port),
            "RAMPART_USER": self.user,
            "RAMPART_PASSWORD": self.password,
            "RAMPART_DBNAME": self.dbname,
        }


def configured_target(project_dir: Path) -> Target | None:
    """The database that somebody configured, or None: then the embedded one is meant.

    Raises ConfigError when what is configured cannot be used.
    """
    output, name = _profile_output(project_dir)
    env = os.environ
    if not output and not env.get("RAMPART_HOST"):
        return None
    # a key without a value is a key that was not given
    output = {key: value for key, value in output.items() if value is not None}
    password = _password_from_environment() or str(output.get("password", output.get("pass", "")))
    hide(password)
    for key, value in output.items():
        if "pass" in key:
            hide(str(value))
    port = env.get("RAMPART_PORT") or str(output.get("port", 5432))
    if not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        where = "RAMPART_PORT" if env.get("RAMPART_PORT") else "profiles.yml: port"
        raise ConfigError(f"{where}: found `{port}`, allowed is a port number like 5432")
    known = {"type", "host", "port", "user", "password", "pass", "dbname", "database", "schema"}
    return Target(
        host=env.get("RAMPART_HOST") or str(output.get("host", "localhost")),
        port=int(port),
        user=env.get("RAMPART_USER") or str(output.get("user", "postgres")),
        password=password,
        dbname=env.get("RAMPART_DBNAME")
        or str(output.get("dbname", output.get("database", "postgres"))),
        origin="profiles.yml" if output else "environment",
        name=name,
        schema=str(output.get("schema", "rampart")),
        extra=tuple((key, value) for key, value in output.items() if key not in known),
    )


def profile_name(project_dir: Path) -> str:
    """The profile that dbt_project.yml asks for."""
    path = project_dir / "dbt_project.yml"
    try:
        project = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return str(project.get("profile") or "rampart")
    except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or "not valid YAML"
        raise ConfigError(f"{path}: cannot be read ({reason}); needed is a dbt project") from None


def _password_from_environment() -> str:
    path = os.environ.get("RAMPART_PASSWORD_FILE")
    if not path:
        return os.environ.get("RAMPART_PASSWORD", "")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ConfigError(f"RAMPART_PASSWORD_FILE: {path} cannot be read ({reason})") from None


def _profile_output(project_dir: Path) -> tuple[dict[str, Any], str]:
    """The chosen output of the profile, rendered; empty when there is no profile for us."""
    wanted = os.environ.get("RAMPART_TARGET")
    path = next((path for path in _profile_files(project_dir) if path.is_file()), None)
    if path is None:
        return {}, wanted or "prod"
    profile = _read_profiles(path).get(profile_name(project_dir))
    if not isinstance(profile, dict):
        return {}, wanted or "prod"
    outputs = profile.get("outputs") or {}
    name = wanted or str(_render(profile.get("target", "default")))
    if not isinstance(outputs, dict) or not isinstance(outputs.get(name), dict):
        known = ", ".join(sorted(map(str, outputs))) or "none"
        raise ConfigError(f"{path}: target `{name}` is not among the outputs; known: {known}")
    output = {key: _render(value) for key, value in outputs[name].items()}
    if output.get("type") != "postgres":
        raise ConfigError(f"{path}: type: found `{output.get('type')}`, allowed is postgres")
    return output, name


def _profile_files(project_dir: Path) -> list[Path]:
    """In dbt's order: the named folder alone, or else the project and then the home folder."""
    if os.environ.get("DBT_PROFILES_DIR"):
        return [Path(os.environ["DBT_PROFILES_DIR"]) / "profiles.yml"]
    return [project_dir / "profiles.yml", Path.home() / ".dbt" / "profiles.yml"]


def _read_profiles(path: Path) -> dict[str, Any]:
    try:
        profiles = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or "not valid YAML"
        raise ConfigError(f"{path}: cannot be read ({reason})") from None
    return profiles if isinstance(profiles, dict) else {}


def _render(value: Any) -> Any:
    """Profiles may use env_var() and dbt's as_* filters; nothing else is needed of Jinja here."""
    if not isinstance(value, str) or "{{" not in value:
        return value
    from jinja2 import Environment, TemplateError

    environment = Environment(autoescape=False)  # noqa: S701 - YAML values, not HTML
    environment.filters |= {
        "as_number": lambda text: int(text) if str(text).isdigit() else float(text),
        "as_bool": lambda text: str(text).lower() == "true",
        "as_text": str,
        "as_native": lambda text: text,
    }
    try:
        return environment.from_string(value).render(env_var=_env_var)
    except (TemplateError, TypeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise ConfigError(f"profiles.yml: `{value}` cannot be rendered: {said}") from None


def _env_var(name: str, default: str | None = None) -> str:
    value = os.environ.get(name, default)
    if value is None:
        raise ConfigError(f"profiles.yml: the variable {name} is asked for and not set")
    return value
