"""Soda's language and metrics without its scan: definitions become Soda's own check objects.

Soda's `Scan` aborts every check at one parse error, keeps its log in a singleton, connects, samples
and speaks to a cloud. A `Session` is what Soda's parser, metrics and checks ask of it, and no more;
nothing of Soda that is imported here has telemetry or writes a file.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Lock
from types import SimpleNamespace
from typing import Any

from soda.common.jinja import Jinja
from soda.common.logs import Logs
from soda.data_sources.postgres_data_source import PostgresDataSource
from soda.execution.check.check import Check as SodaCheck
from soda.execution.data_source_scan import DataSourceScan
from soda.execution.metric.numeric_query_metric import NumericQueryMetric
from soda.execution.metric.user_defined_numeric_metric import UserDefinedNumericMetric
from soda.execution.partition import Partition
from soda.sodacl.data_source_scan_cfg import DataSourceScanCfg
from soda.sodacl.sodacl_cfg import SodaCLCfg
from soda.sodacl.sodacl_parser import SodaCLParser

from monitors.scan.checks_files import Definition, Section
from monitors.scan.checks_yaml import LocatedDict, LocatedList
from monitors.warehouse.connection import Connection

DATA_SOURCE = "rampart"
AGGREGATES = 1600
"""In one query; Postgres allows 1,664 columns."""
METRICS = (
    "row_count", "missing_count", "missing_percent", "invalid_count", "invalid_percent",
    "valid_count", "duplicate_count", "duplicate_percent", "freshness", "schema", "failed rows",
    "avg", "sum", "min", "max", "min_length", "max_length", "avg_length", "percentile", "stddev",
    "stddev_pop", "stddev_samp", "variance", "var_pop", "var_samp", "group by", "group evolution",
)  # fmt: skip
_NEEDS_SCIENCE = ("Anomaly", "Distribution")
_NEVER_COUNTS = "Counting invalid without valid or invalid specification"
_TABLES = """
with

datasets as (
    select
        table_name,
        table_schema || '.' || table_name as full_name,
        case when table_schema = 'public' then '' else table_schema || '.' end as prefix
    from information_schema.tables
    where table_schema not in ('pg_catalog', 'information_schema')
)

select prefix || table_name as dataset
from datasets
where
    (table_name like any(%(includes)s) or full_name like any(%(includes)s))
    and not (table_name like any(%(excludes)s) or full_name like any(%(excludes)s))
