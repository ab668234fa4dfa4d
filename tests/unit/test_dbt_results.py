"""Verdicts from small hand-made artifacts: each word of dbt, each file that may not count."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.errors import ChecksError
from monitors.lineage import Lineage
from monitors.results import Category, CheckResult, Layer, Severity, Status
from monitors.scan.dbt import read_build
from monitors.scan.dbt_artifacts import (
    Artifacts,
    Build,
    keep_build,
    read_artifacts,
    read_sources,
)
from monitors.scan.dbt_freshness import read_freshness
from monitors.scan.dbt_target import read_target

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=timezone.utc)
TEST = "test.shop.unique_orders_id.abc123"
Node = dict[str, Any]


def model(name: str, *parents: str, **more: Any) -> Node:
    return {
        "unique_id": f"model.shop.{name}", "resource_type": "model", "name": name,
        "package_name": "shop", "schema": "facts", "alias": name,
        "original_file_path": f"models/marts/{name}.sql", "depends_on": {"nodes": list(parents)},
        **more,
    }  # fmt: skip


def data_test(unique_id: str = TEST, on: str = "orders", **config: Any) -> Node:
    return {
        "unique_id": unique_id, "resource_type": "test", "name": unique_id.split(".")[2],
        "package_name": "shop", "schema": "audit", "column_name": "id", "config": config,
        "original_file_path": "models/marts/shop.yml", "attached_node": f"model.shop.{on}",
        "depends_on": {"nodes": [f"model.shop.{on}"]},
        "test_metadata": {"name": unique_id.split(".")[2].split("_")[0], "kwargs": {}},
        "compiled_path": "target/compiled/x.sql",
    }  # fmt: skip


def said(unique_id: str, status: str, **more: Any) -> dict[str, Any]:
    return {"unique_id": unique_id, "status": status, "failures": None, "message": None, **more}


def metadata(kind: str, invocation: str = "one", at: datetime = NOW, **env: str) -> Node:
    return {
        "dbt_schema_version": f"https://schemas.getdbt.com/dbt/{kind}.json",
        "dbt_version": "1.11.16",
        "generated_at": at.isoformat(),
        "invocation_started_at": (at - timedelta(minutes=5)).isoformat(),
        "invocation_id": invocation,
        "env": env,
    }


def manifest(*nodes: Node, invocation: str = "one", **more: Any) -> Node:
    return {
        "metadata": {**metadata("manifest/v12", invocation), "project_name": "shop"},
        "nodes": {each["unique_id"]: each for each in nodes},
        **more,
    }


def run_results(*results: Node, invocation: str = "one", at: datetime = NOW, **args: Any) -> Node:
    args = {"which": "build", "select": [], "exclude": [], **args}
    env = {"RAMPART_RUN_ID": args.pop("run_id")} if "run_id" in args else {}
    return {
        "metadata": metadata("run-results/v6", invocation, at, **env),
        "results": list(results), "args": args, "elapsed_time": 60,
    }  # fmt: skip


def verdicts(nodes: list[Node], *results: Node, **args: Any) -> dict[str, CheckResult]:
    found = manifest(*nodes)
    by_default = args.pop("selects_by_default", False)
    artifacts = Artifacts(
        found, run_results(*results, **args), is_builds_own=True, selects_by_default=by_default
    )
    return {each.check_id: each for each in read_build(artifacts, Lineage(found))}


def one(node: Node, result: Node, **more: Any) -> CheckResult:
    found = verdicts([model("orders"), node], said("model.shop.orders", "success"), result, **more)
    return next(each for check_id, each in found.items() if check_id != "dbt.model.orders")


# --- dbt's words --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("pass", Status.PASS),
        ("warn", Status.WARN),
        ("fail", Status.FAIL),
        ("error", Status.ERROR),
        ("runtime error", Status.ERROR),
        ("skipped", Status.MISSING),
        ("no-op", Status.BLIND),
        ("a word of tomorrow", Status.ERROR),
    ],
)
def test_each_word_about_a_test_has_one_status(word: str, status: Status) -> None:
    assert status is one(data_test(), said(TEST, word)).status


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("success", Status.PASS),
        ("no-op", Status.PASS),
        ("error", Status.ERROR),
        ("partial success", Status.FAIL),
        ("skipped", Status.MISSING),
    ],
)
def test_each_word_about_a_model_has_one_status(word: str, status: Status) -> None:
    found = verdicts([model("orders")], said("model.shop.orders", word))["dbt.model.orders"]

    assert status is found.status
    assert (Severity.HIGH, Layer.GOLD) == (found.severity, found.layer)


def test_a_microbatch_says_how_many_batches_failed() -> None:
    batches = {"successful": [["a", "b"], ["b", "c"]], "failed": [["c", "d"]]}
    partial = said("model.shop.orders", "partial success", batch_results=batches)
    found = verdicts([model("orders")], partial)["dbt.model.orders"]

    assert "1 of 3 batches failed" == found.message
    assert (1, 3) == (found.numerator, found.denominator)


@pytest.mark.parametrize(
    ("config", "word", "limit", "message"),
    [
        ({}, "fail", 0, "failures=12 (max 0)"),
        ({"error_if": ">10"}, "fail", 10, "failures=12 (max 10)"),
        ({"error_if": ">= 10"}, "fail", 9, "failures=12 (max 9)"),
        ({"error_if": ">100", "warn_if": ">10"}, "warn", 100, "failures=12 (max 10)"),
        ({"severity": "warn", "warn_if": ">5", "error_if": ">9"}, "warn", 5, "failures=12 (max 5)"),
        ({"error_if": "between 5 and 20"}, "fail", None, "failures=12 (fails if between 5 and 20)"),
        ({"error_if": "!= 3"}, "fail", None, "failures=12 (fails if != 3)"),
    ],
)
def test_the_bound_is_the_condition_that_decides(
    config: Node, word: str, limit: int | None, message: str
) -> None:
    found = one(data_test(**config), said(TEST, word, failures=12))

    assert (limit, message) == (found.expected_max, found.message)


def test_severity_is_stated_or_dbts_own() -> None:
    """A word of somebody else's is no reason to refuse a verdict."""
    for config, severity in (
        ({}, Severity.MEDIUM),
        ({"severity": "WARN"}, Severity.LOW),
        ({"severity": "warn", "meta": {"severity": "critical"}}, Severity.CRITICAL),
        ({"meta": {"severity": "P1"}}, Severity.MEDIUM),
    ):
        assert severity is one(data_test(**config), said(TEST, "pass")).severity


