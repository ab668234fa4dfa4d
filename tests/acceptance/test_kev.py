"""The catalogue of exploited vulnerabilities: 54 real extracts; nothing is ever taken out."""

from __future__ import annotations

import pytest

from tests.acceptance.registers import Extract, Register, extracts_of, history, install, needs
from tests.conftest import Server

pytestmark = needs("kev")

ATTRIBUTES = ("vendor", "product", "vulnerability_name", "date_added", "short_description",
              "required_action", "due_date", "ransomware_use", "notes", "cwes")  # fmt: skip


@pytest.fixture(scope="module")
def extracts() -> list[Extract]:
    return list(extracts_of("kev"))


@pytest.fixture(scope="module")
def register(
    tmp_path_factory: pytest.TempPathFactory, embedded_server: Server, extracts: list[Extract]
) -> Register:
    register = install("kev", tmp_path_factory.mktemp("kev"), embedded_server.new_database())
    for extract in extracts:
        extract.write_csv(register.landing)
    assert (0, ()) == ((loaded := register.load()).exit_code, loaded.alerts)
    register.build()
    return register


def test_the_dimension_is_what_python_derives(register: Register, extracts: list[Extract]) -> None:
    """Versions, their moments and their ends; a blank cell is '' and no cell is null."""
    expected = history(extracts)

    assert expected == register.versions("marts.dim_vulnerabilities", "cve_id", ATTRIBUTES)
    assert not any(version.is_deleted for version in expected)
    assert {len(extracts[-1].rows)} == {sum(version.valid_to is None for version in expected)}
    assert 0 < sum(version.attributes[-1] == "" for version in expected)


def test_every_row_is_accounted_for(register: Register, extracts: list[Extract]) -> None:
    """Nothing is rejected; rows without a weakness are flagged and stay."""
    rows = [row for extract in extracts for row in extract.rows]
    assert 70_125 == len(rows)

    assert [(len(rows), len(rows), 0)] == register.rows(
        "select sum(arrived), sum(taken), sum(abs(unaccounted)) from monitoring.conservation"
    )
    assert [("weakness_named", "flag", sum(row[-1] == "" for row in rows))] == register.rows(
        "select rule, effect, count(*) from quarantine.violations group by 1, 2"
    )
    results = {each.check_id: each for each in register.scan().results}
    assert ("pass", 100.0) == (
        results["kev.scd2_integrity"].status.value,
        results["kev.scd2_integrity"].metric_value,
    )


def test_a_lost_entity_is_unaccounted_for(register: Register, extracts: list[Extract]) -> None:
    """What conservation says of a dimension could fail: one entity gone, its rows are missing."""
    key = extracts[0].rows[0][0]
    register.execute(f"delete from marts.dim_vulnerabilities where cve_id = '{key}'")

    assert len(extracts) == register.value("select sum(unaccounted) from monitoring.conservation")