order by dataset
"""
_NOT_NULL = re.compile(r"^NOT \(\S+ IS NULL\) AND (?=(NOT )?\()")
_parsing = Lock()
"""The generated parser keeps tables of its own class, which threads must not fill at once."""

logging.getLogger("soda").setLevel(logging.CRITICAL)


@dataclass
class Prepared:
    """A definition and what Soda makes of it; `table` is set for each table of a `for each`."""

    definition: Definition
    check: Any = None
    problem: str = ""
    table: str | None = None
    past: dict[datetime, tuple[Any, Any]] = field(default_factory=dict)
    """{a moment of the past: (the same check on the rows up to it, the number of these rows)}."""

    @property
    def metrics(self) -> list[Any]:
        return list(self.check.metrics.values()) if self.check is not None else []

    @property
    def of_table(self) -> Definition:
        """The definition, of the one table among many that is meant here."""
        if self.table is None:
            return self.definition
        name = _renamed(self.definition.name, self.definition.header.split()[-1], self.table)
        return replace(self.definition, dataset=self.table, name=name)


class _Postgres(PostgresDataSource):  # type: ignore[misc]
    """All aggregates of a dataset in one query, and columns found by schema too."""

    def get_max_aggregation_fields(self) -> int:
        return AGGREGATES

    def expr_count_conditional(self, condition: str) -> str:
        # Soda's count(case ...) takes a fifth longer; a null is neither valid nor invalid anyway
        if " OR " not in condition:
            condition = _NOT_NULL.sub("", condition)
        return f"count(*) filter (where {condition})"

    def sql_get_table_columns(self, table_name: str, *_: Any, **__: Any) -> str:
        # Soda looks for a table whose name holds the schema and a dot, and finds none
        name = str(table_name).replace("'", "''")
        return (
            "select attname, format_type(atttypid, null), attnotnull from pg_catalog.pg_attribute"
            f" where attrelid = to_regclass('{name}') and attnum > 0 and not attisdropped"
            " order by attnum"
        )

    def rollback(self) -> None:
        """Statements commit by themselves: there is nothing to take back."""


class _Metrics(DataSourceScan):  # type: ignore[misc]
    """Soda takes two metrics of one name for one, whatever they compute; here their SQL counts."""

    def __init__(self, session: Session, data_source: Any) -> None:
        super().__init__(session, DataSourceScanCfg(DATA_SOURCE), data_source)
        data_source.data_source_scan = self
        self._known: dict[tuple[Any, ...], Any] = {}
        self._said: dict[tuple[Any, ...], list[Any]] = {}
        """What Soda had to say of a metric: it holds for every check of it."""

    def resolve_metric(self, metric: Any) -> Any:
        of_query = isinstance(metric, UserDefinedNumericMetric)
        computed = [getattr(metric, name, None) for name in ("aggregation", "sql", "query")]
        rows = getattr(metric.partition, "sql_partition_filter", None)
        identity = metric.check.check_cfg.metric_name if of_query else metric.identity
        key = (type(metric), identity, rows, *computed)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = metric
            before = len(self.scan.said)
            metric.ensure_query()
            self._said[key] = self.scan.said[before:]
        else:
            known.merge_checks(metric)
            self.scan.said += self._said.get(key, [])
        return known


class _Parser(SodaCLParser):  # type: ignore[misc]
    """Takes sections that have been read already, with their lines."""

    document: Any = None

    def _parse_yaml_str(self, _: str) -> Any:
        self.path_stack.set_antlr_collection_in_file_path_element(self.document)
        return self.document


class Session:
    """What Soda asks of a scan, for the checks of one dataset."""

    def __init__(self, sections: Iterable[Section], now: datetime, moment: datetime) -> None:
        logs = object.__new__(Logs)  # the class gives everybody the same one
        logs._initialize()
        logs.log = self._keep
        self.said: list[Any] = []
        self._logs = logs
        self._variables: dict[str, Any] = {"NOW": now.isoformat(), "MOMENT": moment.isoformat()}
        self._configuration = SimpleNamespace(
            sampler=None, samples_limit=0, soda_cloud=None, exclude_columns={}
        )
        self._sodacl_cfg = SodaCLCfg(scan=self)
        self._scan_definition_name = None
        self._data_timestamp = now
        self._queries: list[Any] = []
        self._checks: list[Any] = []
        self._data_source = _Postgres(logs, DATA_SOURCE, {"connection_type": "postgres"})
        self.metrics = _Metrics(self, self._data_source)
        self.sections = tuple(sections)
        self._past: list[tuple[datetime, Any]] = []

    # ---------------------------------------------------------------- what Soda calls

    def jinja_resolve(self, definition: Any, variables: Any = None, location: Any = None) -> Any:
        if not isinstance(definition, str) or "${" not in definition:
            return definition
        try:
            return Jinja.resolve(definition, {**self._variables, **(variables or {})})
        except Exception as error:
            self._logs.error(f"`{definition}` cannot be resolved: {error}", location=location)
            return definition

    def get_variable(self, name: str, default_value: Any = None) -> Any:
        return self._variables.get(name, default_value)

    def _add_metric(self, metric: Any) -> None:
        """Metrics of groups; nobody asks for them again."""

    def _get_or_create_data_source_scan(self, name: str) -> Any:
        if name != DATA_SOURCE:
            raise ValueError(f"data source `{name}` is not configured; there is `{DATA_SOURCE}`")
        return self.metrics

    def _keep(self, *, level: Any, message: str, **_: Any) -> None:
        self.said.append((level.name, str(message).strip()))

    # ---------------------------------------------------------------- checks

    def use(self, connection: Connection) -> None:
        self._data_source.connection = connection

    def prepare(self, definition: Definition) -> Iterator[Prepared]:
        """Soda's check objects of a definition, or why there are none; never raises."""
        if definition.problem:
            yield Prepared(definition, problem=definition.problem)
            return
        try:
            if definition.kind == "each":
                yield from self._each(definition)
            else:
                with _parsing:
                    yield self._one(definition, definition.header, definition.item)
        except Exception as error:
            said = _explained(_one_line(error), definition)
            yield Prepared(definition, problem=f"{definition.where}: {said}")

    def _each(self, definition: Definition) -> Iterator[Prepared]:
        names = self._tables(definition.dataset.split(", "))
        alias = definition.header.split()[-1]
        for name in names:
            item = _renamed(definition.item, alias, name)
            with _parsing:
                found = self._one(replace(definition, dataset=name), f"checks for {name}", item)
            yield replace(found, definition=definition, table=name)
        if not names:
            said = f"{definition.where}: no dataset matches {definition.dataset}"
            yield Prepared(definition, problem=said)

    def _tables(self, patterns: list[str]) -> list[str]:
        """Tables and views whose name, or `schema.name` for a pattern with a dot, is like one."""
        excludes = [each.removeprefix("exclude ") for each in patterns if each[:8] == "exclude "]
        includes = [each.removeprefix("include ") for each in patterns if each[:8] != "exclude "]
        rows = self._data_source.connection.execute(
            _TABLES, {"includes": includes, "excludes": excludes}
        ).fetchall()
        return [row[0] for row in rows]

    def _one(self, definition: Definition, header: str, item: Any) -> Prepared:
        """One check, parsed alone, so that what Soda says is said of it."""
        said_before = len(self.said)
        cfg = SodaCLCfg(scan=self)
        for section in self.sections:
            if _concerns(section, definition):
                self._parse(cfg, section.path, section.header, section.body)
        checks = LocatedList()
        checks.append(_without_identity(item))
        checks.lc.data.append((definition.line - 1, 4))
        self._parse(cfg, definition.path, header, checks)
        check = None
        if not self._complaint(definition, said_before):
            check = self._created(cfg)
        problem = self._complaint(definition, said_before)
        if check is None and not problem:
            problem = f"{definition.where}: Soda makes no check of `{definition.text}`"
        return Prepared(definition, None if problem else check, problem)

    def _parse(self, cfg: Any, path: Any, header: str, body: Any) -> None:
        document = LocatedDict()
        document[header] = body
        line = body.lc.data[0][0] - 1 if isinstance(body, LocatedList) and body else 0
        document.lc.data[header] = (max(line, 0), 0)
        parser = _Parser(
            sodacl_cfg=cfg, logs=self._logs, file_path=str(path), data_source_name=DATA_SOURCE
        )
        parser.document = document
        parser.parse_sodacl_yaml_str("")

    def _created(self, cfg: Any) -> Any:
        """Soda's check of a configuration that holds one, with its table, partition and column."""
        of_source = cfg.data_source_scan_cfgs[DATA_SOURCE]
        self.metrics.data_source_scan_cfg = of_source  # where a check finds the filter of another
        for check_cfg in of_source.check_cfgs:
            return self._check(check_cfg, None, None)
        for table_cfg in of_source.tables_cfgs.values():
            table = self.metrics.get_or_create_table(table_cfg.table_name)
            for name, column_cfg in table_cfg.column_configurations_cfgs.items():
                _with_whole_numbers(column_cfg)
                table.get_or_create_column(name).set_column_configuration_cfg(column_cfg)
            for partition_cfg in table_cfg.partition_cfgs:
                partition = _partition(table, partition_cfg)
                for check_cfg in partition_cfg.check_cfgs:
                    return self._check(check_cfg, partition, None)
                for column_checks in partition_cfg.column_checks_cfgs.values():
                    column = partition.get_or_create_column_metrics(column_checks.column_name)
                    column.set_column_check_cfg(column_checks)
                    for check_cfg in column_checks.check_cfgs:
                        return self._check(check_cfg, partition, column.column)
        return None

    def _check(self, check_cfg: Any, partition: Any, column: Any) -> Any:
        if type(check_cfg).__name__.startswith(_NEEDS_SCIENCE):
            raise ValueError(
                f"`{check_cfg.source_line}` needs soda-core-scientific, which Rampart does without;"
                " `volumes:` in rampart.yml and `change for` see what is unusual"
            )
        check_cfg.samples_limit = None  # a sample is another scan of the table, and shows rows
        _with_whole_numbers(getattr(check_cfg, "missing_and_valid_cfg", None))
        return SodaCheck.create(
            check_cfg=check_cfg, data_source_scan=self.metrics, partition=partition, column=column
        )

    def up_to(self, prepared: Prepared, time: str, moment: datetime) -> tuple[Any, Any]:
        """The same check on the rows up to a moment, and how many there are.

        Soda's own metric, on a partition by time.
        """
        check = prepared.check
        table, partition = check.partition.table, check.partition
        key = (id(partition), time, moment)
        past = table.partitions.get(key)
        if past is None:
            past = table.partitions[key] = Partition(table, partition.partition_name)
            own = self.jinja_resolve(partition.sql_partition_filter, {"MOMENT": moment.isoformat()})
            until = f"{time} <= timestamptz '{moment.isoformat()}'"
            past.sql_partition_filter = f"({own}) and {until}" if own else until
            self._past.append((moment, past))
        with _parsing:
            earlier = SodaCheck.create(
                check_cfg=check.check_cfg,
                data_source_scan=self.metrics,
                partition=past,
                column=check.column,
            )
        rows = NumericQueryMetric(
            self.metrics, past, None, "row_count", None, None, None, None, None, check
        )
        return earlier, self.metrics.resolve_metric(rows)

    def past_queries(self) -> Iterator[Any]:
        """The queries of moments of the past, the latest first."""
        for _, partition in sorted(self._past, key=lambda each: each[0], reverse=True):
            yield from partition.collect_queries()

    def queries(self) -> Iterator[Any]:
        """Every query that the prepared checks need, aggregates first."""
        for table in self.metrics.tables.values():
            for partition in table.partitions.values():
                yield from partition.collect_queries()
        yield from self.metrics.queries

    def _complaint(self, definition: Definition, since: int) -> str:
        """The first thing that Soda found wrong since then, for a person."""
        for level, said in self.said[since:]:
            if level == "ERROR":
                return f"{definition.where}: {_explained(said, definition)}"
            if _NEVER_COUNTS in said:
                return (
                    f"{definition.where}: `{definition.text}` counts nothing, because nothing says"
                    " what is valid; add `valid values:`, `valid format:` or the like"
                )
        return ""


