"""The parts of a backtest: faults, intervals, thresholds as text, diffs, the page."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitors.cli_backtest import per_month
from monitors.errors import UsageError
from monitors.scan.backtest import Settings
from monitors.scan.backtest_report import Report
from monitors.scan.bounds import Bounds, outward, parse_bounds, with_bounds
from monitors.scan.chance import AlarmRate, Share, expected_alarms, gamma_quantile
from monitors.scan.checks_files import read_definitions
from monitors.scan.inject import parse_injection
from monitors.scan.threshold_diff import checks_diff, sensitivity_diff
from monitors.show.backtest_page import page_of
from monitors.show.backtest_text import text_of
from tests.unit.test_backtest import threshold_check, tried, volume_check, weeks

COUNTS = np.array([100.0, 200.0, 1000.0, 400.0, 0.0])


# -------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("text", "kind", "share"),
    [
        ("drop=50%", "drop", 0.5), ("drop=0.3", "drop", 0.3), ("drop", "drop", 0.5),
        ("outage", "outage", 1.0), ("duplicate", "duplicate", 1.0),
        ("duplicate=10 %", "duplicate", 0.1), ("late", "late", 0.5), ("late=100%", "late", 1.0),
    ],
)  # fmt: skip
def test_faults_are_read_as_written(text: str, kind: str, share: float) -> None:
    """A share in percent or as a fraction; without one the usual one."""
    found = parse_injection(text)

    assert (kind, share) == (found.kind, pytest.approx(found.share))
    assert found == parse_injection(str(found))


@pytest.mark.parametrize(
    "text", ["", "dorp", "drop=", "drop=0", "drop=101%", "drop=-1", "outage=50%", "drop=x", "=5%"]
)
def test_another_fault_is_refused(text: str) -> None:
    """One line: what was found, what is allowed."""
    with pytest.raises(UsageError, match=r"--inject: found `.*allowed is drop, outage"):
        parse_injection(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("outage", [100, 0, 0, 400, 0]),
        ("drop=100%", [100, 0, 0, 400, 0]),
        ("duplicate", [100, 400, 1000, 400, 0]),
        ("late=100%", [100, 0, 1000, 400, 0]),
    ],
)
def test_a_fault_changes_its_buckets_and_no_others(text: str, expected: list[float]) -> None:
    """What lasts goes on for the window; a double load and late rows hit one bucket."""
    random = np.random.default_rng(1)
    changed = parse_injection(text).into(COUNTS, 1, 2, random)

    assert expected == changed.tolist()
    assert [100, 200, 1000, 400, 0] == COUNTS.tolist()


def test_rows_are_lost_one_by_one() -> None:
    """Whole numbers, about the share, not the same each time; a mean is multiplied."""
    fault = parse_injection("drop=30%")
    random = np.random.default_rng(1)
    many = [fault.into(COUNTS, 2, 1, random)[2] for _ in range(400)]
    mean = fault.into(np.array([10.5]), 0, 1, random)

    assert 700 == pytest.approx(np.mean(many), rel=0.01)
    assert np.sqrt(1000 * 0.3 * 0.7) == pytest.approx(np.std(many), rel=0.15)
    assert all(each == int(each) for each in many)
    assert [pytest.approx(7.35)] == mean.tolist()


# -------------------------------------------------------------------- chance


@pytest.mark.parametrize(
    ("hits", "tries", "low", "high"),
    [(0, 10, 0, 0.2775), (10, 10, 0.7225, 1), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_wilson(hits: int, tries: int, low: float, high: float) -> None:
    """Known values; the last pair is that of Newcombe (1998)."""
    assert (low, high) == pytest.approx(Share(hits, tries).interval, abs=1e-4)


def test_nothing_tried_says_nothing() -> None:
    """No share, and any may be true."""
    assert (None, (0.0, 1.0)) == (Share(0, 0).value, Share(0, 0).interval)


@pytest.mark.parametrize(
    ("shape", "probability", "expected"),
    [(1, 0.5, 0.693147), (0.5, 0.975, 2.511943), (10.5, 0.025, 5.141499), (100.5, 0.975, 121.074)],
)
def test_gamma_quantiles(shape: float, probability: float, expected: float) -> None:
    """Half the chi-squared quantile of twice the degrees of freedom."""
    assert expected == pytest.approx(gamma_quantile(shape, probability), rel=1e-4)


def test_the_rate_of_a_quiet_check_is_below_a_bound() -> None:
    """No alarm in ten months: 0 to 0.25 a month."""
    rate = AlarmRate(0, 10.0)

    assert (0.0, pytest.approx(0.2512, abs=1e-4)) == rate.interval
    assert 0.0 == rate.per_month


def test_the_budget_of_many_quiet_checks_is_that_of_one() -> None:
    """The prior counts once: a hundred checks that never fired do not add up to fifty alarms."""
    one = expected_alarms([AlarmRate(0, 1.0)])
    hundred = expected_alarms([AlarmRate(0, 1.0)] * 100)

    assert 0.5 == pytest.approx(one.per_month)
    assert one.per_month == pytest.approx(hundred.per_month)
    assert AlarmRate(0, 1.0).interval == pytest.approx((hundred.low, hundred.high))


def test_the_budget_adds_what_is_known_and_counts_what_is_not() -> None:
    """Two a month and half a month, and one of which nobody knows."""
    budget = expected_alarms([AlarmRate(20, 10.0), AlarmRate(10, 20.0), None])

    assert 2.5 == pytest.approx(budget.per_month, abs=0.05)
    assert (2, 1) == (budget.known, budget.unknown)
    assert budget.low < 2.5 < budget.high
    assert 12.2 == pytest.approx(budget.days_between, abs=0.3)


def test_the_budget_of_nothing_known_is_unknown() -> None:
    """Not zero alarms for sure: nobody knows."""
    budget = expected_alarms([None, None])

    assert (0, 2, None) == (budget.known, budget.unknown, budget.days_between)


def test_budget_intervals_hold_what_they_say() -> None:
    """Of a thousand sets with known rates the interval holds the true sum in about 950."""
    random = np.random.default_rng(2)
    rates, months = np.array([0.2, 1.0, 0.05, 3.0]), np.array([6.0, 12.0, 3.0, 9.0])
    held = 0
    for _ in range(300):
        drawn = random.poisson(rates * months)
        budget = expected_alarms(map(AlarmRate, drawn.tolist(), months.tolist()))
        held += budget.low <= rates.sum() <= budget.high

    assert 0.91 <= held / 300 <= 0.99


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2/month", 2), ("0.5/month", 0.5), ("7/week", 30.4375), ("1/day", 30.4375), ("6/year", 0.5)],
)
def test_a_budget_is_read_as_written(text: str, expected: float) -> None:
    """Whatever the span, it is one per month."""
    assert expected == pytest.approx(per_month(text))


@pytest.mark.parametrize("text", ["2", "x/month", "-1/month", "2/moon", ""])
def test_another_budget_is_refused(text: str) -> None:
    """One line: what was found, what is allowed."""
    with pytest.raises(UsageError, match="--max-alarms: found"):
        per_month(text)


# -------------------------------------------------------------------- thresholds as text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("quarantine_rate <= 0.05", Bounds(high=0.05)),
        ("row_count > 0", Bounds(low=0, low_open=True)),
        ("pct_missing < 1 %", Bounds(high=1, high_open=True, suffix=" %")),
        ("volume_z between -3 and 3", Bounds(-3, 3)),
        ("x between (1 and 2.5)", Bounds(1, 2.5, True, True)),
        ("duplicate_count(a, b) = 0", Bounds(0, 0)),
        ("row_count >= 1000", Bounds(low=1000)),
        ("x < 1e-3", Bounds(high=0.001, high_open=True)),
        ("x not between 1 and 2", None),
        ("x != 0", None),
        ("freshness(t) < 1d", None),
        ("schema", None),
    ],
)
def test_bounds_are_read_from_the_text_of_a_check(text: str, expected: Bounds | None) -> None:
    """As SodaCL writes them; what is of another form is not guessed."""
    assert expected == parse_bounds(text)


@pytest.mark.parametrize(
    ("text", "bounds", "expected"),
    [
        ("rate <= 0.05", Bounds(high=0.08), "rate <= 0.08"),
        ("pct(x) < 1 %", Bounds(high=2, high_open=True, suffix=" %"), "pct(x) < 2 %"),
        ("z between -3 and 3", Bounds(-4, 4), "z between -4 and 4"),
        ("x between (1 and 2)", Bounds(0.5, 3, True, True), "x between (0.5 and 3)"),
        ("schema", Bounds(high=1), None),
    ],
)
def test_bounds_are_written_in_their_place(text: str, bounds: Bounds, expected: str | None) -> None:
    """And what is written is read again."""
    found = with_bounds(text, bounds)

    assert expected == found
    assert found is None or parse_bounds(found) == bounds


@pytest.mark.parametrize(
    ("value", "up", "expected"),
    [(0.0582, True, 0.059), (1234, True, 1300), (1234, False, 1200), (0.05, True, 0.05),
     (-12.3, True, -12), (-12.3, False, -13), (0, True, 0), (700, False, 700)],
)  # fmt: skip
def test_round_numbers_lie_outward(value: float, up: bool, expected: float) -> None:
    """So that what held still holds."""
    assert expected == outward(value, up=up)


# -------------------------------------------------------------------- diffs


def applied(diff: str, root: Path) -> None:
    done = subprocess.run(
        ["git", "apply", "--unsafe-paths", "-"], cwd=root, input=diff, text=True, check=False,
        capture_output=True,
    )  # fmt: skip

    assert (0, "") == (done.returncode, done.stderr)


CHECKS = """\
checks for shop.orders:
  # a comment stays
  - rate <= 0.05:
      identity: a
      rate query: select 0.05 <= 0.05
  - row_count between 10 and 20
