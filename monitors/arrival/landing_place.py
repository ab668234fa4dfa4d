"""One feed and what lies where it lands: what is whole, what waits, what is of the future."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from monitors.arrival.loader import moment_in_name
from monitors.arrival.open_time import open_before
from monitors.arrival.storage import LandedFile, Listing, fits
from monitors.arrival.unfinished import finished_name, unfinished
from monitors.config_feeds import Calendar, Feed, place_of

AHEAD = timedelta(days=1)
"""So far a name may be ahead of UTC: no zone is further. What states more is of the future."""


@dataclass(frozen=True, slots=True)
class Place:
    """One feed and what lies where it lands, at a moment."""

    name: str
    feed: Feed
    calendar: Calendar
    listing: Listing
    now: datetime
    files: tuple[LandedFile, ...] = ()
    """Whole ones that its pattern means, in order of name."""
    waiting: tuple[LandedFile, ...] = ()
    """Those of them that no delivery of the same name and size stands for."""
    unfinished: tuple[tuple[LandedFile, str], ...] = ()
    """(file, why it is not whole)."""
    unreadable: tuple[LandedFile, ...] = ()
    """Those that its pattern means and that cannot be read."""
    strays: tuple[str, ...] = ()
    """Names that fit no feed."""

    @property
    def is_empty(self) -> bool:
        """Nothing of the feed lies there."""
        return not (self.files or self.unfinished or self.unreadable)

    @property
    def enough(self) -> int | None:
        """How many must have come; None when the feed declares none."""
        return self.feed.landing.min_files or self.feed.landing.expect

    @property
    def window_begin(self) -> datetime:
        """What was loaded since then has come."""
        return open_before(self.now, self.feed.landing.window, self.calendar)

    @property
    def latest(self) -> datetime:
        """What speaks of a later moment is of the future."""
        offset = self.feed.moment.offset if self.feed.moment else timedelta(0)
        return self.now + AHEAD + offset

    def stated(self, file: LandedFile) -> datetime | None:
        """The moment that a file's name states."""
        moment = self.feed.moment
        return None if moment is None else moment_in_name(file.source.name, moment)

    def moment(self, file: LandedFile) -> datetime:
        """The moment that a file speaks of, as its delivery will record it."""
        return self.stated(file) or file.modified

    def is_of_the_future(self, file: LandedFile) -> bool:
        """Whether its name states a moment that cannot have come yet."""
        stated = self.stated(file)
        return stated is not None and stated > self.latest


def sort_out(
    place: Place, loaded: dict[tuple[str, int], datetime], is_claimed: Callable[[str], bool]
) -> Place:
    """The place with its files told apart; `loaded` has (name, bytes) of those that were."""
    pattern = place_of(place.feed.path)[1]
    last = pattern.rsplit("/", 1)[-1]
    files: list[LandedFile] = []
    unreadable: list[LandedFile] = []
    not_whole: list[tuple[LandedFile, str]] = []
    strays: list[str] = []
    for each in place.listing.files:
        why = unfinished(each.name, last)
        if why and (fits(each.name, pattern) or fits(finished_name(each.name), pattern)):
            not_whole.append((each, why))
        elif each.name.rsplit("/", 1)[-1][0] == ".":
            continue  # somebody is still writing it, or means it for nobody
        elif not fits(each.name, pattern):
            if not is_claimed(each.name) and not is_claimed(finished_name(each.name)):
                strays.append(each.name)
        elif each.fault:
            unreadable.append(each)
        elif (age := abs(place.now - each.modified)) < place.feed.landing.settle:
            not_whole.append((each, f"changed {age.total_seconds():.0f} s ago"))
        else:
            files.append(each)
    waiting = [each for each in files if (each.name, each.size) not in loaded]
    return replace(
        place,
        files=tuple(files),
        waiting=tuple(waiting),
        unfinished=tuple(not_whole),
        unreadable=tuple(unreadable),
        strays=tuple(strays),
    )