def test_a_test_may_state_its_layer_and_category() -> None:
    found = one(data_test(meta={"layer": "bronze", "category": "business"}), said(TEST, "pass"))

    assert (Layer.BRONZE, Category.BUSINESS) == (found.layer, found.category)


def test_failing_rows_are_named_where_they_are() -> None:
    """In the table where dbt stored them, or by the query that finds them."""
    stored = {**data_test(), "relation_name": '"db"."audit"."x"', "alias": "unique_orders_id"}
    found = one(stored, said(TEST, "fail", failures=1)).attributes
    assert "audit.unique_orders_id" == found["failures_relation"]

    found = one(data_test(), said(TEST, "fail", failures=1)).attributes
    assert "target/compiled/x.sql" == found["failures_sql"]
    assert "failures_sql" not in one(data_test(), said(TEST, "pass", failures=0)).attributes


def test_two_tests_with_one_name_keep_both_verdicts() -> None:
    """Also when only one of them was run: the id does not depend on the selection."""
    other = "test.shop.unique_orders_id.def456"
    nodes = [model("orders"), data_test(), data_test(other)]
    both = verdicts(nodes, said(TEST, "pass"), said(other, "fail"), exclude=["x"])
    alone = verdicts(nodes, said(TEST, "pass"), exclude=["x"])

    assert {"dbt.orders.id.unique#abc123", "dbt.orders.id.unique#def456"} == set(both)
    assert {"dbt.orders.id.unique#abc123"} == set(alone)


