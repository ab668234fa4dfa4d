"""The volume model on series whose answer a person would know."""

from __future__ import annotations

import numpy as np
import pytest

from monitors.errors import ConfigError
from monitors.scan.holidays import holidays_of
from monitors.scan.volume import Floats, Frequency, Judgement, Series, judge_latest

WEEK = np.array([1000, 1100, 1050, 1080, 1200, 400, 300], dtype=float)
"""Monday to Sunday."""
MONDAY = np.datetime64("2024-01-01")


def weeks(number: int, seed: int = 1, noise: float = 0.03) -> Floats:
    """Whole weeks with a weekly pattern and a little noise."""
    random = np.random.default_rng(seed)
    return np.asarray(np.round(np.tile(WEEK, number) * random.normal(1, noise, 7 * number)))


def judged(counts: Floats, frequency: Frequency = "day", **more: object) -> Judgement:
    """The judgement of the last count; days begin on a Monday."""
    unit = np.timedelta64(1, "D" if frequency == "day" else "h")
    starts = MONDAY.astype("datetime64[h]") + np.arange(len(counts)) * unit
    return judge_latest(Series(starts, counts, frequency, **more))  # type: ignore[arg-type]


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
    assert judged(none, holiday=off).is_anomalous


def test_hours_are_held_against_the_same_hour_of_the_week() -> None:
    """Nights are quiet, and a quiet noon is an alarm."""
    random = np.random.default_rng(3)
    hours = np.arange(24 * 7 * 6)
    counts = np.round((np.cos((hours % 24 - 12) / 24 * 2 * np.pi) + 1.1) * 200)
    counts = np.round(counts * random.normal(1, 0.05, len(counts)))
    noon = counts[: len(counts) - 11].copy()
    assert (len(noon) - 1) % 24 == 12
    quiet = np.append(noon[:-1], counts[-12 - 12])

    assert not judged(noon, "hour").is_anomalous
    assert judged(np.append(quiet[:-1], 30.0), "hour").is_anomalous


@pytest.mark.parametrize("length", [1, 2, 8, 9, 12])
def test_with_too_little_history_the_model_is_blind(length: int) -> None:
    """It neither passes nor alarms: nobody could know."""
    found = judged(weeks(2)[:length])

    assert found.is_blind
    assert found.detectable_change is None
    assert not found.is_anomalous


def test_the_detectable_change_is_what_it_says() -> None:
    """A drop a little larger is seen, one a little smaller is not, by this bucket alone."""
    counts = weeks(13)[: 12 * 7 + 4]
    found = judged(counts)
    share = found.detectable_change
    assert share is not None
    assert 0 < share < 0.5
    larger = np.append(counts[:-1], np.floor(found.expected * (1 - share)) - 2)

    assert judged(larger).is_anomalous


def test_more_sensitivity_means_closer_bounds() -> None:
    """Twice as sensitive, half as far."""
    counts = weeks(13)
    starts = MONDAY + np.arange(len(counts))
    series = Series(starts, counts, "day")
    usual, keen = judge_latest(series), judge_latest(series, sensitivity=2)

    assert keen.score == pytest.approx(2 * usual.score, rel=0.01)
    assert usual.lower < keen.lower < keen.upper < usual.upper


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
