"""A checks file that says something nobody understands is named, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitors.errors import ChecksError
from monitors.scan.checks_files import read_checks, read_definitions

CHECK = """checks for facts.orders:
  - row_count > 0:
      name: there are orders
      attributes:
        owner: shop
        team: web
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "orders.yml"


def test_attributes_of_ones_own_are_welcome(file: Path) -> None:
    """Whatever a check carries goes into `attributes` of its verdict."""
    file.write_text(CHECK)

    assert {"owner": "shop", "team": "web"} == read_definitions([file])[0].attributes


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("severty: high", "attribute `severty`: did you mean `severity`?"),
        ("severity: urgent", "attribute `severity`: found `urgent`, allowed is critical, high"),
        ("category: quality", "attribute `category`: found `quality`, allowed is infrastructure"),
        ("layer: platinum", "attribute `layer`: found `platinum`, allowed is bronze, silver, gold"),
        ("evidences: select 1", "attribute `evidences`: did you mean `evidence`?"),
        ("evidence: [1]", "attribute `evidence`: found `[1]`, allowed is a SQL query"),
        ("smallest_change: half", "attribute `smallest_change`: found `half`, allowed is a number"),
        ("smallest_change: 0", "attribute `smallest_change`: found `0`, allowed is a number above"),
        ("critical: high", "attribute `critical`: found `high`, allowed is a number"),
        ("time: ordered at", "attribute `time`: found `ordered at`, allowed is a column"),
    ],
)
def test_what_nobody_would_read_is_named(file: Path, line: str, said: str) -> None:
    """A mistyped severity would be found in an incident."""
    file.write_text(CHECK.replace("team: web", line))
    with pytest.raises(ChecksError) as caught:
        read_definitions([file])

    assert str(caught.value).startswith(f"{file}:2: {said}")
    assert [str(caught.value)] == [each.problem for each in read_checks([file]).definitions]


def test_attributes_of_a_whole_section(file: Path) -> None:
    """They hold for the checks that follow; what a check says itself counts more."""
    file.write_text(
        "checks for facts.orders:\n"
        "  - attributes: {owner: shop, layer: gold}\n"
        "  - row_count > 0\n"
        "  - max(amount) > 0: {attributes: {layer: silver}}\n"
    )
    first, second = read_definitions([file])

    assert {"owner": "shop", "layer": "gold"} == first.attributes
    assert {"owner": "shop", "layer": "silver"} == second.attributes


def test_two_checks_of_one_id(file: Path) -> None:
    """The later one is not evaluated: two claims in one history would flip all day."""
    file.write_text("checks for facts.orders:\n  - row_count > 0\n  - row_count < 9\n")
    first, second = read_checks([file]).definitions

    assert "" == first.problem
    assert f"check id `facts.orders.row_count` is taken by {file}:2" in second.problem
    assert first.check_id != second.check_id


def test_when_no_file_can_be_read(file: Path, tmp_path: Path) -> None:
    """One broken file among others is an error of its own; when all are, nothing can start."""
    file.write_text("checks for a:\n\t- row_count > 0\n")
    other = tmp_path / "other.yml"
    other.write_text("checks for b: [row_count > 0]\n")

    assert ["checks_file.orders", "b.row_count"] == [
        each.check_id for each in read_checks([file, other]).definitions
    ]
    with pytest.raises(ChecksError, match=r"orders.yml:2: not valid YAML: found a tab"):
        read_checks([file])


def test_words_and_numbers_as_in_yaml_1_2(file: Path) -> None:
    """`yes`, `on` and `12:30` are words, as for plain Soda."""
    file.write_text(
        "checks for a:\n  - invalid_count(b) = 0:\n      valid values: [yes, on, 12:30, 010]\n"
    )
    (found,) = read_definitions([file])

    assert ["yes", "on", "12:30", 10] == found.item[found.text]["valid values"]


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("change for row_count < 50%",
         "`change for row_count < 50%` is a change by the number 50: Soda ignores the `%`;"
         " write `change percent for row_count between -50 and 50`"),
        ("change avg last 7 for row_count between -20% and 30%",
         "write `change avg last 7 percent for row_count between -30 and 30`"),
        ("change percent for row_count < 50",
         "never sees a drop; write `change percent for row_count between -50 and 50`"),
        ("change percent for row_count > -30",
         "never sees a rise; write `change percent for row_count between -30 and 30`"),
        ("change for avg(amount) <= 12.5",
         "never sees a drop; write `change for avg(amount) between -12.5 and 12.5`"),
        ("change same day last week percent for row_count < 50",
         "write `change same day last week percent for row_count between -50 and 50`"),
        ("change percent for row_count between -100 and 80",
         "never sees a drop: nothing falls by more than 100 percent; write"),
        ("change percent for row_count: {fail: when > 50}", "never sees a drop"),
        ("change percent for row_count: {fail: when > 50, warn: when > 20}", "never sees a drop"),
        ("change percent for row_count: {fail: when < -50}", "never sees a rise"),
        ("change for row_count: {fail: when > 50%}", "Soda ignores the `%`"),
    ],
)  # fmt: skip
def test_traps_are_named_with_the_right_form(file: Path, check: str, said: str) -> None:
    """Valid SodaCL that does not say what its author means is a warning, with file and line."""
    file.write_text(f"checks for facts.orders:\n  - row_count > 0\n  - {check}\n")
    (warned,) = read_checks([file]).warnings

    assert str(warned).startswith(f"{file}:3: ")
    assert said in str(warned)


@pytest.mark.parametrize(
    "check",
    [
        "change percent for row_count between -50 and 50",
        "change for row_count between -1000 and 1000",
        "change for row_count = 0",
        "change percent for row_count: {fail: when not between -50 and 50}",
        "change percent for row_count: {fail: when < -50, warn: when > 50}",
        "missing_percent(email) < 5%",
        "row_count > 0",
        "change_rate < 5: {change_rate query: select 1}",
    ],
)
def test_what_is_no_trap_is_not_warned_of(file: Path, check: str) -> None:
    """A percentage stays a percentage where Soda reads it as one."""
    file.write_text(f"checks for facts.orders:\n  - {check}\n")

    assert () == read_checks([file]).warnings


def test_sections_for_the_cloud_are_a_warning(file: Path) -> None:
    """Nobody profiles or discovers here, and nobody finds out by silence."""
    file.write_text("profile columns:\n  columns: [a.%]\n" + CHECK)

    assert [f"{file}:1: section `profile columns` is for Soda Cloud; Rampart does not run it"] == [
        str(each) for each in read_checks([file]).warnings
    ]
