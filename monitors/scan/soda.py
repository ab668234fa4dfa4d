"""Soda: run SodaCL files in this process, or take in what a plain `soda scan -srf FILE` wrote.

Both ways meet in `to_results`: the same JSON, the same verdicts.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from monitors.errors import ChecksError
from monitors.log import get_logger
from monitors.results import (
    Category,
    CheckResult,
    Layer,
    Severity,
    Status,
    bounds_text,
    number_text,
)
from monitors.scan.checks_files import Definition
from monitors.warehouse.connection import Connection
from monitors.warehouse.dbt import NO_TELEMETRY
from monitors.warehouse.target import Target

log = get_logger("Soda")

DATA_SOURCE = "rampart"


def run_files(
    files: Iterable[Path], target: Target, statement_timeout: timedelta
) -> dict[str, Any]:
    """Run SodaCL files read-only; Soda's results as JSON-like values.

    Raises ChecksError when Soda cannot read a file.
    """
    with _quiet_soda(target, statement_timeout):
        from soda.scan import Scan

        scan = Scan()
        scan.set_data_source_name(DATA_SOURCE)
        scan.set_scan_definition_name("rampart")
        scan.disable_telemetry()
        scan.add_configuration_yaml_str(_configuration(target))
        scan.add_variables({})
        for path in files:
            scan.add_sodacl_yaml_file(str(path))
        _refuse_unreadable(scan)
        try:
            scan.execute()
            results: dict[str, Any] = scan.build_scan_results()
        finally:
            # Soda leaves its connection idle in transaction, and a later ALTER would hang.
            for each in scan._data_source_scans:
                if each.data_source.connection is not None:
                    each.data_source.connection.close()
    return results


def read_results_file(path: Path) -> dict[str, Any]:
    """What `soda scan -srf FILE` wrote. Raises ChecksError when it is something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ChecksError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ChecksError(
            f"{path}: not JSON ({error}); needed is a `soda scan -srf` file"
        ) from None
    if not isinstance(found, dict) or not isinstance(found.get("checks"), list):
        raise ChecksError(f"{path}: has no `checks`; needed is a `soda scan -srf` file")
    return found


def to_results(
    soda: Mapping[str, Any], definitions: Iterable[Definition], counts: Connection
) -> list[CheckResult]:
    """Verdicts of every defined check: those that Soda could not evaluate are `error`.

    `counts` is a read-only connection on which `attributes: counts:` queries run.
    """
    defined = {(each.path.name, each.line): each for each in definitions}
    reported: dict[tuple[str, int], Mapping[str, Any]] = {}
    for check in soda["checks"]:
        location = check.get("location") or {}
        reported[(Path(str(location.get("filePath"))).name, int(location.get("line") or 0))] = check
    complaints = [
        str(entry.get("message")).splitlines()[0]
        for entry in soda.get("logs", [])
        if str(entry.get("level")).lower() == "error"
    ]
    results = []
    without_rows = _measured_nothing(soda)
    for key, definition in defined.items():
        check = reported.pop(key, None)
        if check is None or check.get("outcome") is None:
            results.append(_not_evaluated(definition, complaints, without_rows))
        else:
            results.append(_with_counts(_result(check, definition), counts))
    results += [_result(check, _definition_of(check)) for check in reported.values()]
    return results


# -------------------------------------------------------------------- one verdict


def _result(check: Mapping[str, Any], definition: Definition) -> CheckResult:
    attributes = definition.attributes
    diagnostics = check.get("diagnostics") or {}
    value = _number(diagnostics.get("value"))
    low, high = _bounds(diagnostics.get("fail") or diagnostics.get("warn") or {})
    status = {"pass": Status.PASS, "warn": Status.WARN, "fail": Status.FAIL}.get(
        str(check.get("outcome")), Status.ERROR
    )
    metric = definition.metric.split("(")[0].strip()
    severity = Severity(attributes.get("severity", "high"))
    if status is Status.FAIL and _beyond(value, attributes.get("critical"), low, high):
        severity = Severity.CRITICAL
    return CheckResult(
        check_id=definition.check_id,
        check_name=definition.name,
        suite_name=definition.suite,
        dataset=definition.dataset,
        column_name=check.get("column"),
        segment=definition.segment,
        status=status,
        layer=Layer(attributes.get("layer", "gold")),
        category=Category(attributes.get("category", "data_quality")),
        severity=severity,
        metric_name=metric,
        metric_value=value,
        numerator=value if metric.endswith("count") or metric == "failed rows" else None,
        expected_min=low,
        expected_max=high,
        message=_message(str(attributes.get("label") or metric), value, low, high),
        attributes=attributes,
    )


def _measured_nothing(soda: Mapping[str, Any]) -> set[str]:
    """Checks, as they are written, whose query ran and gave null: there is nothing to measure."""
    failed = {str(each.get("name")) for each in soda.get("queries", []) if each.get("exception")}
    return {
        name
        for each in soda.get("metrics", [])
        if each.get("value") is None
        and (name := str(each.get("metricName")))
        and not any(f"user_defined_query[{name}]" in query for query in failed)
        and any(f"[{name}]" in str(query.get("name")) for query in soda.get("queries", []))
    }


