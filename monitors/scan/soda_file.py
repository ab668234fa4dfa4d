"""What a plain `soda scan -srf FILE` wrote, as verdicts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from monitors.errors import ChecksError
from monitors.log import get_logger
from monitors.results import CheckResult
from monitors.scan.checks_files import Definition
from monitors.scan.soda_verdicts import (
    Found,
    Rows,
    bounds,
    judged,
    label_of,
    not_evaluated,
    nothing_to_measure,
    with_blindness,
    with_counts,
    with_evidence,
)
from monitors.warehouse.connection import Connection

log = get_logger("Soda")


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
    soda: Mapping[str, Any], definitions: Iterable[Definition], connection: Connection
) -> list[CheckResult]:
    """Verdicts of every defined check: those that Soda could not evaluate are `error`.

    Checks that need history are left out when they did not report: plain Soda has none.
    `connection` is a read-only one, on which the queries that checks carry run.
    """
    reported: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for check in soda["checks"]:
        location = check.get("location") or {}
        key = (Path(str(location.get("filePath"))).name, int(location.get("line") or 0))
        reported.setdefault(key, []).append(check)
    complaints = [
        str(entry.get("message")).splitlines()[0]
        for entry in soda.get("logs", [])
        if str(entry.get("level")).lower() == "error"
    ]
    rows = _rows_of(connection)
    results = []
    without_rows = _measured_nothing(soda)
    for definition in definitions:
        found = reported.get((definition.path.name, definition.line), [])
        check = next((each for each in found if _is_of(each, definition)), None)
        if check is not None:
            found.remove(check)
        if definition.problem:
            results.append(not_evaluated(definition, definition.problem))
        elif check is not None and check.get("outcome") is not None:
            results.append(_complete(_result(check, definition), rows))
        elif check is not None or not definition.needs_history:
            results.append(_silent(definition, complaints, without_rows))
    left = [each for checks in reported.values() for each in checks]
    results += [_result(check, _definition_of(check)) for check in left]
    return results


def _is_of(check: Mapping[str, Any], definition: Definition) -> bool:
    """Two files in two folders may have one name: their check stands on one line, with one name."""
    identity = (check.get("identities") or {}).get("v4") or check.get("source_identity")
    if identity is not None:
        return bool(identity == definition.check_id)
    folder = Path(str((check.get("location") or {}).get("filePath"))).parent.name
    return folder in ("", definition.path.parent.name)


def _complete(result: CheckResult, rows: Rows) -> CheckResult:
    result, why = with_counts(result, rows)
    if why:
        log.warning("a counts query failed", check_id=result.check_id, reason=why)
    return with_blindness(with_evidence(result, rows), None)


def _rows_of(connection: Connection) -> Rows:
    def rows(sql: str) -> tuple[Any, ...] | None:
        with connection.transaction():
            return connection.execute(sql.encode()).fetchone()

    return rows


def _result(check: Mapping[str, Any], definition: Definition) -> CheckResult:
    diagnostics = check.get("diagnostics") or {}
    low, high = bounds(diagnostics.get("fail") or diagnostics.get("warn") or {})
    value = diagnostics.get("value")
    try:
        measured = None if value is None else float(value)
    except (TypeError, ValueError):
        measured = None
    if measured is not None and diagnostics.get("measure") == "time":
        measured /= 1000  # Soda writes milliseconds
    return judged(
        definition, Found(str(check["outcome"]), measured, low, high, column=check.get("column"))
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


def _silent(definition: Definition, complaints: list[str], without_rows: set[str]) -> CheckResult:
    """Soda says nothing at all of a check that it could not compute; we do."""
    if definition.text in without_rows:
        return nothing_to_measure(definition)
    label = label_of(definition)
    words = (definition.name, definition.metric, label)
    own = [text for text in complaints if any(word in text for word in words)]
    return not_evaluated(
        definition, (own or complaints or ["Soda reported nothing for this check"])[0]
    )


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
