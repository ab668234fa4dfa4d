"""Backtests of synthetic histories whose answer a person would know."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monitors.commands.backtest import judge_of
from monitors.config_volumes import Volume
from monitors.scan.backtest import Backtest, Floats, History, Settings, backtest, starts_of
from monitors.scan.backtest_checks import (
    SENSITIVITIES,
    ThresholdCheck,
    VolumeCheck,
    history_of,
)
from monitors.scan.bounds import Bounds, parse_bounds
from monitors.scan.inject import parse_injection
from monitors.scan.volume import Series, judge_latest
from monitors.scan.volumes import due, judge, series_of
from monitors.store.history import BadPeriod
from monitors.store.volumes import StoredSeries

WEEK = np.array([1000, 1100, 1050, 1080, 1200, 400, 300], dtype=float)
"""Monday to Sunday."""
MONDAY = datetime(2024, 1, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)


def weeks(number: int, noise: float = 0.03, seed: int = 1) -> Floats:
    """Whole weeks with a weekly pattern and noise."""
    random = np.random.default_rng(seed)
    return np.asarray(np.round(np.tile(WEEK, number) * random.normal(1, noise, 7 * number)))


def volume_check(counts: Floats, excluded: slice | None = None, **more: object) -> VolumeCheck:
    """Days from a Monday on."""
    starts = np.datetime64("2024-01-01") + np.arange(len(counts))
    bad = np.zeros(len(counts), dtype=bool)
    if excluded is not None:
        bad[excluded] = True
    series = Series(starts, counts, "day", excluded=bad)
    return VolumeCheck("shop.visits", [""], [series], judge_of(Volume(time="at")), **more)  # type: ignore[arg-type]


def tried(check: VolumeCheck | ThresholdCheck, *faults: str, **more: object) -> Backtest:
    injections = tuple(parse_injection(each) for each in faults)
    return backtest(check, Settings(injections=injections, **more))  # type: ignore[arg-type]


def threshold_check(values: list[float], bounds: str, metric: str = "share") -> ThresholdCheck:
    """A run a day, midnight UTC."""
    moments = np.datetime64("2024-01-01") + np.arange(len(values))
    found = parse_bounds(bounds)
    assert found is not None
    history = history_of("", moments, np.array(values), [])
    return ThresholdCheck("shop.check", "shop.visits", metric, found, [history])


# -------------------------------------------------------------------- injected faults


def test_an_outage_is_always_found_and_a_small_drop_in_noise_is_not() -> None:
    """At once, at every start; five in a hundred rows are less than the noise."""
    found = tried(volume_check(weeks(26, noise=0.08)), "outage", "drop=5%", samples=60)
    outage, drop = found.detections

    assert (outage.share.tries, outage.share.hits, outage.median_delay) == (60, 60, 0.0)
    assert drop.share.hits <= 3
    assert outage.eligible > 100


def test_the_share_found_grows_with_the_fault() -> None:
    """A lost half is found more often than a lost tenth, a lost tenth than nothing."""
    faults = ("drop=10%", "drop=25%", "drop=50%", "drop=90%")
    found = tried(volume_check(weeks(26, noise=0.08)), *faults, samples=40)
    shares = [each.share.hits for each in found.detections]

    assert shares == sorted(shares)
    assert shares[0] < shares[-1] == 40


def test_a_fault_starts_where_it_can_be_told_from_what_was_there() -> None:
    """Not in a known-bad period, not where the check fires anyway, not where nothing comes."""
    counts = np.tile(np.array([1000, 1000, 1000, 1000, 1000, 0, 0], dtype=float), 10)
    counts += np.where(counts > 0, np.arange(70) % 3, 0)
    counts[44] = 0  # a Wednesday
    found = tried(volume_check(counts, slice(56, 63)), "outage", within=2)
    alarms = {
        int((each.moment - found.check.histories[0].starts[0]) / np.timedelta64(1, "D")) + day
        for each in found.alarms
        for day in range(each.values)
    }
    out = alarms | {day - 1 for day in alarms} | set(range(55, 63)) | {69}

    assert 44 in alarms
    starts = [at for at in range(70) if found.tested[0][at] and at not in out and at % 7 < 5]
    assert len(starts) == found.detections[0].eligible


def test_late_rows_count_only_while_they_are_late() -> None:
    """The next bucket finds them there, so one bucket is all there is."""
    found = tried(volume_check(weeks(12)), "late", within=5)

    assert 1 == found.detections[0].within
    assert found.detections[0].share.value == pytest.approx(1, abs=0.1)


def test_the_same_seed_gives_the_same_report() -> None:
    """Whatever else is injected beside it."""
    check = volume_check(weeks(20, noise=0.1))
    alone = tried(check, "drop=20%", samples=30)
    beside = tried(check, "outage", "drop=20%", samples=30)
    other = tried(check, "drop=20%", samples=30, seed=8)

    assert alone.detections[0] == beside.detections[1]
    assert alone.detections[0].eligible == other.detections[0].eligible


# -------------------------------------------------------------------- the clean history


def test_red_values_in_a_row_are_one_alarm_and_a_known_bad_one_is_none() -> None:
    """Two red runs are one alarm; that of the migration is shown and not counted."""
    values = np.full(60, 0.01)
    values[[20, 21, 40, 41, 42]] = 0.5
    moments = np.datetime64("2024-01-01") + np.arange(60)
    migration = (np.datetime64("2024-02-10"), np.datetime64("2024-02-12"))
    history = history_of("", moments, values, [migration])
    check = ThresholdCheck("a", "b", "share", Bounds(high=0.1), [history])
    found = backtest(check, Settings())

    assert [(20, 2, False), (40, 3, True)] == [
        (int((each.moment - history.starts[0]).astype("m8[D]").astype(int)), each.values,
         each.is_known_bad)
        for each in found.alarms
    ]  # fmt: skip
    assert found.rate is not None
    assert (1, 58) == (found.rate.alarms, found.judged)
    assert found.months == pytest.approx(58 / 30.4375)


def test_segments_that_are_red_together_are_one_alarm() -> None:
    """An outage of everything is one call at night, not one per country; each is listed."""
    moments = np.datetime64("2024-01-01") + np.arange(60)
    whole, one, other = np.full((3, 60), 0.01)
    whole[[10, 30]] = one[[10, 11, 50]] = other[[12, 40, 51]] = 0.5
    check = ThresholdCheck(
        "a", "b", "share", Bounds(high=0.1),
        [history_of(name, moments[-len(values):], values, [])
         for name, values in (("", whole), ("de", one[5:]), ("fr", other))],
    )  # fmt: skip
    found = backtest(check, Settings())

    # 10 to 12 together, 30, 40, 50 to 51 together
    assert 4 == found.false_alarms
    assert 7 == len(found.alarms)
    assert {"", "de", "fr"} == {each.segment for each in found.alarms}


@pytest.mark.parametrize("days", [0, 5, 20, 35])
def test_a_short_history_is_blind(days: int) -> None:
    """With what is there, and without a rate or a recommendation."""
    found = tried(volume_check(weeks(20)[:days]), "outage")

    assert found.is_blind
    assert not found.sweep
    assert "too short to say" in found.recommendation.why
    assert not found.recommendation.change


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_it_fires_exactly_where_the_scan_would_have(zone: str) -> None:
    """Day after day judged alone by what a scan would have had in its hands."""
    volume = Volume(time="at", timezone=zone, country="US", sensitivity=1.5)
    starts = [
        datetime.fromisoformat(f"{MONDAY + day * DAY:%Y-%m-%d}T05:00:00+00:00")
        if zone != "UTC"
        else MONDAY + day * DAY
        for day in range(60)
    ]
    counts = weeks(9, noise=0.08, seed=4)[:60]
    counts[[38, 57]] = 0, 100
    bad = [BadPeriod(1, None, None, MONDAY + 44 * DAY, MONDAY + 46 * DAY, "x", "ann", MONDAY)]
    stored = StoredSeries("", tuple(starts), tuple(counts))
    series = series_of(starts, counts, volume, bad)
    check = VolumeCheck("shop.visits", [""], [series], judge_of(volume), volume.sensitivity)
    live = judge(
        replace(due(stored, {}, "day"), places=tuple(range(60))), "shop.visits", volume, bad
    )
    found = check.replay(0, None)
    with np.errstate(invalid="ignore"):
        fires = check.strictness > found.fires_above

    assert [each.state == "anomalous" for each in live] == fires.tolist()
    assert [each.state == "blind" for each in live] == np.isnan(found.fires_above).tolist()
    assert 2 <= fires.sum() < 20


@hypothesis_settings(max_examples=8, deadline=None)
@given(
    st.integers(0, 1000),
    st.integers(20, 50),
    st.lists(st.integers(0, 5000), min_size=60, max_size=60),
)
def test_no_verdict_sees_what_came_later(seed: int, now: int, later: list[int]) -> None:
    """Another future never changes a verdict of the past."""
    counts = weeks(9, noise=0.2, seed=seed)[:60]
    other = np.concatenate([counts[:now], np.array(later[now:], dtype=float)])
    before = volume_check(counts).replay(0, None)
    after = volume_check(other).replay(0, None)

    for one, two in ((before.fires_above, after.fires_above), (before.upper, after.upper)):
        np.testing.assert_array_equal(one[:now], two[:now])
    assert before.kinds[:now] == after.kinds[:now]


@pytest.mark.parametrize("sensitivity", [0.3, 0.8, 1.7, 4.0])
def test_one_replay_answers_for_every_sensitivity(sensitivity: float) -> None:
    """What the sweep says of another sensitivity is what the model says at it."""
    counts = weeks(13, noise=0.2, seed=6)
    counts[[40, 50, 60, 61, 80]] = 0, 100, 300, 300, 0
    check = volume_check(counts)
    found = check.replay(0, None)
    asked = [at for at in range(len(counts)) if not np.isnan(found.fires_above[at])]
    starts = check.series[0].starts
    told = [
        judge_latest(Series(starts[: at + 1], counts[: at + 1], "day"), sensitivity).is_anomalous
        for at in asked
    ]

    assert told == (sensitivity > found.fires_above[asked]).tolist()
    assert any(told)


# -------------------------------------------------------------------- recommendations


def test_the_recommended_sensitivity_keeps_the_budget_and_detects_the_most() -> None:
    """Replayed at it, the alarms are within; anything stricter exceeds or finds no more."""
    check = volume_check(weeks(40, noise=0.12, seed=2))
    found = tried(check, "drop=35%", most_per_month=0.5, samples=80)
    then = found.recommendation.then
    assert then is not None
    again = tried(replace(check, strictness=then.strictness), "drop=35%", samples=80)

    assert found.recommendation.change
    assert again.rate is not None
    assert again.rate.per_month == pytest.approx(then.alarms_per_month)
    assert again.rate.per_month <= 0.5
    assert (then.detected or 0) > (found.recommendation.now.detected or 0) + 0.03
    allowed = [each for each in found.sweep if each.alarms_per_month <= 0.5]
    assert (then.detected or 0) >= max(each.detected or 0 for each in allowed) - 0.03


def test_too_many_alarms_ask_for_a_milder_sensitivity_without_any_fault_put_in() -> None:
    """The strictest of those tried that keeps the budget."""
    found = tried(volume_check(weeks(40, noise=0.12), strictness=4.0), most_per_month=1.0)

    assert found.is_exceeded
    assert found.recommendation.then is not None
    assert found.recommendation.then.strictness < 4.0
    milder = [p for p in found.sweep if p.strictness <= found.recommendation.then.strictness]
    assert all(each.alarms_per_month <= 1.0 for each in milder)


def test_nothing_changes_where_nothing_would_be_better() -> None:
    """The threshold in force finds all and keeps the budget."""
    found = tried(volume_check(weeks(26)), "drop=50%", samples=50)

    assert not found.recommendation.change
    assert found.recommendation.then is None
    assert "detects more" in found.recommendation.why


def test_a_bound_that_is_broken_too_often_is_loosened_to_a_round_number() -> None:
    """Six alarms in four months by 0.05; the next budget that keeps is 0.05 itself."""
    values = [0.0123 + day % 5 / 1000 for day in range(120)]
    for day in (10, 30, 50, 70, 90, 110):
        values[day] = 0.0514
    found = tried(threshold_check(values, "<= 0.03"))

    assert found.is_exceeded
    assert found.recommendation.then is not None
    assert "<= 0.052" == found.recommendation.then.threshold


def test_a_low_bound_moves_up_where_it_finds_more() -> None:
    """900 to 1,000 orders a day: `>= 100` sees no lost half, `>= 890` does."""
    values = [900.0 + day * 37 % 100 for day in range(120)]
    found = tried(threshold_check(values, ">= 100", "row_count"), "drop=50%")
    then = found.recommendation.then

    assert [0] == [each.share.hits for each in found.detections]
    assert then is not None
    assert 1.0 == then.detected
    assert then.alarms_per_month <= 1
    assert parse_bounds(then.threshold).low > 500


def test_a_bound_is_not_kept_by_being_red_for_months() -> None:
    """A growing table: one alarm of a hundred days is no quiet check, though it finds all."""
    values = [600.0 + day for day in range(120)]
    found = tried(threshold_check(values, ">= 500", "row_count"), "drop=5%")
    then = found.recommendation.then

    assert any(each.detected == 1 and each.alarms_per_month < 1 for each in found.sweep)
    assert then is None or then.red_share <= 0.0667


@pytest.mark.parametrize(
    ("bounds", "said"),
    [("= 0", "is a claim"), ("<= 0", "is a claim"), ("between 7 and 9", "look at the claim")],
)
def test_there_is_not_always_something_to_tune(bounds: str, said: str) -> None:
    """An exact claim; an interval that never held."""
    found = tried(threshold_check([day % 3 for day in range(60)], bounds))

    assert said in found.recommendation.why
    assert found.recommendation.then is None


@pytest.mark.parametrize("bounds", ["< 3", "<= 2", "> 2", ">= 1", "between 1 and (2)", "= 2"])
def test_a_replayed_bound_fires_where_it_does_not_hold(bounds: str) -> None:
    """Open bounds are broken by themselves, closed ones are not."""
    check = threshold_check([0.0, 1.0, 2.0, 3.0, 1.5, 2.5], bounds.replace("(2)", "2"))
    found = check.replay(0, None)
    fires = check.strictness > found.fires_above

    expected = [not check.bounds.hold(each) for each in check.histories[0].values]
    assert expected == fires.tolist()


def test_both_bounds_move_together() -> None:
    """Around the median; a wider interval breaks less often."""
    random = np.random.default_rng(1)
    values = [float(each) for each in random.normal(50, 4, 200)]
    found = tried(threshold_check(values, "between 45 and 55"))
    then = found.recommendation.then

    assert found.is_exceeded
    assert then is not None
    bounds = parse_bounds(then.threshold)
    assert bounds is not None
    assert bounds.low < 45 < 55 < bounds.high
    assert then.alarms_per_month <= 1


@pytest.mark.parametrize("metric", ["share", "missing_count", "freshness", "duplicate_count"])
def test_lost_rows_say_nothing_of_what_is_no_count_of_rows(metric: str) -> None:
    """It says so, instead of a share that means nothing."""
    found = tried(threshold_check([0.5] * 60, "<= 1", metric), "drop=50%")

    assert "not applicable" in (found.detections[0].why_not or "")
    assert found.detections[0].share.value is None


# -------------------------------------------------------------------- the pieces


def test_runs_stand_for_the_time_between_them() -> None:
    """A pause of a month in which nobody looked is not a month without an alarm."""
    moments = np.array(["2024-01-01", "2024-01-02", "2024-01-02", "2024-01-03", "2024-02-03"])
    history = history_of("", moments.astype("datetime64[s]"), np.zeros(5), [])

    assert [1, 1, 0, 1, 4] == history.days.tolist()


def test_no_run_at_all_is_no_error() -> None:
    """A check without a value is blind."""
    empty = History(
        "", np.array([], dtype="datetime64[s]"), np.array([]), np.array([], bool), np.array([])
    )
    found = backtest(ThresholdCheck("a", "b", "c", Bounds(high=1), [empty]), Settings())

    assert found.is_blind
    assert () == found.alarms


def test_starts_of_runs() -> None:
    """Each run of red values begins once."""
    firing = np.array([True, True, False, True, False, False, True])

    assert [0, 3, 6] == np.flatnonzero(starts_of(firing)).tolist()


def test_sensitivities_are_in_order_and_hold_the_usual_one() -> None:
    """From mild to strict."""
    assert list(SENSITIVITIES) == sorted(set(SENSITIVITIES))
    assert 1.0 in SENSITIVITIES
