"""What an on-call person reads in the terminal."""

from __future__ import annotations

from datetime import datetime, timezone

from monitors.alert.lines import explain
from monitors.results import CheckResult, Status

NOW = datetime(2026, 3, 2, tzinfo=timezone.utc)


def told(status: Status, **attributes: str) -> list[str]:
    result = CheckResult("a.b", "b holds", "a", "facts.a", status, message="m=1 (max 0)",
                         attributes=attributes)  # fmt: skip
    return explain(result, None, NOW)


def test_a_check_that_could_not_be_evaluated_is_what_has_to_be_mended() -> None:
    """What its author says about a failure is beside the point: nobody looked."""
    lines = told(Status.ERROR, matters="Revenue is understated.", do="Ask the shop.")

    assert "why    Nobody knows whether it holds: the check could not be evaluated." in lines
    assert "rampart doctor" in lines[-1]


def test_a_failure_says_what_its_author_wrote() -> None:
    """Five lines; the first never reads as if the claim held, the last says what to do."""
    lines = told(Status.FAIL, matters="Revenue is understated.", do="Ask the shop.")

    assert "does not hold: b holds; m=1 (max 0) [fail, " in lines[0]
    assert ["why    Revenue is understated.", "do     Ask the shop."] == lines[-2:]
    assert 5 == len(lines)
