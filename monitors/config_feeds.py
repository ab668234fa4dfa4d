"""`feeds:` and `calendars:` of rampart.yml: what arrives, in which form, how often."""

from __future__ import annotations

from datetime import timedelta
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from monitors.config_landing import BARE, Landing
from monitors.config_types import (
    ColumnName,
    Day,
    Delimiter,
    Duration,
    Encoding,
    MomentFormat,
    Section,
    Share,
    TableName,
    TimeZone,
    Weekday,
)


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
    """A glob, relative to rampart.yml, or a URL that fsspec knows (`s3://bucket/folder/*.csv`);
    `**` stands for any folders. A delivery is named by what follows the part without wildcards, so
    that equal names in two folders are two deliveries."""
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
    landing: Landing = BARE

    @field_validator("path")
    @classmethod
    def _url_is_plain(cls, path: str) -> str:
        if "://" not in path:
            return path
        if "@" in urlsplit(path).netloc:
            raise ValueError("a URL without a user or password: they come from the environment")
        if place_of(path)[0].endswith("://"):
            raise ValueError("a URL with a fixed part, like s3://bucket/folder/*.csv")
        return path

    @model_validator(mode="after")
    def _only_folders_are_mounted(self) -> Feed:
        if self.landing.mount and self.is_remote:
            raise ValueError("a folder of this machine for `landing.mount: true`, and no URL")
        return self

    @model_validator(mode="after")
    def _sequence_is_in_the_names(self) -> Feed:
        sequence = self.landing.sequence
        needed = {"day": "%d", "hour": "%H"}.get(sequence or "", "")
        if sequence and (self.moment is None or needed not in self.moment.format):
            raise ValueError(f"a `moment` with {needed} for `landing.sequence: {sequence}`")
        return self

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
    def is_remote(self) -> bool:
        """Its files are read through fsspec, not as files of this machine."""
        return "://" in self.path

    @property
    def schema_name(self) -> str:
        return self.table.split(".")[0]

    @property
    def table_name(self) -> str:
        return self.table.split(".")[1]


def place_of(path: str) -> tuple[str, str]:
    """(the part without wildcards, the pattern below it) of a feed's path."""
    if "://" in path:
        scheme, _, rest = path.partition("://")
        parts: tuple[str, ...] = tuple(rest.split("/"))
        fixed = tuple(takewhile(lambda part: not set(part) & set("*?["), parts[:-1]))
        return f"{scheme}://{'/'.join(fixed)}", "/".join(parts[len(fixed) :])
    parts = Path(path).expanduser().parts
    fixed = tuple(takewhile(lambda part: not set(part) & set("*?["), parts[:-1]))
    return str(Path(*fixed)), "/".join(parts[len(fixed) :])
