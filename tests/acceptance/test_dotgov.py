"""The register of .gov domains: 740 real extracts, of which one is truncated and one is empty.

The fast tests take the extracts in which something happened, and their neighbours, with the breaker
on. The slow ones take all of them with the breaker off, held against a key of answers.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from monitors.verdict import Verdict
from tests.acceptance.registers import (
    DATA,
    Extract,
    Register,
    Version,
    extracts_of,
    history,
    in_order,
    install,
    needs,
)
from tests.conftest import Server

pytestmark = needs("dotgov")

FIRST, MASS_RENAME, NEW_HEADER, FLIPPED, TRUNCATED, EMPTY = 0, 35, 605, 606, 632, 637
REPEATS = {36: 35, 39: 37, 633: 631, 638: 636}
CHOSEN = {FIRST, 1, *range(34, 41), *range(604, 608), *range(631, 640), 739}
TWICE = "ABILITYONE.GOV"
COLUMNS = ("domain_type", "agency", "organization_name", "city", "state", "security_contact_email")


@dataclass(frozen=True)
class Domains(Register):
    """The register after its first build."""

    extracts: dict[int, Extract]
    loaded: Verdict

    def history(self, *, lower: bool, without: tuple[int, ...] = ()) -> list[Version]:
        taken = [each for number, each in self.extracts.items() if number not in without]
        return history(taken, lower=lower)

    def domains(self) -> list[Version]:
        return self.versions("marts.dim_domains", "domain_name", COLUMNS)

    def as_written(self) -> list[Version]:
        return self.versions("marts.dim_domains_as_written", "domain_name", COLUMNS)


def without_absent_column(extract: Extract) -> Extract:
    """No extract has a column for the suborganization; the key of answers has one of nulls."""
    at = extract.columns.index("suborganization_name")
    assert {None} >= {row[at] for row in extract.rows}
    return Extract(
        extract.number,
        extract.moment,
        extract.header,
        (*extract.columns[:at], *extract.columns[at + 1 :]),
        [(*row[:at], *row[at + 1 :]) for row in extract.rows],
    )


def all_extracts(chosen: set[int] | None = None) -> Iterator[Extract]:
    return map(without_absent_column, extracts_of("dotgov", chosen))


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory, embedded_server: Server) -> Domains:
    """23 extracts loaded at once with the breaker on, and built."""
    plain = install("dotgov", tmp_path_factory.mktemp("dotgov"), embedded_server.new_database())
    extracts = {each.number: each for each in all_extracts(CHOSEN)}
    for extract in extracts.values():
        extract.write_csv(plain.landing)
    loaded = plain.load()
    plain.build()
    return Domains(plain.folder, plain.target, extracts, loaded)


# --- what the breaker does -----------------------------------------------------------------------


def test_the_truncated_and_the_empty_extract_are_refused_and_nothing_else(
    register: Domains,
) -> None:
    """Both are red and recorded; what came next is whole and goes through, although it repeats."""
    truncated, empty = (register.extracts[number].stamp for number in (TRUNCATED, EMPTY))
    found = register.rows(
        "select name, admission, admitted_by, split_part(why, ':', 1) from monitoring.deliveries"
        " where admission <> 'admitted' order by name"
    )

    guard = "guard: mass deletion"
    gone = "keys of the extract before are gone"
    assert [
        (f"{truncated}.csv", "refused", guard, f"8,996 of 9,892 {gone}"),
        (f"{empty}.csv", "refused", guard, f"9,910 of 9,910 {gone}"),
    ] == found
    assert 1 == int(register.loaded.exit_code)
    assert 2 == len(register.loaded.alerts)
    listed = register.command("deliveries", "list", "domains", "--refused")
    assert 2 == len(listed.splitlines())
    assert truncated in listed
    assert empty in listed


def test_nothing_is_closed_by_what_was_refused(register: Domains) -> None:
    """Both dimensions are what Python derives from the extracts without the two."""
    refused = (TRUNCATED, EMPTY)

    assert register.history(lower=True, without=refused) == register.domains()
    assert register.history(lower=False, without=refused) == register.as_written()


# --- what each incident does ---------------------------------------------------------------------


def test_the_change_of_case_opens_no_entity(register: Domains) -> None:
    """With the normalised key it is a change of nothing; as written, everybody dies and is born."""
    moment = register.extracts[FLIPPED].moment.isoformat()
    before = {row[0] for row in register.extracts[FLIPPED - 1].rows}
    after = {row[0] for row in register.extracts[FLIPPED].rows}
    assert before.isdisjoint(after)
    assert {key.lower() for key in before} == {key.lower() for key in after}
    born = (
        "select count(*) from {} as born where valid_from = '" + moment + "' and not exists ("
        " select 1 from {} as other where other.domain_name = born.domain_name"
        " and other.valid_from < born.valid_from)"
    )
    name = "marts.dim_domains"
    died = f"select count(*) from {{}} where valid_from = '{moment}' and is_deleted"

    assert 0 == register.value(born.format(name, name))
    assert 0 == register.value(died.format(name))
    written = "marts.dim_domains_as_written"
    assert len(after) == register.value(born.format(written, written))
    assert len(before) == register.value(died.format(written))


def test_a_renamed_column_is_the_same_attribute(register: Domains) -> None:
    """`Organization` became `Organization name`; absent from the header is null, blank is ''."""
    extracts = register.extracts
    first = len(extracts[FIRST].rows)
    old = sum(len(each.rows) for number, each in extracts.items() if number < NEW_HEADER)
    new = sum(len(each.rows) for number, each in extracts.items() if number >= NEW_HEADER)

    assert [(old + new, old, new, first, first)] == register.rows(
        "select count(*), count(organization), count(organization_name), count(column_8),"
        " count(*) filter (where column_8 = '') from dotgov_raw.domains"
    )
    assert 0 == register.value(
        "select count(*) from marts.dim_domains where organization_name is null"
    )
    drift = register.rows(
        "select column_name, change, count(*) from monitoring.schema_drift group by 1, 2"
    )
    of_old = sum(number < NEW_HEADER for number in extracts)
    assert {
        *((f"column_{number}", "added", 1) for number in (8, 9, 10)),
        ("organization_name", "missing", of_old),
        ("organization", "missing", len(extracts) - of_old),
    } == set(drift)


def test_a_mass_rename_opens_one_version_each(register: Domains) -> None:
    """1,614 domains change on one afternoon, and none of them is gone."""
    before, after = (register.extracts[number] for number in (MASS_RENAME - 1, MASS_RENAME))
    old = {row[0]: row for row in before.rows}
    changed = [row[0].lower() for row in after.rows if row[0] in old and old[row[0]] != row]
    found = register.rows(
        f"select domain_name from marts.dim_domains where valid_from = '{after.moment}'"
        " and not is_deleted order by 1"
    )

    assert 1_614 == len(changed)
    new = {row[0].lower() for row in after.rows} - {row[0].lower() for row in before.rows}
    assert sorted([*changed, *new]) == [name for (name,) in found]


def test_of_a_key_that_stands_twice_the_last_row_counts(register: Domains) -> None:
    """The other one is in the ledger, by name; it is the only row that is rejected."""
    first, last = (row for row in register.extracts[FIRST].rows if row[0] == TWICE)
    assert first != last
    moment = register.extracts[FIRST].moment

    assert [(f"{register.extracts[FIRST].stamp}.csv", "last_row_of_its_key", "open")] == (
        register.rows("select file_name, rules, decision from quarantine.ledger")
    )
    assert [list(last[1:])] == [
        list(each.attributes)
        for each in register.domains()
        if (each.key, each.valid_from) == (TWICE.lower(), moment)
    ]


def test_a_placeholder_is_flagged_and_stays(register: Domains) -> None:
    blank = sum(
        row[-1] in ("", "(blank)")
        for number, extract in register.extracts.items()
        for row in extract.rows
        if number not in (TRUNCATED, EMPTY)
    )

    assert [("flag", blank), ("reject", 1)] == register.rows(
        "select effect, count(*) from quarantine.violations group by effect order by effect"
    )


def test_equal_content_at_another_moment_is_a_delivery_of_its_own(register: Domains) -> None:
    """Two of them are how the register recovered."""
    for later, earlier in REPEATS.items():
        assert register.extracts[later].rows == register.extracts[earlier].rows
        hashes = register.value(
            "select count(distinct sha256) from monitoring.deliveries where name in"
            f" ('{register.extracts[later].stamp}.csv', '{register.extracts[earlier].stamp}.csv')"
        )
        assert 1 == hashes
    assert len(CHOSEN) == register.value("select count(*) from monitoring.deliveries")


# --- whole histories -----------------------------------------------------------------------------


def test_every_row_is_accounted_for_and_every_history_is_whole(register: Domains) -> None:
    """The generic tests were part of the build; the check that counts reports 100."""
    rows = sum(
        len(extract.rows)
        for number, extract in register.extracts.items()
        if number not in (TRUNCATED, EMPTY)
    )

    assert [(rows, rows - 1, 1, 0)] == register.rows(
        "select sum(arrived), sum(taken), sum(rejected), sum(abs(unaccounted))"
        " from monitoring.conservation"
    )
    results = {each.check_id: each for each in register.scan().results}
    assert ("pass", 100.0) == (
        results["dotgov.scd2_integrity"].status.value,
        results["dotgov.scd2_integrity"].metric_value,
    )
    tests = [check_id for check_id in results if "scd2_" in check_id]
    assert 12 <= len(tests)
    assert {"pass"} == {results[check_id].status.value for check_id in tests}


def test_a_fault_is_found_and_its_repair_mends_it(register: Domains) -> None:
    """A stranger's dimension gets the same list of faults, each with its statement."""
    before = register.domains()
    name = register.value("select domain_name from marts.dim_domains where not is_current limit 1")
    register.execute(
        "update marts.dim_domains set valid_to = valid_to - interval '1 minute'"
        f" where domain_name = '{name}' and not is_current"
    )
    faults = register.rows("select domain_name, fault, repair from monitoring.scd2_faults")
    assert {(name, "leaves a gap before the next version")} == {row[:2] for row in faults}
    results = {each.check_id: each for each in register.scan().results}
    assert "fail" == results["dotgov.scd2_integrity"].status.value

    for _name, _fault, repair in faults:
        register.execute(repair)
    assert before == register.domains()