"""


@pytest.mark.parametrize(
    ("place", "bounds", "expected"),
    [
        (0, Bounds(high=0.1), "  - rate <= 0.1:"),
        (1, Bounds(5, 25), "  - row_count between 5 and 25"),
    ],
)
def test_a_checks_diff_changes_the_line_of_the_check(
    tmp_path: Path, place: int, bounds: Bounds, expected: str
) -> None:
    """Only that line, and `git apply` takes it; the file itself is not touched before."""
    path = tmp_path / "checks" / "shop.yml"
    path.parent.mkdir()
    path.write_text(CHECKS)
    definition = read_definitions([path])[place]
    diff = checks_diff(definition, bounds, tmp_path)
    assert diff is not None
    assert CHECKS == path.read_text()
    applied(diff, tmp_path)
    lines = CHECKS.splitlines()
    lines[definition.line - 1] = expected

    assert lines == path.read_text().splitlines()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("\n    time: at\n    every: day\n",
         "\n    sensitivity: 0.8\n    time: at\n    every: day\n"),
        ("\n    time: at\n    sensitivity: 1   # strict\n",
         "\n    time: at\n    sensitivity: 0.8   # strict\n"),
        (" {time: at}\n", " {time: at, sensitivity: 0.8}\n"),
        (" {time: at, sensitivity: 2, every: day}\n",
         " {time: at, sensitivity: 0.8, every: day}\n"),
        (" {time: at}", " {time: at, sensitivity: 0.8}"),
    ],
)  # fmt: skip
def test_a_sensitivity_diff_changes_the_dataset_and_nothing_else(
    tmp_path: Path, settings: str, expected: str
) -> None:
    """Whether it was given or not, in lines or in braces, with or without a line end."""
    head = "environment: dev\nvolumes:\n  other.table: {time: at, sensitivity: 3}\n  shop.visits:"
    path = tmp_path / "rampart.yml"
    path.write_text(head + settings)
    diff = sensitivity_diff(path, "shop.visits", 0.8, tmp_path)
    assert diff is not None
    applied(diff, tmp_path)

    assert head + expected == path.read_text()
    assert sensitivity_diff(path, "shop.nowhere", 0.8, tmp_path) is None


# -------------------------------------------------------------------- the page and the text


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """A volume with an outage, a bound that is broken too often, a blind check, one without."""
    counts = weeks(20)
    counts[80] = 0
    values = [0.01 + 0.04 * (day % 20 == 0) for day in range(120)]
    found = [
        tried(volume_check(counts, slice(100, 103)), "drop=50%", "late", samples=10),
        tried(threshold_check(values, "<= 0.03"), "drop=50%"),
        tried(threshold_check([1.0] * 5, ">= 1", "row_count"), "drop=50%"),
    ]
    diffs = {"shop.check": "--- a/<x>\n+++ b/<x>\n-<= 0.03\n+<= 0.05\n"}
    return Report("dev", Settings(), found, {"a.b": "no history yet"}, diffs).as_object()


def test_the_page_asks_nobody_and_needs_no_script(report: dict[str, Any]) -> None:
    """No address, no script, nothing outside the file; dark and light."""
    page = page_of(report)

    assert not re.search(r"https?:|<script|<link|<img|src=|url\(|@import", page)
    assert "default-src 'none'" in page
    assert "prefers-color-scheme: dark" in page
    assert len(page) < 100_000


def test_the_page_shows_each_alarm_and_what_was_found(report: dict[str, Any]) -> None:
    """A dot with its day and value; the share found; the diff; the budget; no raw mark-up."""
    page = page_of(report)

    assert "2024-03-21  0 rows, expected" in page
    assert page.count('<circle class="alarm') == sum(
        len(check["alarms"]) + bool(check["sweep"][0]["detected"] is not None)
        for check in report["checks"]
        if check["sweep"]
    )
    assert "-&lt;= 0.03" in page
    assert "false alarms a month by chance" in page
    assert "too short to say" in page
    assert "a.b" in page


def test_the_text_says_the_same(report: dict[str, Any]) -> None:
    """Blocks for what has something to say, names for the others, the budget last."""
    text = text_of(report)
    lines = text.splitlines()

    assert any(line.startswith("volume.shop.visits  sensitivity 1") for line in lines)
    assert any("drop=50%" in line and "found within 2 days" in line for line in lines)
    assert any("not applicable" in line for line in lines)
    assert "too little history  1 check: shop.check (5 over 5 days)" in lines
    assert "no history yet  1 check: a.b" in lines
    assert lines[-1].startswith("budget  2 checks together: ")
    assert lines[-1].endswith("2 checks without enough history to say")


def test_a_long_series_is_drawn_small_and_no_dip_is_lost() -> None:
    """Four thousand hours; the only zero among them is in the line."""
    values = [1000.0] * 4000
    values[1234] = 0.0
    found = tried(threshold_check(values, "<= 2000", "rows"))
    page = page_of(Report("dev", Settings(), [found]).as_object())
    line = re.search(r'<polyline class="values" points="([^"]*)"', page)

    assert line is not None
    assert len(page) < 40_000
    assert "214.0" in {point.split(",")[1] for point in line[1].split()}
