"""What lies where a feed lands, judged before any of it is loaded: here, whole, fresh, and once.

Only results are looked at (names, sizes, times), so that whatever moves the files may be anything.
Every claim is a check `landing.<feed>.<what>`; what is not whole is left for the next run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from statistics import median

from monitors.arrival.landing_checks import CHECKS
from monitors.arrival.landing_place import Place, sort_out
from monitors.arrival.loader import kind_of
from monitors.arrival.open_time import is_closed, open_between
from monitors.arrival.records import sha256_of
from monitors.arrival.storage import LandedFile, Listing, is_written_by_the_store
from monitors.config_feeds import ALWAYS_OPEN, Calendar, Feed
from monitors.results import Category, CheckResult, Layer, Status, number_text
from monitors.store.landing import LandingHistory

SUITE = "landing"
RECENT_DELIVERIES = 60
"""Of so many the median size is taken."""
FEWEST_DELIVERIES = 5
"""With fewer of a kind nobody knows what size is usual."""
SHOWN = 3
"""How many names a message shows."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is to be loaded, what is left, and what is to be said."""

    files: tuple[LandedFile, ...] = ()
    unchanged: frozenset[str] = field(default_factory=frozenset)
    """Names of those that the store of the files itself says were not written since they were
    loaded: they need not be read again to know that."""
    skipped: tuple[tuple[str, str], ...] = ()
    """(name, why) of what is not whole."""
    unreadable: frozenset[str] = field(default_factory=frozenset)
    """Names of those that cannot be read; they are told, and whoever loads them fails."""
    is_recorded: bool = False
    """What the feed declares has come by its deliveries alone, whatever lies there now."""
    results: tuple[CheckResult, ...] = ()


def look(
    name: str,
    feed: Feed,
    listing: Listing,
    history: LandingHistory,
    now: datetime,
    *,
    calendar: Calendar = ALWAYS_OPEN,
    is_claimed: Callable[[str], bool] = lambda _name: False,
) -> Look:
    """Judge the landing place of a feed; reads files only to compare contents of equal size.

    `is_claimed` says of a name in the listing whether it belongs to another feed.
    """
    loaded = history.loaded(each.name for each in listing.files)
    place = sort_out(Place(name, feed, calendar, listing, now), loaded, is_claimed)
    unchanged = frozenset(
        each.name
        for each in place.files
        if is_written_by_the_store(each.source)
        and (moment := loaded.get((each.name, each.size))) is not None
        and each.modified < moment
    )
    skipped = tuple((each.name, why) for each, why in place.unfinished)
    return Look(
        files=place.files + place.unreadable,
        unchanged=unchanged,
        skipped=skipped,
        unreadable=frozenset(each.name for each in place.unreadable),
        is_recorded=_is_recorded(place, history),
        results=tuple(_judge(place, history)),
    )


def with_load(seen: Look, growing: Iterable[str], empty: Iterable[str]) -> tuple[CheckResult, ...]:
    """The results, with what only the load could see: files that grew meanwhile, and files that
    have bytes and no record."""
    grew, rowless = list(growing), list(empty)
    changed = f"{_names(grew)}: changed while it was read; waits for the next run"
    told = {
        "partial": (grew, changed),
        "empty": (rowless, f"{_names(rowless)}: a delivery of 0 rows"),
    }
    results = tuple(
        _with_more(each, *told.get(each.check_id.rsplit(".", 1)[-1], ([], "")))
        for each in seen.results
    )
    if not grew or seen.is_recorded or {each.name for each in seen.files} != set(grew):
        return results
    return tuple(
        replace(each, status=Status.FAIL, message=changed, metric_value=0)
        if each.check_id.endswith(".arrived")
        else each
        for each in results
    )


def _with_more(result: CheckResult, names: list[str], message: str) -> CheckResult:
    if not names:
        return result
    status = min(result.status, Status.WARN, key=lambda each: each.rank)
    before = f"{result.message}; " if result.status is not Status.PASS else ""
    count = (result.metric_value or 0) + len(names)
    return replace(result, status=status, message=before + message, metric_value=count)