def _partition(table: Any, cfg: Any) -> Any:
    """Filters of two files may have one name and select different rows."""
    partition = table.get_or_create_partition(cfg.partition_name)
    if partition.sql_partition_filter not in (None, cfg.sql_partition_filter):
        partition = Partition(table, cfg.partition_name)
        table.partitions[(cfg.partition_name, cfg.file_path)] = partition
    partition.set_partition_cfg(cfg)
    return partition


def _concerns(section: Section, definition: Definition) -> bool:
    """A filter holds for its own file, as in Soda; configurations hold in all."""
    if section.kind == "configurations":
        return section.dataset == definition.dataset
    if section.path != definition.path:
        return False
    names_another = definition.text.startswith("row_count same as")
    of = (section.dataset, section.segment)
    return (
        section.kind == "variables"
        or names_another
        or of == (definition.dataset, definition.segment)
    )


def _explained(said: str, definition: Definition) -> str:
    """Soda's complaint; of a metric that it does not know Soda says a lot, and not that."""
    first = " ".join(said.splitlines()[0].split()).removeprefix("Skipping ")
    name = definition.metric.split("(")[0].split(" for ")[-1].strip()
    near = difflib.get_close_matches(name, METRICS, n=1, cutoff=0.75)
    if near and name not in METRICS:
        return f"unknown check `{definition.text}`; did you mean `{near[0]}`?"
    if first.startswith("Unsupported metric") or "NoneType" in first:
        known = ", ".join(METRICS[:8])
        return (
            f"unknown metric `{name}`; without `query:` or `expression:` there are {known}"
            " and the like"
        )
    return first


