"""Lease documents, one JSON file each, in a folder a day; sent again, corrected, withdrawn, late.

The owner is a user of the Salesforce register, whose first picture is of the midnight after the
first day: documents begin on the day after it, so that their owners are known.
"""

import json
from collections.abc import Iterator
from copy import deepcopy
from datetime import date, timedelta
from random import Random
from typing import Any

from monitors.arrival.sample.salesforce import OWNERS

# Each event has a day, so many days before the last one.
SENT_AGAIN = 6
UNKNOWN_OWNER, BEFORE_FIRST = 5, 5
BROKEN_RULES = 4
STORY, OVERTAKING, OVERTAKEN = 4, 3, 2
UNREADABLE = 2

_CITIES = ("Altmarkt", "Lindenhof", "Nordhafen", "Seeufer", "Vöhringen")
_TERMS = (1, 2, 3, 5, 10)

_Document = dict[str, Any]
_File = tuple[str, bytes]


def files(first_day: date, last_day: date, seed: int) -> Iterator[tuple[date, str, bytes]]:
    """Yield (day, name, content) of every file, in order of arrival."""
    office = _Office()
    day = first_day + timedelta(days=1)
    while day <= last_day:
        rnd = Random(f"{seed} leases {day}")
        arrived = office.work(day, first_day + timedelta(days=1), rnd)
        arrived += office.go_wrong(day, (last_day - day).days, first_day, rnd)
        for name, content in arrived:
            yield day, name, content
        day += timedelta(days=1)


def planted(first_day: date, last_day: date) -> list[str]:
    """Say which fault is in which file, one sentence each."""

    def name(before_last: int, number: str, time: str) -> str:
        return _name(last_day - timedelta(days=before_last), number, time)

    day = last_day - timedelta(days=OVERTAKING)
    sentences = (
        (SENT_AGAIN, name(SENT_AGAIN, "LD-S00006", "180500"), "sent again, its content unchanged."),
        (UNKNOWN_OWNER, name(UNKNOWN_OWNER, "LD-S00001", "180000"), "its owner is in no extract."),
        (
            BEFORE_FIRST,
            name(BEFORE_FIRST, "LD-S00002", "180000"),
            "dated 30 days before the register's first extract.",
        ),
        (BROKEN_RULES, name(BROKEN_RULES, "LD-S00011", "180000"), "it names no owner."),
        (BROKEN_RULES, name(BROKEN_RULES, "LD-S00012", "180000"), "its rent is negative."),
        (BROKEN_RULES, name(BROKEN_RULES, "LD-S00013", "180000"), "it is dated 31 February."),
        (BROKEN_RULES, name(BROKEN_RULES, "LD-S00014", "180000"), "its period ends too early."),
        (STORY, _name(day, "LD-S00021", "090000"), "revision 2, arrives a day after revision 3."),
        (UNREADABLE, name(UNREADABLE, "LD-S00031", "180000"), "cut off in the middle."),
    )  # fmt: skip
    days = (last_day - first_day).days - 1
    return [f"{where}: {what}" for before_last, where, what in sentences if before_last <= days]


