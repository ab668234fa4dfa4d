"""The members of the US Congress: 454 real extracts, several of them within one second.

20 blocks of two extracts could not be read when the data were made (their manifest counts them), so
these members are missing there: a few are closed in January 2013 and come back hours later.
"""

from __future__ import annotations

from itertools import chain, groupby

import pytest

from tests.acceptance.registers import (
    Extract,
    Register,
    Version,
    extracts_of,
    history,
    install,
    needs,
)
from tests.conftest import Server

pytestmark = needs("legislators")

SPLIT = 300
LATE = (30, 31, 32, 223)
SHARED_SECONDS = [[344, 345, 346], [382, 383], [416, 417], [443, 444]]
INCIDENTS = {0, 1, 5, 9, *range(28, 42), 84, 85, 222, 223, 300, 302, 343, *range(417, 423), 453} | {
    *chain.from_iterable(SHARED_SECONDS)
}


@pytest.fixture(scope="module", params=["incidents", pytest.param("all", marks=pytest.mark.slow)])
def extracts(request: pytest.FixtureRequest) -> dict[int, Extract]:
    """By number: those in which something happened, with neighbours; slowly all of them."""
    chosen = INCIDENTS if request.param == "incidents" else None
    return {each.number: each for each in extracts_of("legislators", chosen)}


@pytest.fixture(scope="module")
def register(
    tmp_path_factory: pytest.TempPathFactory, embedded_server: Server, extracts: dict[int, Extract]
) -> Register:
    """Two batches: the first without a few extracts, which come late, with all the others."""
    folder = tmp_path_factory.mktemp("legislators")
    register = install("legislators", folder, embedded_server.new_database())
    first = {number for number in extracts if number < SPLIT} - {*LATE}
    for batch in (first, extracts.keys() - first):
        paths = [extracts[number].write_jsonl(register.landing) for number in sorted(batch)]
        # in any order on the command line; names decide
        loaded = register.load(*reversed(paths))
        assert (0, ()) == (loaded.exit_code, loaded.alerts)
        register.build()
    return register


def versions(register: Register, extracts: dict[int, Extract]) -> list[Version]:
    return register.versions("marts.dim_members", "bioguide_id", extracts[0].columns[1:])


def test_the_dimension_is_what_python_derives(
    register: Register, extracts: dict[int, Extract]
) -> None:
    """Batches and late extracts included: what counts is the moment that an extract states."""
    assert history(extracts.values()) == versions(register, extracts)


def test_within_one_second_the_order_of_names_decides(
    register: Register, extracts: dict[int, Extract]
) -> None:
    """Of several pictures of one second the last one counts, and no version lasts no time."""
    together = [
        [extract.number for extract in group]
        for _moment, group in groupby(extracts.values(), key=lambda extract: extract.moment)
    ]
    shared = [numbers for numbers in together if len(numbers) > 1]
    assert SHARED_SECONDS == shared
    names = {
        number: f"{extracts[number].stamp}_{number:03}.jsonl"
        for number in chain.from_iterable(shared)
    }
    delivered = dict(register.rows("select name, sequence from monitoring.deliveries"))
    for numbers in shared:
        order = [delivered[names[number]] for number in numbers]
        assert sorted(order) == order
        moment = extracts[numbers[-1]].moment
        last = {row[0]: row[1:] for row in extracts[numbers[-1]].rows}
        born = [each for each in versions(register, extracts) if each.valid_from == moment]
        assert born
        for version in born:
            assert version.is_deleted or last[version.key] == version.attributes


def test_members_without_an_id_are_in_the_ledger(
    register: Register, extracts: dict[int, Extract]
) -> None:
    """114 rows of a week in January 2013; all other rows are accounted for."""
    expected = sorted(
        f"{extract.stamp}_{extract.number:03}.jsonl"
        for extract in extracts.values()
        for row in extract.rows
        if row[0] is None
    )
    assert 114 == len(expected)

    assert [(name, "bioguide_id_present") for name in expected] == register.rows(
        "select file_name, rules from quarantine.ledger order by file_name"
    )
    rows = sum(len(extract.rows) for extract in extracts.values())
    assert [(rows, rows - 114, 114, 0)] == register.rows(
        "select sum(arrived), sum(taken), sum(rejected), sum(abs(unaccounted))"
        " from monitoring.conservation"
    )


def test_a_new_congress_is_no_mass_deletion(
    register: Register, extracts: dict[int, Extract]
) -> None:
    """90 of 538 members leave on one day; the breaker lets a sixth pass and closes them."""
    moment = extracts[419].moment
    gone = {row[0] for row in extracts[418].rows} - {row[0] for row in extracts[419].rows}
    assert 90 == len(gone)

    assert gone == {
        version.key
        for version in versions(register, extracts)
        if version.valid_from == moment and version.is_deleted
    }


def test_every_history_is_whole(register: Register) -> None:
    results = {each.check_id: each for each in register.scan().results}
    assert ("pass", 100.0) == (
        results["legislators.scd2_integrity"].status.value,
        results["legislators.scd2_integrity"].metric_value,
    )


def test_a_full_refresh_gives_the_same_rows(register: Register) -> None:
    rows = "select * from marts.dim_members order by member_key"
    before = register.rows(rows)
    register.build(full_refresh=True)

    assert before == register.rows(rows)