def _not_evaluated(
    definition: Definition, complaints: list[str], without_rows: set[str]
) -> CheckResult:
    """Soda says nothing at all of a check that it could not compute; we do."""
    own = [text for text in complaints if definition.name in text or definition.metric in text]
    why = (own or complaints or ["Soda reported nothing for this check"])[0]
    attributes = definition.attributes
    label = str(attributes.get("label") or definition.metric.split("(")[0].strip())
    is_empty = definition.text in without_rows
    return CheckResult(
        check_id=definition.check_id,
        check_name=definition.name,
        suite_name=definition.suite,
        dataset=definition.dataset,
        segment=definition.segment,
        status=Status.MISSING if is_empty else Status.ERROR,
        layer=Layer(attributes.get("layer", "gold")),
        category=Category(attributes.get("category", "data_quality")),
        severity=Severity(attributes.get("severity", "high")),
        metric_name=definition.metric.split("(")[0].strip(),
        message=f"{label} has no value: nothing to measure yet"
        if is_empty
        else f"not evaluated: {why}",
        attributes=attributes,
    )


def _with_counts(result: CheckResult, connection: Connection) -> CheckResult:
    """The count and its base, by the check's `counts:` query; one column is the base alone."""
    query = result.attributes.get("counts")
    if not query:
        return result
    try:
        with connection.transaction():
            row = connection.execute(str(query).encode()).fetchone()
    except psycopg.Error as error:
        log.warning("a counts query failed", check_id=result.check_id, reason=str(error).strip())
        return result
    values = row or (None, None)
    numerator, denominator = values[:2] if len(values) > 1 else (result.metric_value, values[0])
    return result.with_counts(_number(numerator), _number(denominator))


def _message(label: str, value: float | None, low: float | None, high: float | None) -> str:
    """`rate=0.0582 (max 0.05)`: the bound that is broken, or all of them when none is."""
    if value is None:
        return f"{label} has no value"
    if high is not None and value > high:
        low = None
    elif low is not None and value < low:
        high = None
    allowed = bounds_text(low, high)
    return f"{label}={number_text(value)}" + (f" ({allowed})" if allowed else "")


def _bounds(conditions: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """(min, max) that still hold, from the conditions under which Soda calls it a failure.

    A strict bound on whole numbers is written as the number that holds: `> 0` is at least 1.
    """
    low, high = conditions.get("lessThan"), conditions.get("greaterThan")
    if low is None and (strict := conditions.get("lessThanOrEqual")) is not None:
        low = strict + 1 if float(strict).is_integer() else strict
    if high is None and (strict := conditions.get("greaterThanOrEqual")) is not None:
        high = strict
    return _number(low), _number(high)


def _beyond(value: float | None, limit: Any, low: float | None, high: float | None) -> bool:
    if value is None or limit is None:
        return False
    return value > float(limit) if high is not None else low is not None and value < float(limit)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _definition_of(check: Mapping[str, Any]) -> Definition:
    """A reported check whose file is not at hand: what the results say of it."""
    location = check.get("location") or {}
    identities = check.get("identities") or {}
    attributes = {each["name"]: each["value"] for each in check.get("resourceAttributes") or []}
    dataset = str(check.get("table") or "unknown")
    name = str(check.get("name"))
    return Definition(
        path=Path(str(location.get("filePath") or "soda")),
        line=int(location.get("line") or 0),
        dataset=dataset,
        segment=None,
        text=name,
        name=name,
        check_id=str(
            identities.get("v4") or check.get("source_identity") or check.get("identity") or name
        ),
        attributes=attributes,
    )


# -------------------------------------------------------------------- Soda itself


def _configuration(target: Target) -> str:
    """Soda reads `${NAME}` from the environment, so no secret stands in this text."""
    return (
        f"data_source {DATA_SOURCE}:\n  type: postgres\n  host: ${{RAMPART_HOST}}\n"
        "  port: ${RAMPART_PORT}\n  username: ${RAMPART_USER}\n  password: ${RAMPART_PASSWORD}\n"
        "  database: ${RAMPART_DBNAME}\n"
    )


def _refuse_unreadable(scan: Any) -> None:
    errors = [entry for entry in scan._logs.logs if entry.level.name == "ERROR"]
    if errors:
        first = errors[0]
        where = f"{first.location.file_path}:{first.location.line}: " if first.location else ""
        raise ChecksError(f"{where}{str(first.message).splitlines()[0]}")


@contextmanager
def _quiet_soda(target: Target, statement_timeout: timedelta) -> Iterator[None]:
    """No telemetry, no file in the home folder, read-only statements with a time limit."""
    options = (
        "-c default_transaction_read_only=on -c timezone=UTC"
        f" -c statement_timeout={int(statement_timeout.total_seconds() * 1000)}"
    )
    before = dict(os.environ)
    os.environ.update(target.environment())
    os.environ.update({**NO_TELEMETRY, "PGOPTIONS": options, "PGAPPNAME": "rampart scan"})
    logging.getLogger("soda").setLevel(logging.CRITICAL)
    _seed_soda_settings()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class _NoTelemetry:
    """Soda's settings, in memory: it would write a file into the home folder when it finds none."""

    settings: Mapping[str, Any] = {
        "send_anonymous_usage_stats": False,
        "user_cookie_id": "rampart",
    }

    send_anonymous_usage_stats = False
    user_cookie_id = "rampart"

    def get_value(self, key: str, default_value: Any = None) -> Any:
        return self.settings.get(key, default_value)


def _seed_soda_settings() -> None:
    from soda.common.config_helper import ConfigHelper

    ConfigHelper._ConfigHelper__instance = _NoTelemetry()