def test_let_through_by_name_deletes_what_they_do_not_name(register: Domains) -> None:
    """Late, because newer ones were taken in before; then a full refresh gives the same rows."""
    for number in (TRUNCATED, EMPTY):
        name = f"{register.extracts[number].stamp}.csv"
        said = register.command(
            "deliveries", "let-through", "domains", name, "--why", "what if", "--by", "ann"
        )
        assert f"{name} takes part" in said
    assert "none\n" == register.command("deliveries", "list", "domains", "--refused")
    register.build()

    assert register.history(lower=True) == register.domains()
    assert register.history(lower=False) == register.as_written()
    # the empty one is taken in, though it leaves no row by which a build could know
    judged = register.folder / "target/compiled/dotgov/models/intermediate/int_domains_judged.sql"
    still_new = judged.read_text().split("arrived_deliveries as (")[1].split("),\n\ndomains_of")[0]
    assert [] == register.rows(still_new)
    built = register.rows("select * from marts.dim_domains order by domain_key")
    register.build(full_refresh=True)
    assert built == register.rows("select * from marts.dim_domains order by domain_key")


# --- all of it, slowly ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """All 740 files, in the order of their moments."""
    folder = tmp_path_factory.mktemp("landing")
    return [extract.write_csv(folder) for extract in extracts_of("dotgov")]