def test_a_failed_hook_speaks_and_a_green_one_does_not() -> None:
    """When dbt is told to skip everything after it, it is what everything was skipped for."""
    hook = {**model("shop-on-run-start-0"), "resource_type": "operation",
            "unique_id": "operation.shop.shop-on-run-start-0"}  # fmt: skip
    nodes = [hook, model("orders")]
    red = verdicts(nodes, said(hook["unique_id"], "error", message="no such role"),
                   said("model.shop.orders", "skipped"))  # fmt: skip
    green = verdicts(
        nodes, said(hook["unique_id"], "success"), said("model.shop.orders", "success")
    )

    assert hook["unique_id"] == red["dbt.model.orders"].blocked_by
    assert red["dbt.operation.shop-on-run-start-0"].is_red
    assert {"dbt.model.orders"} == set(green)


# --- who must report ----------------------------------------------------------------------------

SHOP = [
    model("raw_orders"),
    model("orders", "model.shop.raw_orders"),
    model("inlined", "model.shop.raw_orders", config={"materialized": "ephemeral"}),
    data_test(),
    data_test("test.shop.unique_raw_id.a1", on="raw_orders"),
    {**data_test("test.shop.nothing_off_id.a2"), "config": {"enabled": False}},
    {**data_test("test.elementary.accepted_el_id.a3"), "package_name": "elementary"},
]
RAW = said("model.shop.raw_orders", "success")


def missing(*results: Node, **args: Any) -> set[str]:
    return {
        check_id
        for check_id, each in verdicts(SHOP, *results, **args).items()
        if each.status is Status.MISSING
    }


def test_of_a_whole_build_everything_enabled_must_report() -> None:
    assert {"dbt.model.orders", "dbt.orders.id.unique", "dbt.raw_orders.id.unique"} == missing(RAW)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({"exclude_resource_types": ["test"]}, {"dbt.model.orders"}),
        ({"resource_types": ["test"]}, {"dbt.orders.id.unique", "dbt.raw_orders.id.unique"}),
        ({"which": "run"}, {"dbt.model.orders"}),
        ({"which": "test"}, {"dbt.orders.id.unique", "dbt.raw_orders.id.unique"}),
        ({"select": ["raw_orders"]}, {"dbt.raw_orders.id.unique"}),
        ({"select": ["raw_orders"], "indirect_selection": "empty"}, set()),
        ({"exclude": ["orders"]}, set()),
        ({"selector": "nightly"}, set()),
        ({"invocation_command": "dbt retry"}, set()),
        ({"selects_by_default": True}, set()),
    ],
)
def test_of_a_part_only_what_its_arguments_promise(args: Node, expected: set[str]) -> None:
    """dbt does not write down what it selected; nothing is missing that perhaps was not meant."""
    assert expected == missing(RAW, **args)


def test_what_a_failed_parent_kept_from_running_counts_at_the_parent() -> None:
    """Skipped, or never reached: both name it; what merely was not reached is red itself."""
    failed = said("model.shop.raw_orders", "error", message="Database Error in model\n  no")
    found = verdicts(SHOP, failed, said("model.shop.orders", "skipped"))

    assert {"dbt.model.raw_orders"} == {k for k, each in found.items() if each.is_red}
    assert "skipped: model.shop.raw_orders failed" == found["dbt.model.orders"].message
    assert "not run: model.shop.raw_orders failed" == found["dbt.orders.id.unique"].message

    cut_short = said("model.shop.orders", "skipped", message="Skipping due to fail_fast")
    found = verdicts(SHOP, RAW, cut_short)
    assert found["dbt.model.orders"].is_red
    assert "Skipping due to fail_fast" == found["dbt.model.orders"].message
    assert found["dbt.orders.id.unique"].is_red
    assert "ended before it" in found["dbt.orders.id.unique"].message