class _Office:
    """Writes documents, remembers them, and sends some of them again with a higher revision."""

    def __init__(self) -> None:
        self._known: list[_Document] = []
        self._written = 0

    def work(self, day: date, earliest: date, rnd: Random) -> list[_File]:
        """A day without mishaps: new documents, two corrections, now and then a withdrawal."""
        known = len(self._known)
        arrived = []
        count = 25 + int(6 * rnd.random())
        for second in sorted(25_200 + int(36_000 * rnd.random()) for _ in range(count)):
            dated = day - timedelta(days=max(0, int(5 * rnd.random()) - 2))
            self._written += 1
            document = _draw(f"LD-{self._written:06d}", max(dated, earliest), rnd)
            self._known.append(document)
            arrived.append(_file(day, _clock(second), document))
        if known:
            for at in rnd.sample(range(known), 2):
                self._revise(at, rnd)
                arrived.append(_file(day, _clock(62_000 + at), self._known[at]))
            if rnd.random() < 0.7:
                at = int(known * rnd.random())
                self._revise(at, rnd)
                self._known[at] |= {"status": "withdrawn", "withdrawn_at": f"{day}T17:40:00Z"}
                arrived.append(_file(day, "174000", self._known.pop(at)))
        return arrived

    def go_wrong(self, day: date, before_last: int, first_day: date, rnd: Random) -> list[_File]:
        """What does not go as it should, on the days that have something of it."""
        arrived = []
        if before_last == SENT_AGAIN:
            document = _draw("LD-S00006", day, rnd)
            arrived += [_file(day, "180000", document), _file(day, "180500", document)]
        if before_last == UNKNOWN_OWNER:
            document = _draw("LD-S00001", day, rnd)
            document["owner"]["user_id"] = "005A9999999999"
            arrived.append(_file(day, "180000", document))
        if before_last == BEFORE_FIRST:
            early = first_day - timedelta(days=30)
            arrived.append(_file(day, "180000", _draw("LD-S00002", early, rnd)))
        if before_last == BROKEN_RULES:
            arrived += _broken(day, rnd)
        arrived += self._story(day, before_last, rnd)
        if before_last == UNREADABLE:
            name, content = _file(day, "180000", _draw("LD-S00031", day, rnd))
            arrived.append((name, content[: len(content) // 2]))
        return arrived

    def _story(self, day: date, before_last: int, rnd: Random) -> list[_File]:
        """Revision 1, then 3, then 2: what is written earlier may arrive later."""
        if before_last == STORY:
            self._storied = _draw("LD-S00021", day, rnd)
            return [_file(day, "090000", self._storied)]
        if before_last == OVERTAKING and hasattr(self, "_storied"):
            return [_file(day, "110000", _revised(self._storied, 3, 1900.0))]
        if before_last == OVERTAKEN and hasattr(self, "_storied"):
            written = day - timedelta(days=OVERTAKING - OVERTAKEN)
            return [_file(written, "090000", _revised(self._storied, 2, 1800.0))]
        return []

    def _revise(self, at: int, rnd: Random) -> None:
        document = self._known[at]
        amount = round(document["rent"]["amount"] * (1 + 0.1 * rnd.random()), 2)
        self._known[at] = _revised(document, document["revision"] + 1, amount)


def _draw(number: str, dated: date, rnd: Random) -> _Document:
    city = _CITIES[int(len(_CITIES) * rnd.random())]
    month = dated.month % 12 + 1
    begins = dated.year + dated.month // 12
    ends = begins + _TERMS[int(len(_TERMS) * rnd.random())]
    return {
        "document_id": number,
        "revision": 1,
        "status": "signed",
        "document_date": dated.isoformat(),
        "owner": {"user_id": OWNERS[int(len(OWNERS) * rnd.random())]},
        "property": {"reference": f"{city[:3].upper()}-{int(400 * rnd.random())}", "city": city},
        "period": {"starts_on": f"{begins:04d}-{month:02d}-01", "ends_on": f"{ends:04d}-12-31"},
        "rent": {"amount": round(400 + 2600 * rnd.random(), 2), "currency": "EUR"},
    }


def _broken(day: date, rnd: Random) -> list[_File]:
    orphan, negative, dateless, backward = (
        _draw(f"LD-S000{number}", day, rnd) for number in range(11, 15)
    )
    orphan["owner"] = None
    negative["rent"]["amount"] *= -1
    dateless["document_date"] = f"{day.year}-02-31"
    period = backward["period"]
    period["starts_on"], period["ends_on"] = period["ends_on"], period["starts_on"]
    return [_file(day, "180000", each) for each in (orphan, negative, dateless, backward)]


def _revised(document: _Document, revision: int, amount: float) -> _Document:
    revised = deepcopy(document)
    revised["revision"] = revision
    revised["rent"]["amount"] = amount
    return revised


def _file(day: date, time: str, document: _Document) -> _File:
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return _name(day, document["document_id"], time), f"{text}\n".encode()


def _name(day: date, number: str, time: str) -> str:
    return f"leases/{day}/{number}_{day.isoformat().replace('-', '')}T{time}Z.json"


def _clock(second: int) -> str:
    return f"{second // 3600:02d}{second // 60 % 60:02d}{second % 60:02d}"
