"""`streams:` of rampart.yml: what flows instead of landing, and how much of it makes a batch."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from monitors.config_alert_types import SecretRef
from monitors.config_feeds import Feed, Freshness
from monitors.config_types import ColumnName, Delimiter, Duration, Section, TableName

DEAD_LETTERS = "monitoring.dead_letters"
"""The table of dead letters: every one stands there, a folder gets them as well."""
NEEDED = {
    "dlq_path": f"dlq_path: {DEAD_LETTERS}",
    "watermark": "watermark: 1 hour",
    "checkpoint": "checkpoint: web_events",
}
"""Without these a stream loses data when something goes wrong: {key: a valid example}."""


def _dlq_path(value: Any) -> Any:
    if isinstance(value, str) and (value == DEAD_LETTERS or "/" in value) and "://" not in value:
        return value
    raise ValueError(f"the table `{DEAD_LETTERS}`, or a folder like `dead_letters/web`")


def _checkpoint(value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", value):
        raise ValueError("a name of up to 100 letters, digits, `.`, `_` and `-`")
    return value


def _brokers(value: Any) -> Any:
    listed = value if isinstance(value, list) else str(value).split(",")
    found = [str(each).strip() for each in listed]
    shape = r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):\d{1,5}"
    if not found or not all(re.fullmatch(shape, each) for each in found):
        raise ValueError("`host:port`, or several with commas between them")
    return ",".join(found)


def _local_glob(value: str) -> str:
    if "://" in value:
        raise ValueError("a pattern of this machine's files, like inbox/*.jsonl")
    return value


def _positive(value: timedelta) -> timedelta:
    if not timedelta(milliseconds=100) <= value <= timedelta(days=1):
        raise ValueError("0.1 seconds to 1 day")
    return value


def _session(value: timedelta) -> timedelta:
    if not timedelta(seconds=1) <= value <= timedelta(minutes=30):
        raise ValueError("1 second to 30 minutes")
    return value


SessionTimeout = Annotated[Duration, AfterValidator(_session)]
Pause = Annotated[Duration, AfterValidator(_positive)]
Brokers = Annotated[str, BeforeValidator(_brokers)]
TopicName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
FilePath = Annotated[str, Field(min_length=1)]


class KafkaSecurity(Section):
    """How the brokers know us. A secret is `{env: VARIABLE}` or `{file: /absolute/path}`."""

    protocol: Literal["SSL", "SASL_SSL", "SASL_PLAINTEXT"]
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str | None = None
    password: SecretRef | None = None
    ca_file: FilePath | None = None
    certificate_file: FilePath | None = None
    key_file: FilePath | None = None
    key_password: SecretRef | None = None

    @model_validator(mode="after")
    def _knows_who_we_are(self) -> KafkaSecurity:
        if self.protocol != "SSL" and (self.username is None or self.password is None):
            raise ValueError(f"`username` and `password` for `protocol: {self.protocol}`")
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("`certificate_file` and `key_file` together")
        return self


class Kafka(Section):
    """A topic, read as a member of a consumer group."""

    brokers: Brokers
    topic: TopicName
    group: Annotated[str, Field(min_length=1, max_length=249)]
    start: Literal["earliest", "latest"] = "earliest"
    """Where a partition begins that this checkpoint has never read."""
    session_timeout: SessionTimeout = timedelta(seconds=45)
    """A consumer that gave no sign of life for so long loses its partitions to the others."""
    security: KafkaSecurity | None = None


class Folder(Section):
    """Files that appear, and files that grow by whole lines."""

    path: Annotated[str, Field(min_length=1), AfterValidator(_local_glob)]
    """A glob, relative to rampart.yml; `**` stands for any folders."""


class Stream(Section):
    """One stream into one raw table, in micro-batches."""

    description: str = ""
    kafka: Kafka | None = None
    folder: Folder | None = None
    table: TableName
    format: Literal["jsonl", "csv"] = "jsonl"
    """What a message, or a line, is: one JSON object, or one CSV record without a header."""
    columns: tuple[ColumnName, ...] = ()
    """Of csv: the columns of each record, in order."""
    delimiter: Delimiter = ","
    dlq_path: Annotated[str, BeforeValidator(_dlq_path)]
    watermark: Duration
    """A message whose event time lies further behind the newest of its partition is too late."""
    checkpoint: Annotated[str, BeforeValidator(_checkpoint)]
    """Under this name the offsets stand in the warehouse. Another name begins from the start."""
    event_time: Annotated[str, Field(min_length=1)] | None = None
    """The JSON key (`meta.sent` goes one deeper) or the column; None: the broker's time."""
    event_time_format: Literal["iso8601", "seconds", "milliseconds", "microseconds"] = "iso8601"
    trigger_interval: Pause = timedelta(seconds=5)
    """A batch that is not full is committed after so long."""
    max_files_per_trigger: Annotated[int, Field(ge=1, le=100_000)] = 1000
    max_records_per_batch: Annotated[int, Field(ge=1, le=1_000_000)] = 50_000
    max_record_bytes: Annotated[int, Field(ge=1, le=16 * 1024 * 1024)] = 1024 * 1024
    give_up_after: Pause = timedelta(minutes=10)
    """How long the warehouse may be away before the consumer ends with exit code 2."""
    personal: tuple[str, ...] = ()
    required: bool = True
    freshness: Freshness | None = None

    @model_validator(mode="before")
    @classmethod
    def _has_what_it_needs(cls, values: Any) -> Any:
        if isinstance(values, dict):
            missing = [key for key in NEEDED if values.get(key) is None]
            if missing:
                named = ", ".join(f"`{key}`" for key in missing)
                example = ", ".join(f"`{NEEDED[key]}`" for key in missing)
                raise PydanticCustomError(
                    "needed",
                    f"a stream is not read without {named}; valid is for example {example}",
                )
        return values

    @model_validator(mode="after")
    def _has_one_source(self) -> Stream:
        if (self.kafka is None) == (self.folder is None):
            raise ValueError("either `kafka` or `folder`")
        if self.format == "csv" and not self.columns:
            raise ValueError("`columns` for `format: csv`: its records have no header")
        if self.format == "csv" and self.event_time not in (None, *self.columns):
            raise ValueError(f"an `event_time` among its columns: {', '.join(self.columns)}")
        if self.folder is not None and self.event_time is None:
            raise ValueError("`event_time` for a folder: a line has no time but the one it states")
        return self

    def as_feed(self) -> Feed:
        """What raw, rules and checks need to know: a stream arrives as a feed does."""
        return Feed(
            description=self.description,
            table=self.table,
            format=self.format,
            path=self.folder.path if self.folder else self.kafka.topic if self.kafka else "-",
            columns=self.columns if self.format == "csv" else (),
            delimiter=self.delimiter,
            required=self.required,
            personal=self.personal,
            freshness=self.freshness,
        )
