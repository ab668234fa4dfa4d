"""dbt's own artifacts as verdicts: every model and test that the last build had selected."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from monitors.lineage import TESTS, Lineage, Node, relation_of
from monitors.results import Category, CheckResult, Severity, Status
from monitors.scan.dbt_artifacts import Artifacts, moment_of
from monitors.scan.dbt_nodes import SUITE, attributes_of, check_id_of, layer_of, parent_of, word_of
from monitors.scan.dbt_register import BUILT, TOOLS, expected

_STATUS = {
    "success": Status.PASS,
    "pass": Status.PASS,
    "warn": Status.WARN,
    "fail": Status.FAIL,
    "error": Status.ERROR,
    "runtime error": Status.ERROR,
    "partial success": Status.FAIL,
    "skipped": Status.MISSING,
    "no-op": Status.PASS,
    "reused": Status.PASS,
}
_BY_ITS_OWN_FAULT = ("error", "fail", "runtime error", "partial success")
_DID_NOTHING = ("no-op", "reused")
_SEVERITY = {"error": Severity.MEDIUM, "warn": Severity.LOW}
"""What dbt's own severity means where meta.severity says nothing."""
_LIMIT = re.compile(r"(?P<sign>>=|>|!=)\s*(?P<number>\d+)")

Result = Mapping[str, Any]


def read_build(artifacts: Artifacts, lineage: Lineage) -> list[CheckResult]:
    """Verdicts of a build: what reported, and as missing what was selected and did not.

    A node that was skipped because of a failed parent names it, by its unique_id, in `blocked_by`
    and counts there only.
    """
    return _Reading(artifacts, lineage).results()


class _Reading:
    """What every verdict of one build needs, computed once."""

    def __init__(self, artifacts: Artifacts, lineage: Lineage) -> None:
        self.artifacts = artifacts
        self.lineage = lineage
        run = artifacts.run_results or {"metadata": {}, "results": []}
        self.reported: dict[str, Result] = {each["unique_id"]: each for each in run["results"]}
        self.finished: datetime | None = moment_of(run)
        self.invocation: str | None = run["metadata"].get("invocation_id")
        self.absent = [each for each in expected(artifacts, lineage) if each not in self.reported]

    def results(self) -> list[CheckResult]:
        found = [self._of(each, unique_id) for unique_id, each in self.reported.items()]
        found += [self._of_absent(unique_id) for unique_id in self.absent]
        is_lost = self.artifacts.lost and not self.artifacts.blocked_by
        if is_lost and (self.artifacts.selection or not self.absent):
            found.append(_lost_build(self.artifacts))
        return [each for each in found if each is not None]

    def _of(self, each: Result, unique_id: str) -> CheckResult | None:
        node = self.lineage.nodes.get(unique_id)
        status = str(each.get("status"))
        if node is None or (node.get("package_name") in TOOLS and status == "success"):
            return None
        kind = node["resource_type"]
        if kind in TESTS:
            return self._of_test(each, node, status)
        if kind in BUILT or (kind == "operation" and status in _BY_ITS_OWN_FAULT):
            return self._of_model(each, node, status)
        return None

    # ---------------------------------------------------------------- one verdict

    def _of_model(self, each: Result, node: Node, status: str) -> CheckResult:
        unique_id = node["unique_id"]
        blocked_by = self._blocked_by(unique_id) if status == "skipped" else None
        batches = _batches(each) if status == "partial success" else (None, None)
        message = _first_line(each.get("message")) or status
        if batches[0] is not None:
            message = f"{batches[0]} of {batches[1]} batches failed"
        return CheckResult(
            check_id=self.check_ids[unique_id],
            check_name=f"{node['name']} is built",
            suite_name=SUITE,
            dataset=relation_of(node),
            status=_STATUS.get(status, Status.ERROR),
            layer=layer_of(node),
            category=Category.INFRASTRUCTURE,
            severity=word_of(Severity, node, "severity", Severity.HIGH),
            metric_name="execution_seconds",
            metric_value=None if status == "skipped" else each.get("execution_time"),
            numerator=batches[0],
            denominator=batches[1],
            data_timestamp=self.finished,
            blocked_by=blocked_by,
            message=f"skipped: {blocked_by} failed" if blocked_by else message,
            attributes=self._attributes(node),
        )

    def _of_test(self, each: Result, node: Node, status: str) -> CheckResult:
        unique_id = node["unique_id"]
        verdict = _STATUS.get(status, Status.ERROR)
        if status in _DID_NOTHING:
            verdict = Status.BLIND  # it looked at nothing, so it could not have failed
        blocked_by = self._blocked_by(unique_id) if status == "skipped" else None
        failures = each.get("failures")
        limit, said = _limit(node, verdict)
        message = f"failures={failures or 0:,} ({said})"
        if verdict in (Status.ERROR, Status.MISSING, Status.BLIND) or failures is None:
            message = _first_line(each.get("message")) or (message if failures else status)
        return self._test(
            node,
            status=verdict,
            metric_value=failures,
            numerator=failures,
            expected_max=limit,
            data_timestamp=self.finished,
            blocked_by=blocked_by,
            message=f"skipped: {blocked_by} failed" if blocked_by else message,
            attributes={**self._attributes(node), **_where_rows_are(each, node, verdict)},
        )

    def _of_absent(self, unique_id: str) -> CheckResult:
        """A node that was selected and of which the results do not speak: never a pass."""
        node = self.lineage.nodes[unique_id]
        blocked_by = self._blocked_by(unique_id)
        why = self.artifacts.lost or (
            f"the build ended before it, {self.finished:%Y-%m-%d %H:%M} UTC"
            if self.finished
            else "the build ended before it"
        )
        message = f"not run: {blocked_by} failed" if blocked_by else f"no result: {why}"
        if node["resource_type"] not in TESTS:
            return self._of_model({"message": message}, node, "skipped")
        return self._test(
            node,
            status=Status.MISSING,
            expected_max=_limit(node, Status.MISSING)[0],
            data_timestamp=self.finished,
            blocked_by=blocked_by,
            message=message,
            attributes=self._attributes(node),
        )

    def _test(self, node: Node, **found: Any) -> CheckResult:
        parent = self.lineage.nodes.get(parent_of(node) or "", {})
        own = str((node.get("config") or {}).get("severity") or "error").lower()
        return CheckResult(
            check_id=self.check_ids[node["unique_id"]],
            check_name=node["name"],
            suite_name=SUITE,
            dataset=relation_of(parent) if parent else SUITE,
            column_name=node.get("column_name"),
            layer=layer_of(parent or node, node),
            category=word_of(Category, node, "category", Category.DATA_QUALITY),
            severity=word_of(Severity, node, "severity", _SEVERITY.get(own, Severity.MEDIUM)),
            metric_name="failures",
            **found,
        )

    # ---------------------------------------------------------------- what it needs

    @cached_property
    def check_ids(self) -> dict[str, str]:
        """Of every node of the manifest, so that a part of a build gives the same ids."""
        named = {
            unique_id: check_id_of(node, self.lineage.nodes.get(parent_of(node) or "", {}))
            for unique_id, node in self.lineage.nodes.items()
            if node.get("resource_type") in (*BUILT, *TESTS, "operation")
        }
        taken = Counter(named.values())
        return {
            unique_id: name if taken[name] == 1 else f"{name[:200]}#{unique_id.rpartition('.')[2]}"
            for unique_id, name in named.items()
        }

    @cached_property
    def _culprits(self) -> dict[str, str]:
        failed = {
            unique_id
            for unique_id, each in self.reported.items()
            if each.get("status") in _BY_ITS_OWN_FAULT
        }
        skipped = {
            unique_id
            for unique_id, each in self.reported.items()
            if each.get("status") == "skipped"
        }
        compiled_into_others = {
            unique_id
            for unique_id, node in self.lineage.nodes.items()
            if (node.get("config") or {}).get("materialized") == "ephemeral"
        }
        return self.lineage.blame(failed, skipped | compiled_into_others | set(self.absent))

    @cached_property
    def _failed_hook(self) -> str | None:
        """dbt can be told to skip everything when a hook before the run fails."""
        return next(
            (
                unique_id
                for unique_id, each in self.reported.items()
                if unique_id.startswith("operation.")
                and "on-run-start" in unique_id
                and each.get("status") in _BY_ITS_OWN_FAULT
            ),
            None,
        )

    def _blocked_by(self, unique_id: str) -> str | None:
        parent = self._culprits.get(unique_id) or self._failed_hook
        return parent or self.artifacts.blocked_by or None

    def _attributes(self, node: Node) -> dict[str, Any]:
        attributes = attributes_of(node, self.lineage)
        if self.invocation:
            attributes["invocation_id"] = self.invocation
        return attributes


