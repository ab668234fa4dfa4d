"""`rampart.yml`: what arrives, how strict we are, how long we remember.

Every error names the file, the line and the key, what was found, and what is allowed.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from monitors.errors import ConfigError, UsageError

FILE_NAME = "rampart.yml"
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(second|minute|hour|day|week)s?", str(value).strip())
    if not found:
        raise ValueError("a duration like `6 hours` or `30 days`")
    return timedelta(seconds=float(found[1]) * _UNITS[found[2]])


def _table(value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*", value):
        raise ValueError("a lower-case `schema.table`")
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
TableName = Annotated[str, BeforeValidator(_table)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """Unknown keys are errors: a typo must not switch a guard off."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Moment(Section):
    """Which moment a delivery speaks of (`_extracted_at`), read from its file name."""

    format: str
    """strptime directives as they stand in the name, e.g. `%Y%m%dT%H%M%SZ`; UTC."""
    offset: Duration = timedelta(0)
    """Added to it: a file of one day's events speaks of the midnight that ends that day."""


class Extract(Section):
    """The feed states a picture at a moment."""

    kind: Literal["full", "partial"] = "full"
    partial: str | None = None
    """A pattern of file names that are partial although the feed is full."""


class Freshness(Section):
    """How old the newest row may be, and by which clock."""

    within: Duration
    clock: Literal["wall", "data"] = "wall"
    """`data`: the newest moment that any delivery of the feed speaks of, not the time of day."""


class Thresholds(Section):
    """Limits that decide while loading. Limits of checks stand in the checks files."""

    dead_letters: Share = 0.5
    """A delivery of which a larger share cannot be read is refused."""


class Feed(Section):
    """One thing that arrives."""

    description: str = ""
    table: TableName
    format: Literal["csv", "jsonl"]
    path: str
    """A glob, relative to rampart.yml."""
    columns: tuple[str, ...] = ()
    """CSV columns that models rely on: the raw table has them even before the first file."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    encoding: str = "utf-8"
    required: bool = True
    moment: Moment | None = None
    extract: Extract | None = None
    freshness: Freshness | None = None
    thresholds: Thresholds | None = None

    @model_validator(mode="after")
    def _encoding_exists(self) -> Feed:
        try:
            "".encode(self.encoding)
        except LookupError:
            raise ValueError(f"encoding {self.encoding!r} is not known to Python") from None
        return self

    @property
    def schema_name(self) -> str:
        return self.table.split(".")[0]

    @property
    def table_name(self) -> str:
        return self.table.split(".")[1]


class Scan(Section):
    """How checks run."""

    checks: tuple[str, ...] = ("monitors/checks/*.yml",)
    """Globs of SodaCL files, relative to rampart.yml."""
    statement_timeout: Duration = timedelta(minutes=10)


class Run(Section):
    """What `rampart run` does after its scan, unless a critical check is red."""

    then: tuple[str, ...] = ()
    """Commands, run in order in the folder of rampart.yml."""


class Retention(Section):
    """How long each kind of row is kept."""

    metrics: Duration = timedelta(days=400)
    logs: Duration = timedelta(days=90)
    dead_letters: Duration = timedelta(days=90)


class Config(Section):
    """The whole of rampart.yml, and the folder it lies in."""

    environment: Literal["dev", "ci", "prod"] = "dev"
    feeds: dict[str, Feed] = {}
    thresholds: Thresholds = Thresholds()
    scan: Scan = Scan()
    run: Run = Run()
    retention: Retention = Retention()
    root: Path = Field(default_factory=Path.cwd, exclude=True)

    def feed(self, name: str) -> Feed:
        if name not in self.feeds:
            known = ", ".join(sorted(self.feeds)) or "none"
            raise UsageError(f"feed `{name}` is not in {self.root / FILE_NAME}; known: {known}")
        return self.feeds[name]

    def files_of(self, name: str) -> list[Path]:
        """What lies in the landing place of a feed, in order of name."""
        pattern = Path(self.feed(name).path).expanduser()
        folder = Path(pattern.anchor) if pattern.is_absolute() else self.root
        found = folder.glob(str(pattern.relative_to(folder) if pattern.is_absolute() else pattern))
        # a name that begins with a dot is a file that somebody is still writing
        return sorted(path for path in found if path.is_file() and path.name[0] != ".")


def load_config(path: Path | None = None) -> Config:
    """Read rampart.yml; `RAMPART_CONFIG` names another one, `RAMPART_ENVIRONMENT` wins over it.

    Raises ConfigError with one line: file:line, key, what was found, what is allowed.
    """
    path = Path(path or os.environ.get("RAMPART_CONFIG") or FILE_NAME)
    if path.is_dir():
        path = path / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ConfigError(f"{path}: cannot be read ({reason}); needed is a rampart.yml") from None
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else f"{path}"
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{where}: not valid YAML: {problem}") from None
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}:1: found {_kind(values)}, allowed is a mapping of keys")
    if "root" in values:
        raise ConfigError(f"{path}:{_line(tree, ('root',))}: key `root`: unknown key")
    environment = os.environ.get("RAMPART_ENVIRONMENT")
    if environment:
        values["environment"] = environment
    try:
        return Config.model_validate({**values, "root": path.parent.resolve()})
    except ValidationError as error:
        raise ConfigError(_one_line(path, tree, error)) from None


def _one_line(path: Path, tree: Any, error: ValidationError) -> str:
    first = error.errors()[0]
    keys = tuple(part for part in first["loc"] if not str(part).startswith("function-"))
    key = ".".join(str(part) for part in keys)
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        said = f"unknown key; allowed: {', '.join(_allowed(keys[:-1]))}"
    elif first["type"] == "missing":
        said = "missing; it must be given"
    else:
        allowed = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        said = f"found {_kind(first['input'])}, allowed is {allowed}"
    return f"{path}:{_line(tree, keys)}: key `{key}`: {said}{more}"


def _allowed(keys: tuple[Any, ...]) -> list[str]:
    model: Any = Config
    for key in keys:
        if (model is Feed and key in Feed.model_fields) or (model is Config and key != "feeds"):
            annotation = model.model_fields[key].annotation
            parts = getattr(annotation, "__args__", (annotation,))
            model = next(part for part in parts if isinstance(part, type))
        elif key != "feeds":
            model = Feed
    return [name for name in model.model_fields if name != "root"]


def _line(node: Any, keys: tuple[Any, ...]) -> int:
    """The line of the deepest part of `keys` that stands in the file."""
    line = 1
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if pair[0].value == str(key)), None)
            if found is None:
                return line
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int):
            node = node.value[key]
            line = node.start_mark.line + 1
    return line


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    return "nothing" if value is None else f"`{value}`"
