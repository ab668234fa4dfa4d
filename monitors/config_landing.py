"""`landing:` of a feed: what must lie where its files land, before anything is loaded."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, model_validator

from monitors.config_types import Duration, Section


class Landing(Section):
    """Without this section a place is only looked at for being reachable, empty and unfinished
    files; with it also for stray names and equal contents, and for whatever it declares."""

    min_files: Annotated[int, Field(ge=1)] | None = None
    """So many must have come within `window`; of a required feed fewer are red."""
    expect: Annotated[int, Field(ge=1)] | None = None
    """So many usually come; fewer are a warning."""
    window: Duration = timedelta(hours=20)
    """How far back a file counts as come, in hours in which the feed's calendar is open. Shorter
    than the time from one delivery to the next, so that yesterday's does not count today."""
    newest_within: Duration | None = None
    """The newest file may be so old, in open hours of the calendar."""
    size_within: Annotated[float, Field(gt=0, le=1)] | None = None
    """0.5: a file may have from half to one and a half times the median size of its feed."""
    settle: Duration = timedelta(0)
    """A file that was changed so shortly ago is still being written, and waits for the next run."""
    stuck_after: Duration | None = None
    """An unfinished file that has not changed for so long is red; None: it stays a warning."""
    strays: bool = True
    """Whether names that fit no feed are a warning."""
    duplicates: bool = True
    """Whether equal content under two names is a warning."""
    sequence: Literal["hour", "day"] | None = None
    """Every open hour or day has a file whose name states it."""
    sequence_over: Duration = timedelta(days=30)
    """How far back from the newest one a gap is looked for."""
    mount: bool = False
    """Its folder, or one above it, must be a mount point: without its share an empty folder stays
    behind, and looks as if nothing had come."""

    @model_validator(mode="after")
    def _expects_no_less_than_it_needs(self) -> Landing:
        if self.expect is not None and self.min_files is not None and self.expect < self.min_files:
            raise ValueError(f"an `expect` of at least `min_files`, {self.min_files}")
        return self


BARE = Landing(strays=False, duplicates=False)
"""Of a feed that declares nothing."""
