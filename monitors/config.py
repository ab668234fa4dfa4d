"""`rampart.yml`: what arrives, how strict we are, how long we remember.

Every error names the file, the line and the key, what was found, and what is allowed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, ValidationError

from monitors.config_alerts import Alerts, Channels, Heartbeat
from monitors.config_exports import Export
from monitors.config_feeds import ALWAYS_OPEN, Calendar, Feed, Thresholds
from monitors.config_file import YamlFile, explain, one_line, read_yaml, wrong
from monitors.config_serve import Serve
from monitors.config_streams import Stream
from monitors.config_types import Duration, OptionalFile, Section, TableName, refuse
from monitors.config_volumes import Volume
from monitors.errors import ConfigError, UsageError

FILE_NAME = "rampart.yml"
Environment = Literal["dev", "ci", "prod"]


class Scan(Section):
    """How checks run."""

    checks: tuple[str, ...] = ("monitors/checks/*.yml", "monitors/checks/history/*.yml")
    """Globs of SodaCL files, relative to rampart.yml."""
    statement_timeout: Duration = timedelta(minutes=10)
    parallel: Annotated[int, Field(ge=1, le=32)] = 4
    """So many datasets are looked at side by side."""
    within: Duration | None = None
    """A scan that comes later than this after the one before says so: nobody has watched."""


class Run(Section):
    """What `rampart run` does after its scan."""

    then: tuple[str, ...] = ()
    """Commands, run in order in the folder of rampart.yml, unless a critical check is red."""
    report: OptionalFile = Path("target/rampart_report.html")
    """Where the report goes at the end, relative to rampart.yml; `off` writes none."""
    on_red_landing: Literal["stop", "continue"] = "stop"
    """Whether dbt builds although a required feed is red at its landing place."""
    lock_timeout: Duration = timedelta(minutes=10)
    """So long a load or a build waits for a lock of another session, saying for whom."""


class Retention(Section):
    """How long each kind of row is kept."""

    metrics: Duration = timedelta(days=400)
    logs: Duration = timedelta(days=90)
    dead_letters: Duration = timedelta(days=90)


class Config(Section):
    """The whole of rampart.yml, and the folder it lies in."""

    environment: Environment = "dev"
    feeds: dict[str, Feed] = Field(default_factory=dict)
    calendars: dict[str, Calendar] = Field(default_factory=dict)
    thresholds: Thresholds = Thresholds()
    scan: Scan = Scan()
    volumes: dict[TableName, Volume] = Field(default_factory=dict)
    run: Run = Run()
    retention: Retention = Retention()
    channels: Channels = Field(default_factory=dict)
    alerts: Alerts = Alerts()
    heartbeat: Heartbeat | None = None
    exports: dict[str, Export] = Field(default_factory=dict)
    streams: dict[str, Stream] = Field(default_factory=dict)
    serve: Serve = Serve()
    root: Annotated[Path, BeforeValidator(refuse)] = Field(default_factory=Path.cwd, exclude=True)

    def feed(self, name: str) -> Feed:
        if name in self.streams:
            raise UsageError(f"`{name}` is a stream, not a feed of files: rampart consume {name}")
        if name not in self.feeds:
            known = ", ".join(sorted(self.feeds)) or "none"
            raise UsageError(f"feed `{name}` is not in {self.root / FILE_NAME}; known: {known}")
        return self.feeds[name]

    def stream(self, name: str) -> Stream:
        if name not in self.streams:
            known = ", ".join(sorted(self.streams)) or "none"
            raise UsageError(f"stream `{name}` is not in {self.root / FILE_NAME}; known: {known}")
        return self.streams[name]

    @property
    def arrivals(self) -> dict[str, Feed]:
        """Feeds, and streams as the feeds that they are to raw, rules and checks."""
        return {**self.feeds, **{name: each.as_feed() for name, each in self.streams.items()}}

    def arrival(self, name: str) -> Feed:
        """A feed or a stream."""
        return self.streams[name].as_feed() if name in self.streams else self.feed(name)

    def calendar_of(self, name: str) -> Calendar:
        """The calendar by which the age of a feed or a stream is counted."""
        freshness = self.arrival(name).freshness
        return self.calendars.get(freshness.calendar or "" if freshness else "", ALWAYS_OPEN)


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
        raise ConfigError(*explain(error, file, Config)) from None
    if faults := [*_unknown_names(config, file), *_shared_names(config, file)]:
        raise ConfigError(*faults)
    return config.model_copy(update={"root": path.parent.resolve()})


def _unknown_names(config: Config, file: YamlFile) -> Iterator[str]:
    """What one section names must stand in another."""
    for name, feed in config.arrivals.items():
        wanted = feed.freshness.calendar if feed.freshness else None
        if wanted is not None and wanted not in config.calendars:
            known = ", ".join(config.calendars) or "none yet: there is no `calendars:`"
            section = "streams" if name in config.streams else "feeds"
            keys = (section, name, "freshness", "calendar")
            yield wrong(file, keys, wanted, f"one of `calendars`: {known}")
    for dataset, volume in config.volumes.items():
        if volume.feed is not None and volume.feed not in config.arrivals:
            known = ", ".join(config.feeds) or "none yet: there is no `feeds:`"
            where = ("volumes", dataset, "feed")
            yield wrong(file, where, volume.feed, f"one of `feeds`: {known}")


def _shared_names(config: Config, file: YamlFile) -> Iterator[str]:
    """A stream with the name of a feed, or two with one checkpoint, would count each other's."""
    checkpoints: dict[str, str] = {}
    for name, stream in config.streams.items():
        if name in config.feeds:
            yield wrong(file, ("streams", name), name, "a name that no feed has")
        other = checkpoints.setdefault(stream.checkpoint, name)
        if other != name:
            said = f"a checkpoint of its own: this one is that of `{other}`"
            where = ("streams", name, "checkpoint")
            yield wrong(file, where, stream.checkpoint, said)
