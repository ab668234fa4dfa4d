"""The composition of `rampart report`: the status page as one file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from psycopg import IsolationLevel

from monitors.config import Config
from monitors.errors import UsageError
from monitors.show.page import DAYS, facts_of
from monitors.show.report import FILE, Written, write_report
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target


def make_report(
    config: Config, target: Target, now: datetime, path: Path | None = None, days: int = DAYS
) -> Written:
    """Read everything as of one moment, with the right to select only, and write the file.

    `path` is relative to rampart.yml; target/rampart_report.html when it is None. Raises UsageError
    when the file cannot be written.
    """
    wanted = config.root / (path or FILE)
    with connect(target, read_only=True) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        facts = facts_of(
            connection,
            config.environment,
            now,
            days=days,
            oldest_scan=config.scan.within,
            volumes=config.volumes,
        )
        try:
            return write_report(facts, wanted)
        except OSError as error:
            raise UsageError(f"{wanted}: the report cannot be written ({error.strerror})") from None
