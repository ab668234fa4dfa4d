"""Whose a dataset and its incidents are."""

from __future__ import annotations

from typing import Any

import pytest

from monitors.commands.record import with_owners
from monitors.lineage import Lineage
from monitors.owners import Owner, decided, of_incident, stated
from tests.alerting import verdict_of

FINANCE, SALES = Owner("Finance"), Owner("Sales")
READER = Owner("Web", is_reader=True)


@pytest.mark.parametrize("owner", [FINANCE, READER])
def test_a_result_carries_its_owner(owner: Owner) -> None:
    """And whether it is one, or only reads."""
    assert owner == stated(owner.attributes)


def test_a_result_without_an_owner_names_nobody() -> None:
    """An empty word is nobody, and nobody reads."""
    assert stated({}) is stated({"owner": ""}) is stated({"owner_reads": True}) is None


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([], None),
        ([None, None], None),
        ([READER, None], READER),
        ([READER, FINANCE], FINANCE),
        ([SALES, READER, FINANCE, SALES], Owner("Finance, Sales")),
        ([READER, Owner("App", is_reader=True)], Owner("App, Web", is_reader=True)),
    ],
)
def test_who_owns_comes_before_who_reads(said: list[Owner | None], expected: Owner | None) -> None:
    """A reader counts only where nobody owns."""
    assert expected == decided(said)


def test_a_reader_is_said_to_be_one() -> None:
    """Never shown as if it were the owner."""
    assert ("Finance", "Web (of the report that reads it)") == (FINANCE.text, READER.text)


@pytest.mark.parametrize(
    ("lead", "dataset", "expected"),
    [
        (None, None, None),
        (None, FINANCE, FINANCE),
        (SALES, FINANCE, SALES),
        (READER, FINANCE, FINANCE),
        (READER, None, READER),
    ],
)
def test_an_incident_has_an_owner_when_its_dataset_has_one(
    lead: Owner | None, dataset: Owner | None, expected: Owner | None
) -> None:
    """What the check names itself is the most exact; then the dataset's, then a reader."""
    assert expected == of_incident(lead, dataset)


def test_a_check_without_an_owner_gets_that_of_its_dataset() -> None:
    """From dbt's lineage, which is read only when somebody asks; nobody loses an own one."""
    nodes: dict[str, Any] = {
        "model.shop.a": {"resource_type": "model", "schema": "facts", "name": "a",
                         "config": {"meta": {"owner": "Finance"}}},
        "model.shop.b": {"resource_type": "model", "schema": "facts", "name": "b"},
    }  # fmt: skip
    exposures = {
        "exposure.shop.board": {"resource_type": "exposure", "name": "board",
                                "owner": {"name": "Web"}, "depends_on": {"nodes": ["model.shop.b"]}}
    }  # fmt: skip
    results = [
        verdict_of("a", dataset="facts.a"),
        verdict_of("b", dataset="facts.b"),
        verdict_of("c", dataset="facts.unknown"),
        verdict_of("d", dataset="facts.a", attributes={"owner": "Ann"}),
    ]
    found = with_owners(results, lambda: Lineage({"nodes": nodes, "exposures": exposures}))

    assert [FINANCE, READER, None, Owner("Ann")] == [stated(each.attributes) for each in found]

    def unread() -> Lineage:
        raise AssertionError("nobody needs it")

    assert results[3:] == with_owners(results[3:], unread)