# --- which files count --------------------------------------------------------------------------


class Target:
    """A target folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("manifest.json", manifest(*SHOP))

    def write(self, name: str, content: Any) -> None:
        text = content if isinstance(content, str) else json.dumps(content)
        (self.folder / name).write_text(text)

    def read(self, build: Build | None = None, now: datetime = NOW) -> Artifacts | None:
        return read_artifacts(self.folder, build=build, project="shop", now=now)

    def lost(self, build: Build | None = None, now: datetime = NOW) -> str:
        found = self.read(build, now)
        assert found is not None
        return found.lost


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(tmp_path)


def build_at(hour: int, **more: Any) -> Build:
    return Build("run-1", NOW.replace(hour=hour), **more)


def test_without_a_build_there_is_nothing(target: Target) -> None:
    assert target.read() is None


def test_other_commands_write_no_results_of_a_build(target: Target) -> None:
    for command in ("generate", "compile", "run-operation", "seed"):
        target.write("run_results.json", run_results(RAW, which=command))

        assert target.read() is None


def test_what_a_build_left_outlives_dbt_docs_generate(target: Target) -> None:
    """Its manifest too: a test that somebody wrote since then was not in that build."""
    target.write("run_results.json", run_results(RAW))
    keep_build(target.folder)
    target.write("run_results.json", run_results(RAW, which="generate", invocation="two"))
    target.write("manifest.json", manifest(*SHOP, model("new"), invocation="two"))
    found = target.read()

    assert found is not None
    assert found.run_results is not None
    assert "build" == found.run_results["args"]["which"]
    assert found.is_builds_own
    assert found.is_kept
    assert "model.shop.new" not in found.manifest["nodes"]


def test_a_retry_with_nothing_to_repeat_is_no_build(target: Target) -> None:
    target.write("run_results.json", run_results(RAW))
    keep_build(target.folder)
    retry = run_results(invocation_command="dbt retry", invocation="two")
    target.write("run_results.json", retry)
    target.write("graph_summary.json", {"_invocation_id": "two", "with_test_edges": {}})
    found = target.read(now=NOW + timedelta(days=1))

    assert found is not None
    assert found.run_results is not None
    assert 1 == len(found.run_results["results"])
    assert "" == found.lost


def test_older_results_than_the_build_are_not_repeated(target: Target) -> None:
    target.write("run_results.json", run_results(RAW, at=NOW.replace(hour=7)))

    assert "" == target.lost(build_at(6))
    lost = target.lost(build_at(8))
    assert "began 2026-03-02 08:00 UTC (run run-1) left no results" in lost
    assert "the results before it are of 2026-03-02 07:00 UTC" in lost
    assert "" == target.lost(build_at(8, is_running=True))


def test_the_stamp_decides_whatever_the_clocks_say(target: Target) -> None:
    """The warehouse's clock may be ahead; and a stamp of another run is another build's."""
    target.write("run_results.json", run_results(RAW, run_id="run-1"))
    assert "" == target.lost(build_at(10))

    target.write("run_results.json", run_results(RAW, run_id="run-2"))
    assert "left no results" in target.lost(build_at(6))


def test_a_lost_build_makes_all_its_checks_missing(target: Target) -> None:
    target.write("run_results.json", run_results(RAW, at=NOW.replace(hour=7)))
    found = target.read(build_at(8))
    assert found is not None
    results = read_build(found, Lineage(found.manifest))

    assert 4 == len(results)
    assert all(each.is_red and each.status is Status.MISSING for each in results)
    assert all("left no results" in each.message for each in results)


def test_a_lost_build_of_a_selection_is_missing_itself(target: Target) -> None:
    """Nobody knows what it had selected, but that it was silent is known."""
    found = target.read(build_at(8, selection="orders+"))
    assert found is not None
    results = read_build(found, Lineage(found.manifest))

    assert ["dbt.build"] == [each.check_id for each in results]
    assert "the build --select orders+ that began" in results[0].message


def test_a_selection_that_was_broken_off_is_missing_beside_what_it_reached(target: Target) -> None:
    """Of a whole build the register names each node; of a selection only dbt knew them."""
    stopped = build_at(8, selection="raw_orders+", is_broken_off=True)
    target.write("run_results.json", run_results(RAW, run_id="run-1", select=["raw_orders+"]))
    found = target.read(stopped)
    assert found is not None
    results = {each.check_id: each for each in read_build(found, Lineage(found.manifest))}

    assert {"dbt.model.raw_orders", "dbt.raw_orders.id.unique", "dbt.build"} == set(results)
    assert Status.PASS is results["dbt.model.raw_orders"].status
    assert "was stopped" in results["dbt.build"].message
    target.write("run_results.json", run_results(RAW, run_id="run-1"))
    assert "" == target.lost(build_at(8, is_broken_off=True))


def test_a_build_by_hand_that_was_killed_is_noticed(target: Target) -> None:
    """Only `dbt build` writes a graph with the edges of tests; it has its time to finish."""
    target.write("run_results.json", run_results(RAW, at=NOW - timedelta(days=1)))
    target.write("manifest.json", manifest(*SHOP, invocation="two"))
    for graph, minutes, is_lost in (
        ({"_invocation_id": "two", "with_test_edges": {}}, 30, True),
        ({"_invocation_id": "two", "with_test_edges": {}}, 5, False),
        ({"_invocation_id": "two", "linked": {}}, 30, False),
        ({"_invocation_id": "one", "with_test_edges": {}}, 30, False),
    ):
        target.write("graph_summary.json", graph)
        os.utime(target.folder / "graph_summary.json", (NOW.timestamp(), NOW.timestamp()))

        assert is_lost == bool(target.lost(now=NOW + timedelta(minutes=minutes)))


def test_the_first_build_of_all_may_be_killed_too(target: Target) -> None:
    target.write("graph_summary.json", {"_invocation_id": "one", "with_test_edges": {}})
    os.utime(target.folder / "graph_summary.json", (NOW.timestamp(), NOW.timestamp()))

    found = target.read()
    assert found is not None
    assert [] == read_build(found, Lineage(found.manifest)), "it may still run"
    assert "left no results" in target.lost(now=NOW + timedelta(minutes=11))


def test_a_build_by_hand_is_killed_at_once_where_no_dbt_is_connected(target: Target) -> None:
    target.write("run_results.json", run_results(RAW, at=NOW - timedelta(days=1)))
    target.write("manifest.json", manifest(*SHOP, invocation="two"))
    target.write("graph_summary.json", {"_invocation_id": "two", "with_test_edges": {}})
    os.utime(target.folder / "graph_summary.json", (NOW.timestamp(), NOW.timestamp()))
    for at_work in (lambda: True, lambda: False):
        found = read_artifacts(
            target.folder, build=None, project="shop", now=NOW, is_dbt_at_work=at_work
        )
        assert found is not None

        assert at_work() == (not found.lost)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("run_results.json", " \n", "run_results.json: is empty"),
        ("run_results.json", '{"results": [', "is no whole JSON document"),
        ("run_results.json", {"metadata": {}, "results": {}}, "found no artifact of dbt"),
        ("run_results.json", {"metadata": {}, "results": [1]}, "found no artifact of dbt"),
        ("run_results.json", run_results(said("model.other.x", "success")),
         "found results of another project (model.other.x)"),
        ("manifest.json", "{}", "manifest.json: found no artifact of dbt"),
        ("manifest.json", {**manifest(), "metadata": metadata("manifest/v20")},
         "found schema manifest/v20 of dbt 1.11.16, allowed is manifest/v12 (dbt 1.8 to 1.11)"),
        ("manifest.json", {**manifest(*SHOP), "metadata": {
            **metadata("manifest/v12"), "project_name": "other"}},
         "found the dbt project `other`, allowed is `shop`"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_count_is_one_clear_error(
    target: Target, name: str, content: Any, message: str
) -> None:
    """With the file, what was found and what is allowed."""
    target.write("run_results.json", run_results(RAW))
    target.write(name, content)
    with pytest.raises(ChecksError) as error:
        target.read()

    assert str(target.folder / name) in str(error.value)
    assert message in str(error.value)


def test_a_default_selector_is_heard_of(target: Target) -> None:
    """From the manifest, or from selectors.yml, which dbt's partial parsing overlooks."""
    target.write("run_results.json", run_results(RAW))
    found = target.read()
    assert found is not None
    assert not found.selects_by_default

    nightly = {"name": "nightly", "default": True, "definition": "orders"}
    target.write("manifest.json", manifest(*SHOP, selectors={"nightly": nightly}))
    found = target.read()
    assert found is not None
    assert found.selects_by_default

    project = target.folder / "project"
    (project / "target").mkdir(parents=True)
    (project / "selectors.yml").write_text(json.dumps({"selectors": [nightly]}))
    other = Target(project / "target")
    other.write("run_results.json", run_results(RAW))
    found = other.read()
    assert found is not None
    assert found.selects_by_default


