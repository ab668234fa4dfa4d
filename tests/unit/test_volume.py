"""The volume model on series whose answer a person would know."""

from __future__ import annotations

import numpy as np
import pytest

from monitors.errors import ConfigError
from monitors.scan.holidays import holidays_of
from monitors.scan.volume import (
    BLIND,
    HISTORY_NEEDED,
    LOOK_BACK,
    Bools,
    Floats,
    Frequency,
    Judgement,
    Method,
    Series,
    judge_all,
    judge_latest,
)

WEEK = np.array([1000, 1100, 1050, 1080, 1200, 400, 300], dtype=float)
"""Monday to Sunday."""
MONDAY = np.datetime64("2024-01-01")


def weeks(number: int, seed: int = 1, noise: float = 0.03) -> Floats:
    """Whole weeks with a weekly pattern and a little noise."""
    random = np.random.default_rng(seed)
    return np.asarray(np.round(np.tile(WEEK, number) * random.normal(1, noise, 7 * number)))


def series_of(counts: Floats, frequency: Frequency = "day", **more: Bools) -> Series:
    """A series that begins on a Monday."""
    unit = np.timedelta64(1, "D" if frequency == "day" else "h")
    starts = MONDAY.astype("datetime64[h]") + np.arange(len(counts)) * unit
    return Series(starts, counts, frequency, **more)


def judged(
    counts: Floats, frequency: Frequency = "day", method: Method = "model", **more: Bools
) -> Judgement:
    """The judgement of the last count."""
    return judge_latest(series_of(counts, frequency, **more), method=method)


def hours(number: int, seed: int = 3) -> Floats:
    """Hours with a daily pattern, quiet nights among them, and a little noise."""
    random = np.random.default_rng(seed)
    pattern = (np.cos((np.arange(number) % 24 - 12) / 24 * 2 * np.pi) + 1.0) * 200
    return np.asarray(np.round(pattern * random.normal(1, 0.05, number)))


@pytest.mark.parametrize("day", range(7))
def test_a_usual_day_is_not_anomalous_and_an_outage_is(day: int) -> None:
    """Whatever the day of the week; expected is what that day usually brings."""
    counts = weeks(13)[: 12 * 7 + day + 1]
    usual = judged(counts)
    none = judged(np.append(counts[:-1], 0.0))

    assert not usual.is_anomalous
    assert usual.expected == pytest.approx(WEEK[day], rel=0.06)
    assert usual.lower < WEEK[day] < usual.upper
    assert none.is_anomalous


@pytest.mark.parametrize("factor", [0.28, 0.5, 2.0])
def test_a_thursday_with_far_too_few_or_twice_the_rows_is_anomalous(factor: float) -> None:
    """Also when it would do for a Sunday."""
    counts = weeks(13)[: 12 * 7 + 4]
    counts[-1] = round(counts[-1] * factor)

    assert judged(counts).is_anomalous


def test_an_outage_after_a_constant_history_is_anomalous() -> None:
    """A scale of zero must not hide it, nor make a single row an alarm."""
    constant = np.full(60, 500.0)

    assert not judged(constant).is_anomalous
    assert not judged(np.append(constant, 501.0)).is_anomalous
    assert judged(np.append(constant, 0.0)).is_anomalous
    assert judged(np.append(constant, 250.0)).is_anomalous


def test_a_source_that_repeats_itself_is_stuck() -> None:
    """The same count again and again, where counts are never equal."""
    tuesday = weeks(12, noise=0.1)[: 11 * 7 + 2]
    found = judged(np.append(tuesday, np.repeat(tuesday[-1], 2)))

    assert found.is_anomalous
    assert found.kind == "repeat"


def test_a_new_timetable_is_an_alarm_once() -> None:
    """A weekday on which fewer rows come from now on: the first is news, the third is not."""
    counts = weeks(16, noise=0.01)
    counts[-15::7] = round(WEEK[6] * 1.5)  # Sundays of three weeks

    assert judged(counts[:-14]).is_anomalous
    assert not judged(counts).is_anomalous


def test_a_slow_decay_shows_before_its_end() -> None:
    """Each day a little less than the one before, none of them striking."""
    counts = weeks(14, noise=0.05)
    decayed = counts * np.concatenate([np.ones(13 * 7), np.linspace(0.95, 0.5, 7)])
    alarms = [judged(np.round(decayed[: 13 * 7 + day])).is_anomalous for day in range(1, 8)]

    assert any(alarms)