def _with_whole_numbers(cfg: Any) -> None:
    """`valid min: 0` becomes 0.0, and Postgres would make a numeric of each integer to compare."""
    for name in ("valid_min", "valid_max"):
        bound = getattr(cfg, name, None)
        if isinstance(bound, float) and bound.is_integer():
            setattr(cfg, name, int(bound))


def _without_identity(item: Any) -> Any:
    """Soda takes an identity in some kinds of checks only; it is ours by now."""
    if not isinstance(item, LocatedDict) or not isinstance(next(iter(item.values())), LocatedDict):
        return item
    ((text, settings),) = item.items()
    found, inner = LocatedDict(), LocatedDict()
    inner.update({key: value for key, value in settings.items() if key != "identity"})
    inner.lc.data.update(settings.lc.data)
    found[text] = inner
    found.lc.data.update(item.lc.data)
    return found


def _renamed(item: Any, alias: str, table: str) -> Any:
    """A check of a `for each dataset` section with its placeholder filled in."""
    if isinstance(item, str):
        return item.replace(f"${{{alias}}}", table)
    if isinstance(item, LocatedDict):
        found = LocatedDict()
        found.update(
            {_renamed(key, alias, table): _renamed(item[key], alias, table) for key in item}
        )
        found.lc.data.update({_renamed(key, alias, table): at for key, at in item.lc.data.items()})
        return found
    return item


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