# -------------------------------------------------------------------- what is said of it


def _judge(place: Place, history: LandingHistory) -> Iterator[CheckResult]:
    landing = place.feed.landing
    mount = _mount(place, history)
    yield mount
    judges: list[Callable[[Place, LandingHistory], CheckResult]] = [_empty, _partial]
    if place.feed.required:
        judges.append(_arrived)
    if landing.min_files is not None or landing.expect is not None:
        judges.append(_file_count)
    if landing.newest_within is not None:
        judges.append(_newest_age)
    if landing.size_within is not None:
        judges.append(_size)
    if landing.strays or landing.sequence is not None or landing.newest_within is not None:
        judges.append(_stated_names)
    if landing.duplicates:
        judges.append(_duplicates)
    if landing.sequence is not None:
        judges.append(_sequence)
    for judge in judges:
        result = judge(place, history)
        if mount.is_red and not place.listing.files:
            result = replace(
                result, status=Status.MISSING, blocked_by=mount.check_id, metric_value=None,
                message="the landing place cannot be listed",
            )  # fmt: skip
        yield result


def _mount(place: Place, history: LandingHistory) -> CheckResult:
    """Reachable and permitted: it can be listed, and its files read. An optional feed that never
    came needs none."""
    listing = place.listing
    faults = [*listing.faults, *(f"{each.name}: {each.fault}" for each in place.unreadable)]
    status, message = Status.PASS, f"{listing.where}: {_count(len(listing.files), 'file')}"
    come, last = history.arrivals() if place.is_empty else (0, None)
    if listing.is_absent and last is None and not place.feed.required:
        message = f"{listing.where}: not there yet; the feed is optional and has never come"
    elif faults:
        status = Status.FAIL
        more = f" (and {len(faults) - 1} more)" if faults[1:] else ""
        message = f"{listing.where}: {faults[0]}{more}"
    elif last is not None:
        said = "1 delivery has" if come == 1 else f"{come:,} deliveries have"
        message += f", though {said} come before, the last at {last:%Y-%m-%d %H:%M} UTC"
    return _result(place, "mount", status, message, len(listing.files))


def _arrived(place: Place, history: LandingHistory) -> CheckResult:
    """A required feed has come when a file lies there; and when what it declares was loaded within
    the window, so that files may be moved away after a load."""
    count = len(place.files) + len(place.unreadable)
    if count:
        return _result(place, "arrived", Status.PASS, _count(count, "file"), count)
    status, message = Status.PASS, "no file lies there any more"
    if not _is_recorded(place, history):
        status, message = Status.FAIL, "no file matches its path, and the feed is required"
    if enough := place.enough:
        since = place.window_begin
        loaded = history.arrived_since(since)
        message += f"; deliveries={loaded} (min {enough}) since {since:%Y-%m-%d %H:%M} UTC"
    if place.unfinished:
        message += f"; {len(place.unfinished)} not whole yet"
    return _result(place, "arrived", status, message, count)


def _file_count(place: Place, history: LandingHistory) -> CheckResult:
    landing = place.feed.landing
    since = place.window_begin
    count = len(place.waiting) + history.arrived_since(since)
    status, low = Status.PASS, landing.min_files or landing.expect
    if landing.min_files is not None and count < landing.min_files:
        status = _late(place)
    elif landing.expect is not None and count < landing.expect:
        status, low = Status.WARN, landing.expect
    bound = f"min {landing.min_files}" if landing.min_files is not None else ""
    usual = f"expected {landing.expect}" if landing.expect is not None else ""
    said = ", ".join(filter(None, (bound, usual)))
    message = f"files={count} ({said}) since {since:%Y-%m-%d %H:%M} UTC"
    return _result(place, "file_count", status, message, count, low=low)