def test_known_bad_buckets_say_nothing_about_what_is_usual() -> None:
    """Three Mondays without rows, named as bad: a fourth is an alarm, a usual one is none."""
    counts = weeks(13)[: 12 * 7 + 1]
    bad = np.zeros(len(counts), dtype=bool)
    for back in (8, 15, 22):
        counts[-back + 0] = 0
        bad[-back] = True
    again = np.append(counts[:-1], 300.0)

    assert judged(counts, excluded=bad).expected == pytest.approx(1000, rel=0.06)
    assert judged(again, excluded=bad).is_anomalous


def test_around_holidays_the_yardstick_is_longer() -> None:
    """A day that half the people take off is no alarm; one without any row is."""
    counts = weeks(13)[: 12 * 7 + 4]
    off = np.zeros(len(counts), dtype=bool)
    off[-1] = True
    half = np.append(counts[:-1], round(counts[-1] * 0.7))
    none = np.append(counts[:-1], 0.0)

    assert judged(half).is_anomalous
    assert not judged(half, holiday=off).is_anomalous
    assert judged(half).upper < judged(half, near_holiday=off).upper
    assert judged(half, near_holiday=off).upper < judged(half, holiday=off).upper
    assert judged(none, holiday=off).is_anomalous


def test_hours_are_held_against_the_same_hour_of_the_week() -> None:
    """Nights are quiet, and a quiet noon is an alarm."""
    counts = hours(24 * 7 * 6)
    noon = counts[: len(counts) - 11].copy()
    assert (len(noon) - 1) % 24 == 12
    quiet = np.append(noon[:-1], counts[-12 - 12])

    assert not judged(noon, "hour").is_anomalous
    assert judged(np.append(quiet[:-1], 30.0), "hour").is_anomalous


@pytest.mark.parametrize("length", [1, 2, 8, 9, 12, 21])
def test_with_too_little_history_the_model_is_blind(length: int) -> None:
    """It neither passes nor alarms: nobody could know."""
    found = judged(weeks(4)[:length])

    assert found.is_blind
    assert found.detectable_change is None
    assert not found.is_anomalous


@pytest.mark.parametrize("seed", range(8))
def test_the_detectable_change_is_what_it_says(seed: int) -> None:
    """A drop a little larger is seen, one a little smaller is not, whatever came instead."""
    counts = weeks(13, seed, noise=0.08)[: 12 * 7 + 4]
    found = judged(counts)
    more = judged(np.append(counts[:-1], 1500.0))
    share = found.detectable_change
    assert share is not None
    least = found.expected * (1 - share)
    below = judged(np.append(counts[:-1], least - 1))
    inside = judged(np.append(counts[:-1], least + 1))

    assert 0 < share < 0.6
    assert more.detectable_change == pytest.approx(share)
    assert below.is_anomalous
    assert not (inside.is_anomalous and inside.kind == "level")


def test_more_sensitivity_means_closer_bounds() -> None:
    """Twice as sensitive, half as far."""
    counts = weeks(13)
    series = series_of(counts)
    usual, keen = judge_latest(series), judge_latest(series, sensitivity=2)

    assert keen.score == pytest.approx(2 * usual.score, rel=0.01)
    assert usual.lower < keen.lower < keen.upper < usual.upper


# ----------------------------------------------------- many buckets of one series


def wild(random: np.random.Generator, number: int, frequency: Frequency) -> Series:
    """A series with all that the model looks at: levels, zeros, repeats, holidays, bad periods."""
    level = np.exp(np.cumsum(random.normal(0, 0.03, number)) + random.uniform(0, 7))
    phase = np.tile(random.gamma(2, 0.5, 7 if frequency == "day" else 24), number)[:number]
    counts = random.poisson(level * phase * random.gamma(20, 0.05, number)).astype(float)
    for _ in range(3):
        begin = int(random.integers(number))
        counts[begin : begin + 5] = random.choice([0.0, counts[begin], 3 * counts[begin]])
    holiday = random.random(number) < 0.03
    near = holiday | np.roll(holiday, 1)
    excluded = random.random(number) < 0.02
    return series_of(counts, frequency, holiday=holiday, near_holiday=near, excluded=excluded)