def without_breaker(folder: Path, server: Server) -> Register:
    register = install("dotgov", folder, server.new_database())
    config = register.folder / "rampart.yml"
    config.write_text(config.read_text().replace(", breaker: 0.2", ""))
    return register


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, embedded_server: Server, landing: list[Path]
) -> Register:
    """Everything at once, breaker off."""
    register = without_breaker(tmp_path_factory.mktemp("whole"), embedded_server)
    loaded = register.load(*landing)
    assert (0, 740) == (int(loaded.exit_code), len(loaded.loads[0].new))
    register.build()
    return register


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_versions_are_the_runs_of_the_key_of_answers(whole: Register) -> None:
    """50,446 runs, one of them the row that lost in the first extract; deletions between them."""
    from pyarrow import parquet

    moments = [
        moment
        for (moment,) in whole.rows("select extracted_at from monitoring.deliveries order by 1")
    ]
    runs = parquet.read_table(DATA / "dotgov" / "truth_runs.parquet").to_pylist()
    assert (740, 50_446) == (len(moments), len(runs))
    lost = [run for run in runs if (run["domain_name"], run["organization_name"]) == (
        TWICE, "Town of Abingdon")]  # fmt: skip
    assert [(0, 0)] == [(run["first_seen_extract"], run["last_seen_extract"]) for run in lost]
    runs = sorted(
        (run for run in runs if run not in lost),
        key=lambda run: (run["domain_name"], run["first_seen_extract"]),
    )

    expected = []
    for run, following in zip(runs, [*runs[1:], None], strict=True):
        attributes = tuple(run[name] for name in COLUMNS)
        begin = datetime.fromisoformat(run["first_seen_at"])
        after = run["last_seen_extract"] + 1
        end = moments[after] if after < len(moments) else None
        expected.append(Version(run["domain_name"], attributes, begin, end, False))
        back = None
        if following and following["domain_name"] == run["domain_name"]:
            back = moments[following["first_seen_extract"]]
        if end and end != back:
            expected.append(Version(run["domain_name"], attributes, end, back, True))
    found = whole.versions("marts.dim_domains_as_written", "domain_name", COLUMNS)
    assert 50_445 == sum(not version.is_deleted for version in found)
    assert in_order(expected) == found


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_both_dimensions_are_what_python_derives_from_all_extracts(whole: Register) -> None:
    for name, lower in (("dim_domains", True), ("dim_domains_as_written", False)):
        found = whole.versions(f"marts.{name}", "domain_name", COLUMNS)
        assert history(all_extracts(), lower=lower) == found


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_batches_with_late_extracts_give_the_same_rows(
    whole: Register,
    landing: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
    embedded_server: Server,
) -> None:
    """Every tenth extract comes batches later than its neighbours; within a batch in any order."""
    draw = random.Random(7)
    batches: list[list[Path]] = [[] for _ in range(20)]
    for number, path in enumerate(landing):
        batch = number // 37
        batches[draw.randrange(batch, 20) if draw.random() < 0.1 else batch].append(path)
    register = without_breaker(tmp_path_factory.mktemp("batches"), embedded_server)
    for batch in batches:
        draw.shuffle(batch)
        register.load(*batch)
        register.build("stg_dotgov__domains", "int_domains_judged", "dim_domains")

    rows = "select * from marts.dim_domains order by domain_key"
    assert whole.rows(rows) == register.rows(rows)
