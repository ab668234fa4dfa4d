"""What a person reads about a judgement."""

from __future__ import annotations

import numpy as np
import pytest

from monitors.scan.volume import (
    BLIND,
    Floats,
    Frequency,
    Judgement,
    Series,
    judge_all,
    judge_latest,
)
from monitors.scan.volume_words import in_words
from tests.unit.test_volume import hours, series_of, weeks

THURSDAY = np.datetime64("2024-01-04")


def ends_on_thursday(*counts: float, frequency: Frequency = "day") -> Series:
    """A series whose last bucket is a Thursday, or its 14:00."""
    unit = "D" if frequency == "day" else "h"
    last = THURSDAY if frequency == "day" else np.datetime64("2024-01-04T14")
    back = np.arange(len(counts) - 1, -1, -1) * np.timedelta64(1, unit)
    return Series(last - back, np.array(counts, dtype=float), frequency)


@pytest.mark.parametrize(
    ("count", "judgement", "words"),
    [
        (
            312,
            Judgement(1119.6, 1040.3, 1209.8, 3.1, "level", 1, 312 / 1119.6 - 1),
            "a Thursday usually has 1,040 to 1,210 rows, this one has 312: -72 %",
        ),
        (
            1100,
            Judgement(1119.6, 1040.3, 1209.8, 0.1, "level", 1, 1100 / 1119.6 - 1),
            "a Thursday usually has 1,040 to 1,210 rows, this one has 1,100: -2 %",
        ),
        (
            2239,
            Judgement(1119.6, 1040.3, 1209.8, 4.0, "level", 1, 1.0),
            "a Thursday usually has 1,040 to 1,210 rows, this one has 2,239: +100 %",
        ),
        (
            9000,
            Judgement(1119.6, 1040.3, 1209.8, 9.0, "level", 1, 9000 / 1119.6 - 1),
            "a Thursday usually has 1,040 to 1,210 rows, this one has 9,000: 8 times as many",
        ),
        (
            9,
            Judgement(0.0, 0.0, 4.27, 1.4, "level", 1, None),
            "a Thursday usually has 0 to 4.3 rows, this one has 9",
        ),
        (
            0,
            Judgement(1119.6, 1040.3, 1209.8, 1.33, "outage", 1, -1.0),
            "a Thursday usually has 1,040 to 1,210 rows, this one has none",
        ),
        (
            1004,
            Judgement(1119.6, 790.0, 1509.8, 1.2, "lasting", 5, -0.18),
            "the last 5 days together are 18 % below what is usual, this day has 1,004 rows of "
            "about 1,120",
        ),
        (
            3400,
            Judgement(1119.6, 790.0, 1509.8, 4.2, "lasting", 2, 2.1),
            "the last 2 days together are 3.1 times what is usual, this day has 3,400 rows of "
            "about 1,120",
        ),
        (
            312,
            Judgement(1100.0, 940.0, 1160.0, 9.0, "zscore", 1, 312 / 1100 - 1),
            "the 7 days before allow 940 to 1,160 rows, this day has 312: -72 %",
        ),
        (
            501,
            Judgement(500.0, 500.0, 500.0, 1000.0, "zscore", 1, 0.002),
            "the 7 days before allow 500 rows, this day has 501: +0.2 %",
        ),
    ],
)
def test_each_cause_is_a_sentence(count: float, judgement: Judgement, words: str) -> None:
    """With the numbers as a person writes them."""
    assert words == in_words(ends_on_thursday(7, count), judgement)


def test_hours_say_the_hour_and_units_are_what_is_counted() -> None:
    """A Thursday 14:00 is held against Thursdays at 14:00."""
    judgement = Judgement(100, 80, 125, 2.0, "level", 1, -0.5)
    series = ends_on_thursday(100, 50, frequency="hour")

    assert in_words(series, judgement, "events") == (
        "a Thursday 14:00 usually has 80 to 125 events, this one has 50: -50 %"
    )


def test_a_repeat_says_how_often() -> None:
    """All buckets at the end that are equal, the first among them."""
    judgement = Judgement(1100, 900, 1300, 2.2, "repeat")

    assert in_words(ends_on_thursday(9, 1187, 1187, 1187), judgement) == (
        "3 days in a row have exactly 1,187 rows, which does not happen by chance"
    )


@pytest.mark.parametrize(
    ("counts", "method", "words"),
    [
        (weeks(3)[:13], "model", "12 days of history, 21 are needed"),
        (weeks(3)[:2], "zscore", "1 day of history, 7 are needed"),
        (np.array([]), "model", "0 days of history, 21 are needed"),
    ],
)
def test_a_blind_one_says_what_is_lacking(counts: Floats, method: str, words: str) -> None:
    """So that a person knows when it will see."""
    assert words == in_words(series_of(counts), BLIND, method=method)  # type: ignore[arg-type]


def test_blind_in_spite_of_a_long_history_says_why() -> None:
    """When most of it is known to be bad."""
    series = series_of(weeks(5)[:29], excluded=np.arange(29) < 21)

    assert in_words(series, judge_latest(series)) == (
        "28 days of history, but too few of them are usual: the others are holidays or known to "
        "be bad"
    )


def test_what_the_model_finds_is_put_into_words() -> None:
    """From a series to the sentence: an outage, a half day, a decay, and a quiet hour."""
    counts = weeks(13)[: 12 * 7 + 4]
    half = series_of(np.append(counts[:-1], 540.0))
    none = series_of(np.append(counts[:-1], 0.0))
    decay = np.round(weeks(14, noise=0.05) * np.append(np.ones(91), np.linspace(0.93, 0.5, 7)))
    lasting = [
        (place, each)
        for place, each in enumerate(judge_all(series_of(decay), 91), 91)
        if each.is_anomalous and each.kind == "lasting"
    ]
    place, judgement = lasting[0]
    quiet = series_of(np.append(hours(24 * 7 * 6)[:-12], 30.0), "hour")

    assert in_words(half, judge_latest(half)).startswith("a Thursday usually has ")
    assert in_words(half, judge_latest(half)).endswith(" rows, this one has 540: -50 %")
    assert in_words(none, judge_latest(none)).endswith(" rows, this one has none")
    assert " days together are " in in_words(series_of(decay[: place + 1]), judgement)
    assert " % below what is usual, this day has " in in_words(
        series_of(decay[: place + 1]), judgement
    )
    assert in_words(quiet, judge_latest(quiet)).startswith("a Sunday 12:00 usually has ")
