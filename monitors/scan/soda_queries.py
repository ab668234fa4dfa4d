"""The queries of one dataset, each failure kept to the metrics that it concerns.

Optimistic: all aggregates in one query. When that fails, halves of it are tried until the bad ones
stand alone, and all these retries together take no longer than one statement may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from threading import Event
from time import monotonic
from typing import Any

import psycopg
from soda.common.undefined_instance import undefined
from soda.execution.metric.derived_metric import DerivedMetric
from soda.execution.metric.schema_metric import SchemaMetric
from soda.execution.metric.user_defined_numeric_metric import UserDefinedNumericMetric
from soda.execution.query.aggregation_query import AggregationQuery
from soda.execution.query.user_defined_failed_rows_query import UserDefinedFailedRowsQuery

from monitors.scan.soda_session import Session
from monitors.warehouse.connection import Connection

LEAST = 0.001
"""Seconds; a time limit of 0 would be none at all."""


class Interrupted(Exception):
    """Somebody does not want the rest any more."""


class Queries:
    """Runs Soda's queries on a connection that commits each statement by itself."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        session: Session,
        statement_timeout: timedelta,
        stopped: Event,
    ) -> None:
        self._connect = connect
        self._stopped = stopped
        self._session = session
        self.limit = statement_timeout.total_seconds()
        self.left = self.limit
        """Seconds for retries and for values of the past, of the whole dataset."""
        self.failed: dict[int, str] = {}
        """{id of a metric that has no value: why}; Soda takes metrics of one name for equal."""
        self._open()

    def run(self, queries: Iterable[Any]) -> None:
        """Every query; what fails is noted in `failed`, raises only when nobody answers."""
        for query in queries:
            if isinstance(query, AggregationQuery):
                self._aggregates(query)
            else:
                why = self._execute(query)
                if why:
                    self.failed[id(query.metric)] = why

    def run_within(self, queries: Iterable[Any]) -> None:
        """Queries that can be done without, as long as there is time for them."""
        for query in queries:
            metrics = query.metrics if isinstance(query, AggregationQuery) else [query.metric]
            why = "there was no time left for it"
            if self.left > LEAST:
                why = self._timed(query, self.left)
            self.failed.update({id(each): why for each in metrics if why})
        self._allow(self.limit)

    def value_or_why(self, metric: Any) -> str:
        """Compute what is derived from other metrics; why that gave nothing, or nothing."""
        why = self.why_undefined(metric)
        if not why and isinstance(metric, DerivedMetric):
            metric.compute_derived_metric_values()
        return why

    def why_undefined(self, metric: Any) -> str:
        """Why a metric has no value; empty when it has one, also when that is null."""
        if id(metric) in self.failed:
            return self.failed[id(metric)]
        if isinstance(metric, DerivedMetric):
            parts = metric.derived_formula.metric_dependencies.values()
            return next((why for part in parts if (why := self.why_undefined(part))), "")
        if metric.value is not undefined:
            return ""
        if isinstance(metric, SchemaMetric):
            return f"dataset `{metric.partition.table.table_name}` does not exist"
        return "" if isinstance(metric, UserDefinedNumericMetric) else "no query gave a value"

    def one_row(self, sql: str) -> tuple[Any, ...] | None:
        """The first row of a query of the check's own. Raises psycopg.Error."""
        return self.connection.execute(sql.encode()).fetchone()

    # ---------------------------------------------------------------- aggregates

    def _aggregates(self, query: AggregationQuery) -> None:
        why = self._execute(query)
        if not why:
            return
        waiting = _halves(query) or [query]
        if len(query.metrics) == 1:
            self.failed[id(query.metrics[0])] = why
            return
        while waiting:
            part = waiting.pop(0)
            if self.left <= LEAST:
                said = f"not reached: {_seconds(self.limit)} of retries are over, after: {why}"
                self.failed.update({id(each): said for each in part.metrics})
                continue
            # half of what is left: the time for finding a slow one must outlast every halving
            sharers = 2 if len(part.metrics) > 1 else len(waiting) + 1
            part_why = self._timed(part, self.left / sharers)
            if part_why and len(part.metrics) > 1:
                waiting += _halves(part)
            elif part_why:
                self.failed[id(part.metrics[0])] = part_why
        self._allow(self.limit)

    def _timed(self, query: Any, seconds: float) -> str:
        """Run a query on what is left of the time for retries."""
        seconds = max(seconds, LEAST)
        self._allow(seconds)
        started = monotonic()
        why = self._execute(query, seconds)
        self.left -= monotonic() - started
        return why

    def _execute(self, query: Any, seconds: float | None = None) -> str:
        """Empty, or why it gave nothing."""
        if self._stopped.is_set():
            raise Interrupted("the scan was interrupted")
        query.exception = None
        try:
            if isinstance(query, UserDefinedFailedRowsQuery):
                self._count_failed_rows(query)
            else:
                query.execute()
        except Exception as error:
            query.exception = query.exception or error
        if query.exception is None:
            return ""
        if self.connection.closed:
            self._open()
        return explained(query.exception, self.limit, seconds)

    def _count_failed_rows(self, query: Any) -> None:
        """Rows are counted where they are: Soda would fetch every one of them."""
        sql = query.sql.strip().rstrip(";")
        row = self.one_row(f"select count(*) from (\n{sql}\n) as failed_rows")
        query.metric.set_value(row[0] if row else 0)

    def _open(self) -> None:
        """A connection, also in place of one that a statement took with it."""
        self.connection = self._connect()
        self._session.use(self.connection)
        self._allow(self.limit)

    def _allow(self, seconds: float) -> None:
        self.connection.execute(f"set statement_timeout = {max(int(seconds * 1000), 1)}".encode())


def _halves(query: AggregationQuery) -> list[AggregationQuery]:
    """The same aggregates in two queries."""
    middle = len(query.metrics) // 2
    found = []
    for start, end in ((0, middle), (middle, len(query.metrics))):
        half = AggregationQuery(query.partition, 0)
        half.select_expressions = query.select_expressions[start:end]
        half.metrics = query.metrics[start:end]
        found.append(half)
    return found


def explained(error: BaseException, limit: float, share: float | None = None) -> str:
    """What the server said, in one line; `share`: the seconds of the limit that it had."""
    if isinstance(error, psycopg.errors.QueryCanceled) and "statement timeout" in str(error):
        of = "the time limit" if share is None else f"its share of {_seconds(limit)} for retries"
        said = f"it took longer than {_seconds(limit if share is None else share)}"
        return f"{said}, {of} (scan: statement_timeout)"
    if isinstance(error, psycopg.Error):
        said = error.diag.message_primary or str(error)
        detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
        return " ".join(f"{said}{detail}".split())
    return " ".join(str(error).split()) or type(error).__name__


def _seconds(seconds: float) -> str:
    if seconds >= 60 and seconds % 60 == 0:
        minutes = int(seconds // 60)
        return f"{minutes} minute{'s' if minutes > 1 else ''}"
    return f"{seconds:.3g} s"
