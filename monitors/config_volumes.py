"""`volumes:` of rampart.yml: tables whose number of rows per hour or day is modelled."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from monitors.config_types import Duration, Section, TimeZone


def _country(value: str) -> str:
    import holidays

    if value not in holidays.list_supported_countries(include_aliases=False):
        raise ValueError("a country's two-letter code like DE or US")
    return value


Country = Annotated[str, AfterValidator(_country)]
Every = Literal["hour", "day"]
Method = Literal["model", "zscore"]

REMEMBERED = {"day": timedelta(days=400), "hour": timedelta(days=130)}


class Volume(Section):
    """Rows of a table per bucket of time; an empty bucket is a zero."""

    time: Annotated[str, Field(min_length=1)]
    """The column that says to which bucket a row belongs: date, timestamp or timestamptz."""
    every: Every = "day"
    segment: Annotated[str, Field(min_length=1)] | None = None
    """A column: each of its values is modelled too, beside the whole table."""
    feed: str | None = None
    """Buckets are complete by the clock of this feed; None: by the time of day."""
    lateness: Duration = timedelta(0)
    """So long after its end a bucket is complete: rows that come later are not waited for."""
    timezone: TimeZone = "UTC"
    """In which days begin, and in which a timestamp without a time zone is written."""
    country: Country | None = None
    """Whose public holidays are no usual days."""
    method: Method = "model"
    """`zscore`: beyond 3 standard deviations of the 7 buckets before."""
    smallest_change: Annotated[float, Field(gt=0, le=1)] = 0.5
    """A drop by this share must be seen; where it would not be, the verdict is `blind`."""
    sensitivity: Annotated[float, Field(gt=0, le=10)] = 1.0
    """2 finds changes half as large, and more of chance."""
    remember: Duration | None = None
    """How far back buckets are read at the first scan; 400 days, of hours 130 days."""

    @model_validator(mode="after")
    def _hours_are_no_zscore(self) -> Volume:
        if self.method == "zscore" and self.every == "hour":
            raise ValueError("the method `zscore` for days only: a night has other hours")
        return self

    @property
    def remembered(self) -> timedelta:
        return self.remember or REMEMBERED[self.every]
