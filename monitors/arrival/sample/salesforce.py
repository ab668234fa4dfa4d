"""Extracts of the Salesforce user table: a full one each midnight, on two days a partial one."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, replace
from datetime import date, timedelta
from random import Random

COLUMNS = (
    "user_id",
    "Name",
    "Email",
    "Division",
    "Audit_Phase__c",
    "IsActive",
    "IsDeleted",
    "LastModifiedDate",
)

# Each event has a day, so many days before the last one, and its user a place in the register.
BAD_ROWS = 5
PARTIALS = (6, 2)
EXTRA_COLUMN = range(4, 5)
LEFT_FROM, LEFT = 6, 20
AWAY, AWAY_USER = range(4, 6), 40
LEFT_LATER_FROM, LEFT_LATER = 3, 60
FLAGGED_FROM, FLAGGED = 4, 80
TWICE, PHASE_9 = 100, 120

_USERS = 180
_DIVISIONS = ("North", "South", "East", "West", "HQ")
_PHASES = ("Planning", "Fieldwork", "Reporting", "Closed")
_FIRST = ("Ada", "Björn", "Chiara", "David", "Elif", "Femi", "Greta", "Hugo", "Inés", "Jonas")
_LAST = ("Adler", "Brandt", "Costa", "Dvořák", "Egger", "Fischer", "Grün", "Huang", "Ivanova")
_HARD_NAMES = {3: "<b>O'Neil</b> & Söhne", 4: 'Meyer, "Kiki" Anna', 5: "Jean\nLuc Moreau"}
_STORIED = {LEFT, AWAY_USER, LEFT_LATER, FLAGGED, TWICE, PHASE_9}


@dataclass(frozen=True)
class _User:
    user_id: str
    name: str
    email: str
    division: str
    phase: str
    is_active: str
    is_deleted: str
    modified: str


def files(first_day: date, last_day: date, seed: int) -> Iterator[tuple[date, str, bytes]]:
    """Yield (day, name, content) of every extract, in order of arrival.

    The full extract of a day carries the midnight after it, the partial one its noon.
    """
    rnd = Random(f"{seed} salesforce")
    users = [_joining(place, first_day - timedelta(days=30), rnd) for place in range(_USERS)]
    day = first_day
    while day <= last_day:
        before_last = (last_day - day).days
        if before_last in PARTIALS:
            changed = _change(users, 5, f"{day}T09", rnd)
            rows = (astuple(users[place]) for place in changed)
            yield day, _name(day, "partial"), _csv(COLUMNS, rows)
            # One of them moves on in the afternoon; the full extract confirms the other four.
            moved = users[changed[0]]
            users[changed[0]] = replace(
                moved, phase=_next(_PHASES, moved.phase), modified=f"{day}T16:20:00.000Z"
            )
        else:
            _change(users, round(len(users) * (0.011 + 0.017 * rnd.random())), f"{day}T14", rnd)
        if day > first_day:
            for _ in range(int(rnd.random() * 3)):
                users.append(_joining(len(users), day, rnd))
        if before_last == FLAGGED_FROM:
            users[FLAGGED] = replace(
                users[FLAGGED],
                is_active="false",
                is_deleted="true",
                modified=f"{day}T11:00:00.000Z",
            )
        yield day, _name(day, "full"), _full(users, before_last)
        day += timedelta(days=1)


def planted(first_day: date, last_day: date) -> list[str]:
    """Say which fault is in which file, one sentence each."""
    history = (
        (LEFT_FROM, f"{_user_id(LEFT)} is absent from here on (a deletion)."),
        (BAD_ROWS, f"{_user_id(TWICE)} stands twice, with two Divisions."),
        (BAD_ROWS, "one row has no user_id."),
        (BAD_ROWS, f'{_user_id(PHASE_9)} has the unknown Audit_Phase__c "Phase 9".'),
        (max(AWAY), f"{_user_id(AWAY_USER)} is absent, {len(AWAY)} days later it is back."),
        (FLAGGED_FROM, f"{_user_id(FLAGGED)} is flagged IsDeleted from here on."),
        (max(EXTRA_COLUMN), "has a column more, Region__c."),
        (LEFT_LATER_FROM, f"{_user_id(LEFT_LATER)} is absent from here on (a deletion)."),
    )
    days = (last_day - first_day).days
    sentences = [
        f"{_name(last_day - timedelta(days=before_last), 'full')}: {what}"
        for before_last, what in history
        if before_last <= days
    ]
    sentences += [
        f"{_name(last_day - timedelta(days=before_last), 'partial')}: a partial extract at noon, "
        "5 changed users; the next full one confirms 4, the fifth has changed again."
        for before_last in PARTIALS
        if before_last <= days
    ]
    return sentences


def _name(day: date, kind: str) -> str:
    if kind == "partial":
        return f"salesforce/sf_user_partial_{_compact(day)}T120000Z.csv"
    return f"salesforce/sf_user_full_{_compact(day + timedelta(days=1))}T000000Z.csv"


def _compact(day: date) -> str:
    return day.isoformat().replace("-", "")  # strftime("%Y") does not pad everywhere


def _user_id(place: int) -> str:
    return f"005A{12_300 + place * 7:010d}"


OWNERS = tuple(_user_id(place) for place in range(_USERS) if place not in _STORIED)
"""Users who are in every extract, and of whom no row is rejected."""


def _joining(place: int, day: date, rnd: Random) -> _User:
    first, last = _pick(_FIRST, rnd), _pick(_LAST, rnd)
    return _User(
        user_id=_user_id(place),
        name=_HARD_NAMES.get(place, f"{first} {last}"),
        email=f"user{place:04d}@audit.example",
        division=_pick(_DIVISIONS, rnd),
        phase=_pick(_PHASES, rnd),
        is_active="true",
        is_deleted="false",
        modified=f"{day}T08:00:00.000Z",
    )


def _change(users: list[_User], count: int, hour: str, rnd: Random) -> list[int]:
    """Change Division or phase of so many users; return their places."""
    changeable = [place for place in range(len(users)) if place not in _STORIED]
    changed = sorted(rnd.sample(changeable, count))
    for place in changed:
        user = users[place]
        modified = f"{hour}:{int(rnd.random() * 60):02d}:{int(rnd.random() * 60):02d}.000Z"
        if rnd.random() < 0.3:
            division = _next(_DIVISIONS, user.division)
            users[place] = replace(user, division=division, modified=modified)
        else:
            users[place] = replace(user, phase=_next(_PHASES, user.phase), modified=modified)
    return changed


def _full(users: list[_User], before_last: int) -> bytes:
    absent = {
        *([LEFT] if before_last <= LEFT_FROM else []),
        *([AWAY_USER] if before_last in AWAY else []),
        *([LEFT_LATER] if before_last <= LEFT_LATER_FROM else []),
    }
    rows = [astuple(user) for place, user in enumerate(users) if place not in absent]
    if before_last == BAD_ROWS:
        twice, phase_9 = users[TWICE], users[PHASE_9]
        at = rows.index(astuple(phase_9))
        rows[at] = astuple(replace(phase_9, phase="Phase 9"))
        rows.append(astuple(replace(twice, division=_next(_DIVISIONS, twice.division))))
        rows.append(astuple(replace(users[0], user_id="", name="", email="")))
    if before_last in EXTRA_COLUMN:
        regions = ("EMEA", "AMER", "APAC")
        rows = [(*row, regions[at % len(regions)]) for at, row in enumerate(rows)]
        return _csv((*COLUMNS, "Region__c"), rows)
    return _csv(COLUMNS, rows)


def _csv(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def _pick(values: tuple[str, ...], rnd: Random) -> str:
    return values[int(rnd.random() * len(values))]


def _next(values: tuple[str, ...], value: str) -> str:
    return values[(values.index(value) + 1) % len(values)]
