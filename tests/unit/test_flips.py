"""When a verdict is a change: pure rules, no database."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.alert.flips import is_written, observe
from monitors.config_alerts import Flapping
from monitors.results import Severity, Status
from monitors.store.incidents import CheckState
from tests.alerting import MORNING, verdict_of


def turns(letters: str, rule: Flapping) -> str:
    """R and G for each verdict that is a flip, `.` for the others."""
    state: CheckState | None = None
    said = ""
    for letter in letters:
        result = verdict_of("a", Status.FAIL if letter == "r" else Status.PASS)
        seen = observe(state, result, rule, MORNING, "run")
        assert seen is not None
        state = seen.state
        said += "." if seen.flip is None else seen.flip.turned[0].upper()
    return said


@pytest.mark.parametrize(
    ("letters", "rule", "expected"),
    [
        ("rrrr", Flapping(), "R..."),
        ("ggrrgg", Flapping(), "..R.G."),
        ("rgrg", Flapping(), "RGRG"),
        ("rgrgrggg", Flapping(red=1, of=3), "R......G"),
        ("rgrgrgrg", Flapping(red=2, of=3), "..R....."),
        ("rgrgg", Flapping(red=2, of=3), "..R.G"),
        ("rggrggrgg", Flapping(red=2, of=3), "........."),
        ("rrrggg", Flapping(red=3, of=3), "..R..G"),
    ],
)
def test_a_declared_rule_damps_what_comes_and_goes(
    letters: str, rule: Flapping, expected: str
) -> None:
    """Red at `red` of the last `of`; green when fewer, and the last `red` are all green."""
    assert expected == turns(letters, rule)


@given(st.text("rg", max_size=40), st.integers(1, 5), st.integers(0, 5))
def test_turns_alternate_and_damping_only_takes_away(letters: str, red: int, more: int) -> None:
    """R and G take turns, R first, and no rule tells more often than none."""
    said = turns(letters, Flapping(red=red, of=red + more)).replace(".", "")

    assert all(letter == "RG"[index % 2] for index, letter in enumerate(said))
    assert len(said) <= len(turns(letters, Flapping()).replace(".", ""))


@given(st.text("rg", min_size=1, max_size=30), st.integers(1, 4), st.integers(0, 4))
def test_what_stays_is_told_in_the_end(letters: str, red: int, more: int) -> None:
    """Whatever came before, a check that stays red is red after `red` verdicts, and green alike."""
    rule = Flapping(red=red, of=red + more)
    settled = turns(letters + "r" * red, rule).replace(".", "")
    recovered = turns(letters + "g" * (red + more), rule).replace(".", "")

    assert settled.endswith("R")
    assert not recovered.endswith("R")


def test_blocked_and_muted_verdicts_say_nothing() -> None:
    """A skipped test is counted at its parent; a mute is no recovery and no alert."""
    blocked = verdict_of("a", Status.MISSING, blocked_by="model.shop.orders")

    assert observe(None, blocked, Flapping(), MORNING, "run") is None


def test_warn_and_blind_are_not_red() -> None:
    """Only error, fail and missing turn a check red."""
    red = {
        status
        for status in Status
        if (seen := observe(None, verdict_of("a", status), Flapping(), MORNING, "run"))
        and seen.state.is_red
    }

    assert {Status.ERROR, Status.FAIL, Status.MISSING} == red


def test_a_build_that_is_read_twice_is_heard_once() -> None:
    """dbt's results lie there until the next build: the same ones are no second verdict."""
    rule = Flapping(red=2, of=3)
    build = verdict_of("dbt.a", suite_name="dbt", data_timestamp=MORNING)
    first = observe(None, build, rule, MORNING, "run")
    assert first is not None

    assert observe(first.state, build, rule, MORNING, "another run") is None


def test_a_rise_of_severity_is_a_flip_and_a_fall_is_none() -> None:
    """A red check that becomes critical is told; back at high it is not told again."""
    order = list(Severity)
    for was, now in itertools.permutations(order, 2):
        first = observe(None, verdict_of("a", severity=was), Flapping(), MORNING, "run")
        assert first is not None
        second = observe(first.state, verdict_of("a", severity=now), Flapping(), MORNING, "run")
        assert second is not None

        assert (order.index(now) < order.index(was)) == (second.flip is not None)


def test_a_green_check_that_stays_green_is_not_written() -> None:
    """So a scan with nothing wrong costs one read."""
    first = observe(None, verdict_of("a", Status.PASS), Flapping(of=3), MORNING, "run")
    assert first is not None
    full = first.state
    for _ in range(3):
        seen = observe(full, verdict_of("a", Status.PASS), Flapping(of=3), MORNING, "next")
        assert seen is not None
        before, full = full, seen.state

    assert is_written(None, first.state)
    assert not is_written(before, full)
