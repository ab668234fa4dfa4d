"""The graph of a manifest: who is to blame, who reads it, whose it is."""

from __future__ import annotations

from typing import Any

from monitors.lineage import Lineage
from monitors.owners import Owner


def node(kind: str, name: str, *parents: str, **more: Any) -> tuple[str, dict[str, Any]]:
    unique_id = f"{kind}.shop.{name}"
    return unique_id, {
        "unique_id": unique_id,
        "resource_type": kind,
        "name": name,
        "depends_on": {"nodes": list(parents)},
        **more,
    }


def lineage(**changes: Any) -> Lineage:
    """raw -> stg -> fact -> board, with a test on stg, one on fact, and one on both."""
    sources = dict(
        [node("source", "raw", schema="landing", identifier="Events", source_name="landing")]
    )
    nodes = dict(
        [
            node("model", "stg", "source.shop.raw", schema="staging", alias="stg_events",
                 checksum={"name": "sha256", "checksum": "abc"}),
            node("model", "fact", "model.shop.stg", schema="facts", group="sales"),
            node("model", "side", "model.shop.stg", config={"meta": {"owner": ["Ann", "Bob"]}}),
            node("test", "stg_ok", "model.shop.stg", attached_node="model.shop.stg"),
            node("test", "fact_ok", "model.shop.fact", attached_node="model.shop.fact"),
            node("test", "both", "model.shop.stg", "model.shop.fact"),
        ]
    )  # fmt: skip
    exposures = dict(
        [node("exposure", "board", "model.shop.fact", owner={"email": "eve@x"}, type="dashboard",
              label="The Board", url="https://board")]
    )  # fmt: skip
    groups = {"group.shop.sales": {"name": "sales", "owner": {"name": "Sales"}}}
    manifest = {"nodes": nodes, "sources": sources, "exposures": exposures, "groups": groups}
    return Lineage({**manifest, **changes})


def test_ancestors_and_descendants_come_nearest_first() -> None:
    graph = lineage()

    assert ["model.shop.fact", "model.shop.stg", "source.shop.raw"] == graph.ancestors(
        "exposure.shop.board"
    )
    assert "model.shop.stg" == graph.descendants("source.shop.raw")[0]
    assert 8 == len(graph.descendants("source.shop.raw")) + 1
    assert [] == graph.ancestors("model.shop.unheard_of")


def test_the_nearest_failing_ancestor_is_to_blame() -> None:
    """Of two that failed, the one that stands nearer; what failed itself has nobody to blame."""
    failed = {"source.shop.raw", "model.shop.stg"}
    graph = lineage()

    assert "model.shop.stg" == graph.first_failing_ancestor("test.shop.fact_ok", failed)
    assert graph.first_failing_ancestor("model.shop.stg", failed) is None
    assert graph.first_failing_ancestor("model.shop.fact", set()) is None


def test_a_failed_test_blocks_models_and_not_the_other_tests_of_its_model() -> None:
    """dbt builds nothing upon a node whose test failed; the node's other tests run."""
    graph = lineage()
    failed = {"test.shop.stg_ok"}

    assert "test.shop.stg_ok" == graph.first_failing_ancestor("model.shop.fact", failed)
    assert "test.shop.stg_ok" == graph.first_failing_ancestor("test.shop.fact_ok", failed)
    assert graph.first_failing_ancestor("test.shop.other", failed) is None
    assert "model.shop.stg" not in graph.blame(failed)


def test_a_test_of_two_models_blocks_only_what_is_made_from_both() -> None:
    graph = lineage()

    assert {"exposure.shop.board": "test.shop.both"} == graph.blame({"test.shop.both"})


def test_blame_goes_no_further_than_what_was_skipped() -> None:
    """fact was built in spite of stg: then nothing below fact was skipped because of stg."""
    blamed = lineage().blame({"model.shop.stg"}, through={"model.shop.side"})

    assert {"model.shop.fact", "model.shop.side", "test.shop.stg_ok", "test.shop.both"} == set(
        blamed
    )


def test_a_circle_ends() -> None:
    """No manifest of dbt has one; a broken one must not hang a scan."""
    nodes = dict([node("model", "a", "model.shop.b"), node("model", "b", "model.shop.a")])

    assert ["model.shop.b"] == Lineage({"nodes": nodes}).ancestors("model.shop.a")


def test_relations_find_their_node_in_whatever_way_they_are_written() -> None:
    graph = lineage()

    for name in ("landing.events", '"dev"."landing"."Events"', "LANDING.EVENTS"):
        assert "source.shop.raw" == graph.node_of(name)
    assert "model.shop.stg" == graph.node_of("staging.stg_events")
    assert graph.node_of("staging.nothing") is None
    assert graph.node_of("") is None


def test_exposures_below_a_relation_are_named_with_their_owner() -> None:
    board = {"name": "The Board", "owner": "eve@x", "kind": "dashboard", "url": "https://board"}
    graph = lineage()

    assert [board] == [each.as_dict() for each in graph.exposures_of_relation("landing.events")]
    assert [board] == [each.as_dict() for each in graph.exposures_of("test.shop.both")]
    assert () == graph.exposures_of_relation("nobody.knows")
    assert () == graph.exposures_of("model.shop.side")


def test_an_owner_is_stated_or_the_groups_or_the_readers() -> None:
    graph = lineage()

    assert Owner("Ann, Bob") == graph.owner("model.shop.side")
    assert Owner("Sales") == graph.owner("model.shop.fact")
    assert Owner("eve@x", is_reader=True) == graph.owner("model.shop.stg")
    assert Owner("Sales") == graph.owner("test.shop.fact_ok")
    assert Owner("Sales") == graph.owner("test.shop.both")
    assert Owner("Sales") == graph.owner_of_relation("facts.fact")
    assert graph.owner_of_relation("facts.unheard_of") is None
    assert graph.owner("model.shop.unheard_of") is None


def test_the_checksum_is_that_of_the_code() -> None:
    assert "abc" == lineage().checksum("model.shop.stg")
    assert lineage().checksum("model.shop.fact") is None
