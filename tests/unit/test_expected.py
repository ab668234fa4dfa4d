"""Which checks are expected to report."""

from __future__ import annotations

from monitors.results import CheckResult, Status
from monitors.scan.expected import without_never_delivered


def check(check_id: str, feed: str | None, status: Status = Status.MISSING) -> CheckResult:
    attributes = {"feed": feed} if feed else {}
    return CheckResult(check_id, check_id, "suite", "table", status, attributes=attributes)


def test_checks_of_a_feed_that_never_came_are_not_expected() -> None:
    """They are left out and counted; those of other feeds, or of none, stay."""
    results = [
        check("leases.a", "leases"),
        check("leases.b", "leases", Status.PASS),
        check("air.a", "air"),
        check("arrival", None),
    ]
    kept, left_out = without_never_delivered(results, ["leases", "silent"])

    assert ["air.a", "arrival"] == [each.check_id for each in kept]
    assert (("leases", 2),) == left_out


def test_every_check_is_expected_where_every_feed_has_come() -> None:
    """Missing stays missing, and red."""
    results = [check("leases.a", "leases")]

    assert (results, ()) == without_never_delivered(results, [])