def _newest_age(place: Place, history: LandingHistory) -> CheckResult:
    """By the moment that a name states, or else by the file's time, as its delivery records it:
    the age is the same when the file has been moved away."""
    limit = place.feed.landing.newest_within or timedelta(0)
    latest = place.latest
    lying = [(place.moment(each), each.name) for each in place.files]
    known = [each for each in lying if each[0] <= latest] + history.newest(latest)
    allowed = limit.total_seconds() / 3600
    hours = None
    status, message = _late(place), f"no file has come (max {number_text(allowed)} hours)"
    if known:
        newest, name = max(known)
        age = open_between(newest, place.now, place.calendar)
        hours = round(age.total_seconds() / 3600, 2)
        status = _late(place) if age > limit else Status.PASS
        message = f"hours={number_text(hours)} (max {number_text(allowed)}): {name} is the newest"
    return _result(place, "newest_age", status, message, hours, high=allowed)


def _size(place: Place, history: LandingHistory) -> CheckResult:
    """The file that is furthest from the median of its kind; without a new one the latest."""
    share = place.feed.landing.size_within or 1.0
    recent = history.recent(RECENT_DELIVERIES)
    judged = [
        (each.name, kind_of(each.source.name, place.feed), each.size)
        for each in place.waiting
        if each.size  # an empty one is told by its own check
    ]
    if not judged:
        judged, recent = recent[:1], recent[1:]
    ratios: list[tuple[float, str, int, float]] = []
    for name, kind, size in judged:
        sizes = [other for _name, other_kind, other in recent if other_kind == kind]
        if len(sizes) >= FEWEST_DELIVERIES:
            usual = median(sizes)
            ratios.append((size / usual, name, size, usual))
    low, high = round(1 - share, 4), round(1 + share, 4)
    if not ratios:
        message = f"fewer than {FEWEST_DELIVERIES} deliveries of its kind: no size is usual yet"
        return _result(place, "size", Status.BLIND, message, None, low=low, high=high)
    ratio, name, size, usual = max(ratios, key=lambda each: abs(each[0] - 1))
    status = Status.PASS if low <= ratio <= high else Status.FAIL
    message = (
        f"ratio={ratio:.2f} ({number_text(low)} to {number_text(high)}):"
        f" {name} has {size:,} bytes, usual are {usual:,.0f}"
    )
    result = _result(place, "size", status, message, ratio, low=low, high=high)
    return replace(result, detectable_change=share)


def _empty(place: Place, _history: LandingHistory) -> CheckResult:
    names = [each.name for each in place.waiting if each.size == 0]
    return _counted(place, "empty", names, f"{_names(names)}: 0 bytes, a delivery of 0 rows")


def _partial(place: Place, _history: LandingHistory) -> CheckResult:
    after = place.feed.landing.stuck_after
    told = [f"{each.name}: {why}" for each, why in place.unfinished]
    result = _counted(place, "partial", told, _names(told))
    for each, _why in place.unfinished:
        if after is not None and (age := place.now - each.modified) > after:
            hours = age.total_seconds() / 3600
            message = f"{each.name}: unfinished, and unchanged for {hours:,.1f} hours"
            return replace(result, status=Status.FAIL, message=message)
    return result


def _stated_names(place: Place, _history: LandingHistory) -> CheckResult:
    """Those that fit no feed; and those of the future, which say nothing of gaps and ages."""
    strays = place.strays if place.feed.landing.strays else ()
    future = [each.name for each in place.files if place.is_of_the_future(each)]
    said = [f"states a moment of the future: {_names(future)}"] if future else []
    said += [f"{_names(strays)}: fits no feed's path"] if strays else []
    result = _counted(place, "names", [*future, *strays], "; ".join(said))
    return replace(result, status=Status.FAIL) if future else result


def _duplicates(place: Place, history: LandingHistory) -> CheckResult:
    """Only files that have the size of another can have its content; the others are not read."""
    files = [each for each in place.waiting if each.size]
    sizes = Counter(each.size for each in files)
    known = history.contents(sizes) if files else []
    first: dict[str, str] = {}
    for digest, name, size in known:
        first.setdefault(digest, name)
        sizes[size] += 1
    doubles: list[str] = []
    for each in files:
        if sizes[each.size] < 2:
            continue
        try:
            digest = sha256_of(each.source)
        except OSError:
            continue  # whoever loads it will tell
        if (other := first.setdefault(digest, each.name)) != each.name:
            doubles.append(f"{each.name} = {other}")
    return _counted(place, "duplicates", doubles, f"{_names(doubles)}: the same content")


