"""A run and its stages as one record, which can be written late, and twice, to the same effect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from psycopg.types.json import Jsonb

from monitors.store.sql import statement
from monitors.warehouse.connection import Connection

COUNTS = (
    "rows_read", "rows_written", "rows_created", "rows_updated", "rows_deleted", "rows_rejected",
    "rows_dead_lettered",
)  # fmt: skip
"""What a stage may count, as the columns of pipeline_logs are named."""
LARGEST_COUNT = 2**63 - 1
"""What a bigint holds."""


@dataclass(frozen=True, slots=True)
class StageRecord:
    """One row of pipeline_logs. A stage that was killed stays `started`."""

    pipeline_name: str
    stage: str
    layer: str
    status: str
    started_at: datetime
    finished_at: datetime | None = None
    source: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    """Some of COUNTS."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One row of runs, with its stages."""

    run_id: str
    command: str
    environment: str
    started_at: datetime
    ended_at: datetime | None = None
    exit_code: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    git_revision: str | None = None
    stages: tuple[StageRecord, ...] = ()

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=datetime.isoformat, indent=1)

    @classmethod
    def from_json(cls, text: str) -> RunRecord:
        """Raises ValueError, KeyError or TypeError when it is no such record."""
        values = json.loads(text)
        stages = tuple(StageRecord(**_with_moments(each)) for each in values.pop("stages"))
        return cls(**_with_moments(values), stages=stages)


RecordT = TypeVar("RecordT", RunRecord, StageRecord)


def storable(record: RunRecord) -> RunRecord:
    """The record without the signs that no database takes: of a child's output, or its name."""
    return replace(_clean(record), stages=tuple(_clean(stage) for stage in record.stages))


def put_record(connection: Connection, record: RunRecord) -> None:
    """Write what is known of a run within the caller's transaction."""
    run = {name: getattr(record, name) for name in RunRecord.__slots__ if name != "stages"}
    run["versions"] = Jsonb(dict(record.versions))
    connection.execute(statement("put_run").encode(), run)
    for stage in record.stages:
        values = {name: getattr(stage, name) for name in StageRecord.__slots__ if name != "counts"}
        counts = {name: stage.counts.get(name) for name in COUNTS}
        row = {**values, **counts, "run_id": record.run_id}
        connection.execute(statement("put_stage").encode(), row)


def _clean(record: RecordT) -> RecordT:
    values = ((name, getattr(record, name)) for name in type(record).__slots__)
    texts: dict[str, Any] = {name: _text(value) for name, value in values if isinstance(value, str)}
    return replace(record, **texts)


def _text(value: str) -> str:
    return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _with_moments(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(value) if name.endswith("_at") and value else value
        for name, value in values.items()
    }
