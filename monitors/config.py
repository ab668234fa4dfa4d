"""`rampart.yml`: what arrives, how strict we are, how long we remember.

Every error names the file, the line and the key, what was found, and what is allowed.
"""

from __future__ import annotations

import os
from datetime import timedelta
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from monitors.config_file import explain, one_line, read_yaml, wrong
from monitors.config_types import (
    ColumnName,
    Day,
    Delimiter,
    Duration,
    Encoding,
    MomentFormat,
    Share,
    TableName,
    TimeZone,
    Weekday,
    refuse,
)
from monitors.errors import ConfigError, UsageError

FILE_NAME = "rampart.yml"
Environment = Literal["dev", "ci", "prod"]


class Section(BaseModel):
    """Unknown keys are errors: a typo must not switch a guard off."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Moment(Section):
    """Which moment a delivery speaks of (`_extracted_at`), read from its file name."""

    format: MomentFormat
    """strptime directives as they stand in the name, e.g. `%Y%m%dT%H%M%SZ`; UTC."""
    offset: Duration = timedelta(0)
    """Added to it: a file of one day's events speaks of the midnight that ends that day."""


class Extract(Section):
    """The feed states a picture at a moment."""

    kind: Literal["full", "partial"] = "full"
    partial: str | None = None
    """A pattern of file names that are partial although the feed is full."""
    key: str | None = None
    """The raw column that names an entity; in JSON Lines the key at the top of each record."""
    breaker: Share | None = None
    """A full extract in which a larger share of the keys before it is gone is refused."""

    @model_validator(mode="after")
    def _breaker_knows_the_key(self) -> Extract:
        if self.breaker is not None and self.key is None:
            raise ValueError("a breaker together with `key`, the raw column that names an entity")
        return self


class Freshness(Section):
    """How old the newest row may be, and by which clock."""

    within: Duration
    clock: Literal["wall", "data"] = "wall"
    """`data`: the newest moment that any delivery of the feed speaks of, not the time of day."""
    calendar: str | None = None
    """One of `calendars`: hours in which it is closed do not count. None: every hour counts."""


class Calendar(Section):
    """Days on which nothing is expected to arrive; each goes from midnight to midnight."""

    closed: tuple[Weekday, ...] = ()
    holidays: tuple[Day, ...] = ()
    timezone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _is_open_some_day(self) -> Calendar:
        if len(set(self.closed)) == 7:
            raise ValueError("a week with at least one open day")
        return self


ALWAYS_OPEN = Calendar()


class Thresholds(Section):
    """Limits that decide while loading. Limits of checks stand in the checks files."""

    dead_letters: Share = 0.5
    """A delivery of which a larger share cannot be read is refused. One document per file has no
    share: to a feed of `json` only a limit of its own applies."""


class Feed(Section):
    """One thing that arrives."""

    description: str = ""
    table: TableName
    format: Literal["csv", "jsonl", "json"]
    """`jsonl`: a JSON object per line. `json`: one per file, over as many lines as it likes."""
    path: Annotated[str, Field(min_length=1)]
    """A glob, relative to rampart.yml; `**` stands for any folders. A delivery is named by what
    follows the part without wildcards, so that equal names in two folders are two deliveries."""
    columns: tuple[ColumnName, ...] = ()
    """CSV columns that models rely on: the raw table has them even before the first file."""
    delimiter: Delimiter = ","
    encoding: Encoding = "utf-8"
    required: bool = True
    personal: tuple[str, ...] = ()
    """Columns, or keys of a JSON payload at any depth, that name a person: never shown."""
    moment: Moment | None = None
    extract: Extract | None = None
    freshness: Freshness | None = None
    thresholds: Thresholds | None = None

    @model_validator(mode="after")
    def _breaker_can_count(self) -> Feed:
        if self.extract is None or self.extract.breaker is None:
            return self
        if self.format == "json":
            raise ValueError("a breaker for csv and jsonl only: a json file is one document")
        if self.format == "csv" and self.columns and self.extract.key not in self.columns:
            known = ", ".join(self.columns)
            raise ValueError(f"an extract `key` among its columns: {known}")
        return self

    @property
    def is_json(self) -> bool:
        return self.format != "csv"

    @property
    def folder(self) -> Path:
        """Where it lands: the part of `path` without wildcards, relative like `path`."""
        parts = Path(self.path).expanduser().parts[:-1]
        return Path(*takewhile(lambda part: not set(part) & set("*?["), parts))

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

    environment: Environment = "dev"
    feeds: dict[str, Feed] = {}
    calendars: dict[str, Calendar] = {}
    thresholds: Thresholds = Thresholds()
    scan: Scan = Scan()
    run: Run = Run()
    retention: Retention = Retention()
    root: Annotated[Path, BeforeValidator(refuse)] = Field(default_factory=Path.cwd, exclude=True)

    def feed(self, name: str) -> Feed:
        if name not in self.feeds:
            known = ", ".join(sorted(self.feeds)) or "none"
            raise UsageError(f"feed `{name}` is not in {self.root / FILE_NAME}; known: {known}")
        return self.feeds[name]

    def calendar_of(self, name: str) -> Calendar:
        """The calendar by which a feed's age is counted."""
        freshness = self.feed(name).freshness
        return self.calendars.get(freshness.calendar or "" if freshness else "", ALWAYS_OPEN)

    def files_of(self, name: str) -> list[Path]:
        """What lies in the landing place of a feed, in order of name."""
        pattern = Path(self.feed(name).path).expanduser()
        folder = Path(pattern.anchor) if pattern.is_absolute() else self.root
        found = folder.glob(str(pattern.relative_to(folder) if pattern.is_absolute() else pattern))
        landing = self.root / self.feed(name).folder
        # what begins with a dot, a file or a folder on the way, somebody is still writing
        return sorted(
            path
            for path in found
            if not any(part[0] == "." for part in path.relative_to(landing).parts)
            and path.is_file()
        )


def load_config(path: Path | None = None) -> Config:
    """Read rampart.yml; `RAMPART_CONFIG` names another one, `RAMPART_ENVIRONMENT` wins over it.

    Raises ConfigError with one line: file:line, key, what was found, what is allowed.
    """
    path = Path(path or os.environ.get("RAMPART_CONFIG") or FILE_NAME)
    if path.is_dir():
        path = path / FILE_NAME
    file = read_yaml(path)
    if environment := os.environ.get("RAMPART_ENVIRONMENT"):
        if environment not in (allowed := get_args(Environment)):
            said = f"found `{environment}`, allowed is {' or '.join(allowed)}"
            raise ConfigError(one_line(f"RAMPART_ENVIRONMENT: {said}"))
        file.values["environment"] = environment
    try:
        config = Config.model_validate(file.values)
    except ValidationError as error:
        raise ConfigError(explain(error, file, Config)) from None
    for name, feed in config.feeds.items():
        wanted = feed.freshness.calendar if feed.freshness else None
        if wanted is not None and wanted not in config.calendars:
            known = ", ".join(config.calendars) or "none yet: there is no `calendars:`"
            keys = ("feeds", name, "freshness", "calendar")
            raise ConfigError(wrong(file, keys, wanted, f"one of `calendars`: {known}"))
    return config.model_copy(update={"root": path.parent.resolve()})