def _sequence(place: Place, history: LandingHistory) -> CheckResult:
    by_hour = place.feed.landing.sequence == "hour"
    step, form = (
        (timedelta(hours=1), "%Y-%m-%d %H:00") if by_hour else (timedelta(days=1), "%Y-%m-%d")
    )
    slots = {_slot(each, step) for each in _stated_moments(place, history)}
    gaps = [each for each in _between(slots, step) if not is_closed(each.date(), place.calendar)]
    if gaps:
        message = f"gaps={len(gaps)}: {_names([f'{each:{form}}' for each in gaps])}"
        return _result(place, "sequence", Status.FAIL, message, len(gaps), high=0)
    if len(slots) < 2:
        said = "fewer than two names that state a moment"
        return _result(place, "sequence", Status.BLIND, said, 0, high=0)
    message = f"gaps=0 from {min(slots):{form}} to {max(slots):{form}}"
    return _result(place, "sequence", Status.PASS, message, 0, high=0)


def _stated_moments(place: Place, history: LandingHistory) -> list[datetime]:
    """Moments as names state them, of what lies there and of what was loaded, as far back as the
    feed's `sequence_over` from the newest."""
    moment, over = place.feed.moment, place.feed.landing.sequence_over
    if moment is None:
        return []
    latest = place.latest
    found = map(place.stated, place.files)
    stated = [each for each in found if each is not None and each <= latest]
    if (newest := max([*stated, *history.newest_moment(latest)], default=None)) is None:
        return []
    stated += history.moments_between(newest - over, newest)
    return [each - moment.offset for each in stated if each >= newest - over]


# -------------------------------------------------------------------- the pieces


def _late(place: Place) -> Status:
    """What is not here yet is red only of a required feed."""
    return Status.FAIL if place.feed.required else Status.WARN


def _is_recorded(place: Place, history: LandingHistory) -> bool:
    enough = place.enough
    return enough is not None and history.arrived_since(place.window_begin) >= enough


def _slot(moment: datetime, step: timedelta) -> datetime:
    whole = moment.replace(minute=0, second=0, microsecond=0)
    return whole if step < timedelta(days=1) else whole.replace(hour=0)


def _between(slots: set[datetime], step: timedelta) -> Iterator[datetime]:
    """Slots that lack between the first and the last."""
    at = min(slots, default=None)
    while at is not None and at < max(slots):
        if at not in slots:
            yield at
        at += step


def _result(
    place: Place,
    what: str,
    status: Status,
    message: str,
    value: float | None,
    *,
    low: float | None = None,
    high: float | None = None,
) -> CheckResult:
    check = CHECKS[what]
    names = {"feed": place.name, "where": place.listing.where, "path": place.feed.path}
    return CheckResult(
        check_id=f"{SUITE}.{place.name}.{what}",
        check_name=f"{place.name}: {check.claim}",
        suite_name=SUITE,
        dataset=place.feed.table,
        status=status,
        layer=Layer.BRONZE,
        category=Category.INFRASTRUCTURE,
        severity=check.severity,
        metric_name=check.metric,
        metric_value=value,
        expected_min=low,
        expected_max=high,
        data_timestamp=place.now,
        message=message,
        attributes={"feed": place.name, "matters": check.matters, "do": check.do.format(**names)},
    )


def _counted(place: Place, what: str, found: Sequence[str], message: str) -> CheckResult:
    """A warning that names what was found; nothing found is a pass."""
    status = Status.WARN if found else Status.PASS
    said = message if found else f"{CHECKS[what].metric}=0"
    return _result(place, what, status, said, len(found), high=0)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _names(names: Iterable[str]) -> str:
    """`a.csv, b.csv, c.csv and 4 more`."""
    every = list(names)
    more = f" and {len(every) - SHOWN:,} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more
