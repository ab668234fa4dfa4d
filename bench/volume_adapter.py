"""The shipped volume model as a detector for a benchmark of volume anomalies.

`detect(history, (timestamp, count))` gives (is_anomaly, lower, upper, score), where `history` has
`ts`, `counts`, `freq` ('D' or 'H') and `country`, an ISO code or ''.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from monitors.scan.holidays import holidays_of
from monitors.scan.volume import Series, judge_latest


def detect(history: Any, point: tuple[Any, float]) -> tuple[bool, float, float, float]:
    """Judge one bucket by the history before it."""
    starts = np.append(history.ts, point[0])
    holiday = near = None
    if history.country:
        holiday, near = holidays_of(history.country, starts.astype("datetime64[D]"))
    judged = judge_latest(
        Series(
            starts=starts,
            counts=np.append(history.counts, point[1]).astype(float),
            frequency="day" if history.freq == "D" else "hour",
            holiday=holiday,
            near_holiday=near,
        )
    )
    return judged.is_anomalous, judged.lower, judged.upper, judged.score


DETECTORS = {"rampart": detect}