def test_results_without_a_manifest_are_an_error(target: Target) -> None:
    target.write("run_results.json", run_results(RAW))
    (target.folder / "manifest.json").unlink()
    with pytest.raises(ChecksError, match=r"manifest\.json: not found"):
        target.read()


def test_a_build_without_any_artifact_is_an_error(target: Target) -> None:
    (target.folder / "manifest.json").unlink()
    with pytest.raises(ChecksError, match=r"run_results\.json: not found; the build that began"):
        target.read(build_at(8))


# --- freshness ----------------------------------------------------------------------------------

LIMITS = {
    "warn_after": {"count": 1, "period": "hour"},
    "error_after": {"count": 2, "period": "day"},
}


def source(name: str, group: str = "landing", **more: Any) -> Node:
    return {
        "unique_id": f"source.shop.{group}.{name}", "resource_type": "source", "name": name,
        "source_name": group, "package_name": "shop", "schema": group, "identifier": name,
        "freshness": LIMITS, **more,
    }  # fmt: skip


def freshness(*results: Node, now: datetime = NOW) -> dict[str, CheckResult]:
    nodes = [source("events"), source("users"), source("else", "elsewhere"),
             source("free", freshness={"warn_after": {"count": None, "period": None}})]  # fmt: skip
    graph = Lineage(manifest(sources={each["unique_id"]: each for each in nodes}))
    found = {"metadata": metadata("sources/v3"), "results": list(results)}
    return {each.check_id: each for each in read_freshness(found, graph, now)}