@pytest.mark.parametrize("method", ["model", "zscore"])
@pytest.mark.parametrize(("frequency", "number"), [("day", 420), ("hour", 3300)])
@pytest.mark.parametrize("seed", range(4))
def test_judging_many_is_judging_each_as_the_latest(
    frequency: Frequency, number: int, seed: int, method: Method
) -> None:
    """To the last bit, whatever lies before the first and after the last of them."""
    random = np.random.default_rng(seed)
    series = wild(random, number, frequency)
    start = int(random.integers(number // 2))
    together = judge_all(series, start, number, 1.3, method)
    places = [start, number - 1, *random.integers(start, number, 40).tolist()]
    apart = [judge_latest(series.until(place + 1), 1.3, method) for place in places]

    assert len(together) == number - start
    assert list(map(repr, apart)) == [repr(together[place - start]) for place in places]
    assert len({each.kind for each in together}) >= (3 if method == "model" else 1)


@pytest.mark.parametrize("frequency", ["day", "hour"])
def test_what_is_far_back_changes_nothing(frequency: Frequency) -> None:
    """A look back of LOOK_BACK buckets is enough: whoever reads the past need not read more."""
    series = wild(np.random.default_rng(7), LOOK_BACK[frequency] + 500, frequency)
    whole = judge_latest(series)
    part = judge_latest(series.until(len(series.counts), 499))

    assert repr(part) == repr(whole)


def test_a_part_of_a_series_that_is_not_there_is_refused() -> None:
    """Places from 0 to the length; nothing is quietly cut off."""
    series = series_of(weeks(4))

    assert judge_all(series, 28) == []
    with pytest.raises(ValueError, match="found buckets 5 to 29 of 28"):
        judge_all(series, 5, 29)


# ------------------------------------------------------------------- bad input


def test_an_empty_series_is_blind() -> None:
    """There is nothing to judge, and nobody could."""
    empty = series_of(np.array([]))

    assert judge_latest(empty) == BLIND
    assert judge_all(empty) == []


@pytest.mark.parametrize("frequency", ["day", "hour"])
def test_the_first_bucket_that_is_judged(frequency: Frequency) -> None:
    """Three weeks of days or two of hours are needed before it; until then the model is blind."""
    needed = HISTORY_NEEDED[frequency]
    counts = hours(needed + 1)
    verdicts = judge_all(series_of(counts, frequency))

    assert [each.is_blind for each in verdicts] == [True] * needed + [False]


def test_too_few_usual_buckets_are_no_history() -> None:
    """Four weeks of which three are known to be bad leave nothing to compare with."""
    bad = np.arange(29) < 21

    assert judged(weeks(5)[:29], excluded=bad).is_blind


@pytest.mark.parametrize("count", [np.nan, np.inf, -1.0])
def test_what_is_no_count_is_refused(count: float) -> None:
    """With the bucket that has it and what is allowed."""
    counts = weeks(4)
    counts[3] = count

    with pytest.raises(ValueError, match=rf"counts: found {count} at 2024-01-04.*finite"):
        series_of(counts)


@pytest.mark.parametrize("order", [[0, 2, 1, 3], [0, 1, 1, 2], [0, 1, 3, 4]])
def test_starts_out_of_order_twice_or_left_out_are_refused(order: list[int]) -> None:
    """The model counts in places, so a calendar with a hole would compare Monday with Tuesday."""
    starts = MONDAY + np.array(order)

    with pytest.raises(
        ValueError, match=r"starts: found 2024-.* after 2024-.*one day after the oth"
    ):
        Series(starts, np.ones(4), "day")


def test_arrays_of_different_lengths_and_unknown_words_are_refused() -> None:
    """Each error says what was found."""
    counts = weeks(4)
    starts = MONDAY + np.arange(28)

    with pytest.raises(ValueError, match="counts: found 27 values for 28 buckets"):
        Series(starts, counts[1:], "day")
    with pytest.raises(ValueError, match="excluded: found 3 values for 28 buckets"):
        series_of(counts, excluded=np.zeros(3, dtype=bool))
    with pytest.raises(ValueError, match="frequency: found `week`"):
        Series(starts, counts, "week")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="method: found `prophet`"):
        judge_latest(series_of(counts), method="prophet")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sensitivity: found 0"):
        judge_latest(series_of(counts), sensitivity=0)


def test_after_a_gap_of_zeros_usual_days_are_usual() -> None:
    """A week without a row is an alarm while it is news; the third week after it is usual."""
    counts = weeks(16)
    counts[12 * 7 : 13 * 7] = 0
    verdicts = judge_all(series_of(counts), 12 * 7)

    assert all(each.is_anomalous for each in verdicts[:3])
    assert not any(each.is_anomalous for each in verdicts[14:])


def test_a_gap_that_is_known_to_be_bad_leaves_no_trace() -> None:
    """The day after it is expected as if the gap had not been."""
    counts = weeks(14)
    gap = counts.copy()
    gap[12 * 7 : 13 * 7] = 0
    bad = np.arange(len(counts)) // 7 == 12
    found = judge_all(series_of(gap, excluded=bad), 13 * 7)

    assert not any(each.is_anomalous for each in found)
    assert [each.expected for each in found] == pytest.approx(WEEK, rel=0.08)


def test_a_month_that_is_known_to_be_bad_is_looked_over() -> None:
    """What is usual is then what was so before it, whatever came meanwhile."""
    counts = weeks(14)
    bad = np.arange(len(counts)) // 7 >= 9
    bad[-7:] = False
    found = judge_all(series_of(np.where(bad, 20.0, counts), excluded=bad), 13 * 7)

    assert not any(each.is_anomalous for each in found)
    assert [each.expected for each in found] == pytest.approx(WEEK, rel=0.08)


def test_a_backfill_is_seen_on_its_day_and_old_buckets_follow_the_new_past() -> None:
    """Last month's rows arrive: by the day they speak of nothing new is to be seen today."""
    counts = weeks(14)
    lacking = counts.copy()
    lacking[9 * 7 : 12 * 7] = np.round(lacking[9 * 7 : 12 * 7] / 2)
    arrived_today = np.append(counts[:-1], counts[-1] * 8)

    assert judged(arrived_today).is_anomalous  # counted by the day of arrival
    assert not judged(counts).is_anomalous  # counted by the day they speak of
    assert judged(counts).score < judged(arrived_today).score
    assert all(each.is_anomalous for each in judge_all(series_of(lacking), 9 * 7, 9 * 7 + 2))


@pytest.mark.parametrize("frequency", ["day", "hour"])
def test_a_series_without_any_row_says_nothing(frequency: Frequency) -> None:
    """Zeros after zeros are usual, and nothing less can come."""
    found = judged(np.zeros(800), frequency)

    assert not found.is_anomalous
    assert found.expected == pytest.approx(0, abs=0.01)
    assert found.upper < 15


def test_an_hour_without_rows_is_an_outage_by_day_and_nothing_at_night() -> None:
    """Where 400 rows are usual, and where hours without any are."""
    counts = hours(24 * 7 * 6)
    noon, midnight = counts[:-11], counts
    midnight = np.append(counts, 0.0)

    assert judged(np.append(noon[:-1], 0.0), "hour").kind == "outage"
    assert not judged(midnight, "hour").is_anomalous


# -------------------------------------------------------------- the plain rule


def test_the_plain_rule_is_three_standard_deviations_of_seven_buckets() -> None:
    """Mean and sample standard deviation of the seven before; the judged one is none of them."""
    before = np.array([10, 12, 9, 11, 10, 13, 9], dtype=float)
    found = judged(np.append(before, 30.0), method="zscore")
    mean, spread = before.mean(), before.std(ddof=1)

    assert found.kind == "zscore"
    assert (found.lower, found.upper) == pytest.approx((mean - 3 * spread, mean + 3 * spread))
    assert found.score == pytest.approx((30 - mean) / (3 * spread))
    assert found.detectable_change == pytest.approx(3 * spread / mean)
    assert not judged(np.append(before, 14.0), method="zscore").is_anomalous


def test_by_the_plain_rule_any_change_of_a_constant_is_far_beyond_the_bound() -> None:
    """Its bounds are the constant itself."""
    same = judged(np.full(8, 500.1), method="zscore")
    changed = judged(np.append(np.full(7, 500.1), 501.0), method="zscore")

    assert (same.score, same.lower, same.upper) == (0, 500.1, 500.1)
    assert changed.score >= 100


def test_the_plain_rule_leaves_known_bad_buckets_out_and_is_blind_below_seven() -> None:
    """It then looks further back."""
    counts = np.array([10, 12, 9, 11, 10, 13, 9, 0, 0, 11], dtype=float)
    bad = counts == 0

    assert judged(counts, method="zscore", excluded=bad).expected == pytest.approx(74 / 7)
    assert judged(counts[:7], method="zscore").is_blind
    assert judged(counts[2:], method="zscore", excluded=bad[2:]).is_blind


# ------------------------------------------------------------------- holidays


def test_holidays_and_what_touches_them() -> None:
    """Thanksgiving 2024: Thursday, its bridge to the weekend, and a day on either side."""
    days = np.arange(np.datetime64("2024-11-26"), np.datetime64("2024-12-04"))
    holiday, near = holidays_of("US", days)

    assert [str(day)[5:] for day in days[holiday]] == ["11-28"]
    assert [str(day)[5:] for day in days[near]] == [
        "11-27", "11-28", "11-29", "11-30", "12-01", "12-02",
    ]  # fmt: skip


def test_an_unknown_country_is_a_clear_error() -> None:
    """Found and allowed, as everywhere in the configuration."""
    with pytest.raises(ConfigError, match="found `XX`, allowed is a two-letter code"):
        holidays_of("XX", np.array(["2024-01-01"], dtype="datetime64[D]"))