# -------------------------------------------------------------------- what dbt said


def _lost_build(artifacts: Artifacts) -> CheckResult:
    """A build of a selection that did not end: nobody knows what else it had selected."""
    return CheckResult(
        check_id="dbt.build",
        check_name="the last build left all its results",
        suite_name=SUITE,
        dataset=SUITE,
        status=Status.MISSING,
        category=Category.INFRASTRUCTURE,
        severity=Severity.HIGH,
        message=f"no result: {artifacts.lost}",
    )


def _limit(node: Node, status: Status) -> tuple[float | None, str]:
    """(how many failures are allowed, the same in words), of the condition that decides.

    None where the condition is no simple upper limit.
    """
    config = node.get("config") or {}
    warns = str(config.get("severity") or "error").lower() == "warn"
    key = "warn_if" if warns or status is Status.WARN else "error_if"
    condition = str(config.get(key) or "!= 0").strip()
    word = "warns" if key == "warn_if" else "fails"
    limit = _upper_limit(condition)
    decides = _upper_limit(str(config.get("warn_if" if warns else "error_if") or "!= 0").strip())
    return decides, f"max {limit:,}" if limit is not None else f"{word} if {condition}"


def _upper_limit(condition: str) -> int | None:
    found = _LIMIT.fullmatch(condition)
    if found is None or (found["sign"] == "!=" and int(found["number"])):
        return None
    return int(found["number"]) - (found["sign"] == ">=")


def _where_rows_are(each: Result, node: Node, status: Status) -> dict[str, str]:
    """The relation with the failing rows, where dbt stored them, or the query that finds them."""
    if status not in (Status.FAIL, Status.WARN):
        return {}
    if each.get("relation_name") or node.get("relation_name"):
        return {"failures_relation": relation_of(node)}
    path = node.get("compiled_path")
    return {"failures_sql": str(path)} if path else {}


def _batches(each: Result) -> tuple[int | None, int | None]:
    """(failed, all) batches of a microbatch model."""
    found = each.get("batch_results")
    if not found:
        return None, None
    failed = len(found.get("failed") or ())
    return failed, failed + len(found.get("successful") or ())


def _first_line(text: Any) -> str:
    """The first line; of an error also the second, which says why. Row values stay in the log."""
    lines = [line.strip() for line in str(text or "").splitlines() if line.strip()]
    why = lines[1:2] if lines and " Error in " in lines[0] else []
    return ": ".join([*lines[:1], *why])[:300]
