"""Public holidays of a country, and the days around them on which people behave as on one."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from monitors.errors import ConfigError

Bools = NDArray[np.bool_]
Days = NDArray[np.datetime64]


def holidays_of(country: str, days: Days) -> tuple[Bools, Bools]:
    """(whether each day is a public holiday, whether it is one or near one).

    Near is a day off that touches a holiday, a bridge between days off, the day before and the day
    after such a stretch, and 23 December to 2 January where Christmas is a holiday. Weekends are
    Saturday and Sunday. `days` have the unit day, in any order; raises ConfigError for a country
    (ISO 3166, two letters) of which nobody knows the holidays.
    """
    years = days.astype("datetime64[Y]").astype(int) + 1970
    first, last = int(years.min()) - 1, int(years.max()) + 1
    start, holiday, near = _calendar(country, first, last)
    places = (days - start).astype(int)
    return holiday[places], near[places]


@lru_cache(maxsize=64)
def _calendar(country: str, first: int, last: int) -> tuple[np.datetime64, Bools, Bools]:
    import holidays

    try:
        known = holidays.country_holidays(country, years=range(first, last + 1))
    except NotImplementedError:
        raise ConfigError(
            f"country: found `{country}`, allowed is a two-letter code like DE or US"
        ) from None
    days = np.arange(np.datetime64(f"{first}-01-01"), np.datetime64(f"{last + 1}-01-01"))
    holiday = np.isin(days, np.array(sorted(known), dtype="datetime64[D]"))
    weekday = (days.astype(int) + 3) % 7  # 1 January 1970 was a Thursday
    off = holiday | (weekday >= 5)
    off[1:-1] |= off[:-2] & off[2:]  # bridges
    near = np.zeros_like(off)
    for begin, end in _stretches(off):
        if holiday[begin:end].any():
            near[max(0, begin - 1) : end + 1] = True
    day_of_year = np.array([str(day)[5:] for day in days])
    if holiday[day_of_year == "12-25"].all():
        near |= (day_of_year >= "12-23") | (day_of_year <= "01-02")
    return days[0], holiday, near


def _stretches(off: Bools) -> list[tuple[int, int]]:
    """(first, one after the last) of each run of days off."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], off, [False]]).astype(int)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