def looked(hours: float, status: str, **more: Any) -> Node:
    return {
        "unique_id": "source.shop.landing.events", "status": status, "criteria": LIMITS,
        "max_loaded_at": (NOW - timedelta(hours=hours)).isoformat(),
        "snapshotted_at": NOW.isoformat(), "max_loaded_at_time_ago_in_s": hours * 3600, **more,
    }  # fmt: skip


EVENTS = "dbt.source.landing.events.freshness"


@pytest.mark.parametrize(
    ("result", "status", "message"),
    [
        (looked(0.5, "pass"), Status.PASS, "age 30 min (warns after 1.0 h, late after 2.0 days)"),
        (looked(5, "warn"), Status.WARN, "age 5.0 h (warns after 1.0 h, late after 2.0 days)"),
        (looked(72, "error"), Status.FAIL, "age 3.0 days (warns after 1.0 h, late after 2.0 days)"),
        (looked(1, "error", max_loaded_at="0001-01-01T00:00:00+00:00"), Status.MISSING,
         "no row yet, so it has no age"),
        ({"unique_id": "source.shop.landing.events", "status": "runtime error",
          "error": "no such\n table"}, Status.ERROR, "no such table"),
    ],
)  # fmt: skip
def test_each_word_about_a_source_has_one_status(
    result: Node, status: Status, message: str
) -> None:
    found = freshness(result)[EVENTS]

    assert (status, message) == (found.status, found.message)
    assert (Layer.BRONZE, "landing.events") == (found.layer, found.dataset)


def test_a_table_that_dbt_left_out_is_missing_in_the_sources_it_looked_at() -> None:
    """Another source may have another schedule; a table without limits claims nothing."""
    found = freshness(looked(0.5, "pass"))

    assert {EVENTS, "dbt.source.landing.users.freshness"} == set(found)
    assert Status.MISSING is found["dbt.source.landing.users.freshness"].status
    assert 3 == len(freshness()), "dbt gave no answer at all"


def test_a_pass_holds_until_the_source_would_be_late() -> None:
    """A sources.json of last week says nothing of today; what was late stays so until looked at."""
    for hours, status, expected in (
        (47, "pass", Status.PASS),
        (48, "pass", Status.MISSING),
        (480, "error", Status.FAIL),
    ):
        found = freshness(looked(0.5, status), now=NOW + timedelta(hours=hours))[EVENTS]

        assert expected is found.status
    late = freshness(looked(0.5, "pass"), now=NOW + timedelta(days=9))[EVENTS]
    assert late.message.startswith("nobody has looked since 2026-03-02 09:00 UTC")


def test_freshness_may_be_all_there_is(target: Target) -> None:
    """`dbt source freshness` before any build: nothing was to be built."""
    found = {"metadata": metadata("sources/v3"), "results": [looked(1, "pass")]}
    target.write("sources.json", found)
    sources = {"source.shop.landing.events": source("events")}
    target.write("manifest.json", manifest(*SHOP, sources=sources))

    assert [EVENTS] == [each.check_id for each in read_target(target.folder, "shop", NOW)]


def test_sources_of_another_project_are_refused(target: Target) -> None:
    found = {"metadata": metadata("sources/v3"), "results": [looked(1, "pass")]}
    target.write("sources.json", found)
    with pytest.raises(ChecksError, match="found sources of another project"):
        read_sources(target.folder, manifest(*SHOP))


# --- whatever stands in the files ---------------------------------------------------------------


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_no_value_in_the_wrong_place_stops_a_scan(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """One value of one file is replaced: there are verdicts, or one error that says so."""
    found = {"metadata": metadata("sources/v3"), "results": [looked(1, "pass")]}
    landing = source("events")
    files = {
        "manifest.json": manifest(*SHOP, sources={landing["unique_id"]: landing}),
        "run_results.json": run_results(RAW, said(TEST, "fail", failures=3)),
        "sources.json": found,
    }
    whole = json.loads(json.dumps(files))
    place: Any = whole[data.draw(st.sampled_from(sorted(files)))]
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else [0]))
        deeper = place[key]
        if not isinstance(deeper, dict | list) or not deeper or data.draw(st.booleans()):
            place[key] = data.draw(st.sampled_from([None, 1, "x", [], {}, [1], {"a": 1}, True]))
            break
        place = deeper
    target = Target(tmp_path_factory.mktemp("target"))
    for name, content in whole.items():
        target.write(name, content)
    results = read_target(target.folder, "shop", NOW)

    assert all(each.check_id and each.message for each in results)
    broken = {"dbt.artifacts", "dbt.freshness"} & {each.check_id for each in results}
    assert len(broken) <= 1
