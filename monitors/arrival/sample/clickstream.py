"""GA4-style events, one gzipped JSON Lines file a day."""

import gzip
import io
import re
from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

EVENTS_ON_LAST_DAY = 49_966
EVENTS_WITHOUT_CLIENT_ON_LAST_DAY = 2_908

# Each fault of the history has a day: so many days before the last one.
BROKEN_LINES = 2
ODD_VALUES = 4
SENT_TWICE = 6

_USUAL_EVENTS = 49_600
_BY_WEEKDAY = (0.022, 0.033, 0.024, 0.010, -0.010, -0.043, -0.036)  # Monday first
_BY_HOUR = (2, 1, 1, 1, 1, 2, 3, 5, 6, 7, 7, 7, 8, 7, 6, 6, 7, 8, 9, 10, 10, 9, 6, 4)
_HOURS = tuple(hour for hour, weight in enumerate(_BY_HOUR) for _ in range(weight))

_PAGES = ("/", "/new", "/sale", "/shoes", "/jackets", "/tents", "/maps", "/help/delivery")
_TRAFFIC = tuple(
    f'"traffic_source":{{"source":"{source}","medium":"{medium}","campaign":"{campaign}"}}'
    for source, medium, campaign, weight in (
        ("google", "organic", "(not set)", 9),
        ("(direct)", "(none)", "(not set)", 6),
        ("google", "cpc", "autumn_sale", 5),
        ("newsletter", "email", "weekly", 3),
        ("instagram", "social", "autumn_sale", 2),
        ("hiking-blog.example", "referral", "(not set)", 1),
    )
    for _ in range(weight)
)
_NO_CLIENT = ("", '"client_id":null,', '"client_id":"",')
_DAY_ZERO = date(1970, 1, 1)


def files(
    first_day: date, last_day: date, seed: int, scale: float
) -> Iterator[tuple[date, str, bytes]]:
    """Yield (day, name, content) of every file, in order of arrival; scale spares the last day."""
    day = first_day
    while day <= last_day:
        rnd = Random(f"{seed} clickstream {day}")
        before_last = (last_day - day).days
        if before_last:
            usual = _USUAL_EVENTS * (1 + _BY_WEEKDAY[day.weekday()] + 0.02 * (rnd.random() - 0.5))
            # Below 200 events a day has no room for its faults.
            events = max(200, round(usual * scale))
            lines = _lines(day, last_day, events, round(0.003 * events), rnd)
            _spoil(lines, before_last, day, rnd)
        else:
            counts = EVENTS_ON_LAST_DAY, EVENTS_WITHOUT_CLIENT_ON_LAST_DAY
            lines = _lines(day, last_day, *counts, rnd)
        content = _gzipped(lines)
        yield day, _name(day), content
        if before_last == SENT_TWICE:
            yield day, _name(day, "_resent"), content
        day += timedelta(days=1)


def planted(first_day: date, last_day: date) -> list[str]:
    """Say which fault is in which file, one sentence each."""
    faults = {
        0: f"{EVENTS_WITHOUT_CLIENT_ON_LAST_DAY:,} of {EVENTS_ON_LAST_DAY:,} events have no "
        "client_id (key absent, null or empty); nothing else is wrong.",
        BROKEN_LINES: "4 lines cannot be read: an object cut off, a line of plain text, "
        "a raw NUL byte, invalid UTF-8.",
        ODD_VALUES: "3 events with an unknown event_name, 2 with a timestamp in the year 2099, "
        "1 purchase with a negative revenue.",
        SENT_TWICE: "delivered a second time, with the same content, under the name "
        f"{_name(last_day - timedelta(days=SENT_TWICE), '_resent')}.",
    }
    days = (last_day - first_day).days
    sentences = [
        f"{_name(last_day - timedelta(days=before_last))}: {fault}"
        for before_last, fault in sorted(faults.items(), reverse=True)
        if before_last <= days
    ]
    if days:
        sentences.insert(
            0,
            "clickstream/ (every day before the last): 0.3 % of the events have no client_id, "
            "under 0.8 % of the purchases no revenue, 1 to 5 lines came twice, one a purchase.",
        )
    return sentences


def _name(day: date, suffix: str = "") -> str:
    return f"clickstream/events_{day}{suffix}.jsonl.gz"


def _lines(day: date, last_day: date, events: int, without_client: int, rnd: Random) -> list[str]:
    lengths, buying = _plan_sessions(events, rnd)
    anonymous = _plan_anonymous(lengths, buying, without_client, rnd)
    midnight = (day - _DAY_ZERO).days * 86_400
    first_visits = ((last_day - _DAY_ZERO).days - 30) * 86_400
    # No session starts after 23:36:40 and none lasts 15 minutes, so all end on their day.
    starts = sorted(
        int((_HOURS[int(rnd.random() * len(_HOURS))] + rnd.random()) * 85_000 / 24) for _ in lengths
    )
    stamped: list[tuple[int, str]] = []
    orders = 0
    for session, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        visitor = int(rnd.random() * 40_000)
        number = 1_000_000_000 + visitor * 2_654_435_761 % 9_000_000_000
        client = f'"client_id":"{number}.{first_visits - visitor * 601}",'
        hidden, hidden_as = anonymous.get(session, (0, ""))
        microseconds = (midnight + start) * 1_000_000 + int(rnd.random() * 1_000_000)
        # A batch of one browser arrives a little late: ordered within the session, not across.
        lag = int(rnd.random() * 20_000_000)
        session_id = f"{midnight + start}{session:06d}"
        traffic = _TRAFFIC[int(rnd.random() * len(_TRAFFIC))]
        for step, (name, page) in enumerate(_steps(length, session in buying, rnd)):
            line = (
                f'{{"event_name":"{name}","event_timestamp":{microseconds},'
                f'{hidden_as if step < hidden else client}"session_id":"{session_id}",'
                f'"page_location":"https://shop.example{page}",{traffic}'
            )
            if name == "purchase":
                orders += 1
                share = rnd.random()
                euros = 9.9 + share * share * share * 300
                line += (
                    f',"transaction_id":"T-{day:%Y%m%d}-{orders:06d}",'
                    f'"revenue":{euros:.2f},"currency":"EUR"'
                )
            stamped.append((microseconds + lag, line + "}"))
            microseconds += 1_000_000 + int(rnd.random() * 50_000_000)
    stamped.sort()
    return [line for _, line in stamped]


def _plan_sessions(events: int, rnd: Random) -> tuple[list[int], set[int]]:
    lengths: list[int] = []
    buying: set[int] = set()
    left = events
    while left:
        # Two sure purchases keep a small day good for the faults of purchases.
        buys = len(lengths) < 2 or rnd.random() < 0.02
        share = rnd.random()
        length = min(left, 6 + int(share * 9) if buys else 2 + int(share * share * 13))
        if buys and length >= 6:
            buying.add(len(lengths))
        lengths.append(length)
        left -= length
    return lengths, buying


def _plan_anonymous(
    lengths: list[int], buying: set[int], rows: int, rnd: Random
) -> dict[int, tuple[int, str]]:
    """Spread the rows without client_id: session -> (how many of its first rows, in which form)."""
    anonymous: dict[int, tuple[int, str]] = {}
    browsing = [session for session in range(len(lengths)) if session not in buying]
    rnd.shuffle(browsing)
    for session in browsing:
        if not rows:
            break
        hidden = min(rows, lengths[session])
        anonymous[session] = hidden, _NO_CLIENT[len(anonymous) % len(_NO_CLIENT)]
        rows -= hidden
    return anonymous


def _steps(length: int, buys: bool, rnd: Random) -> Iterator[tuple[str, str]]:
    """Yield (event_name, page) of one session."""
    product = f"/product/{100 + int(rnd.random() * 400)}"
    page = _PAGES[int(rnd.random() * len(_PAGES))]
    yield "session_start", page
    if length > 1:
        yield "page_view", page
    viewed = added = False
    for _ in range(length - (6 if buys else 2)):
        share = rnd.random()
        if added and share < 0.12:
            yield "begin_checkout", "/checkout"
        elif viewed and not buys and share < 0.25:
            yield "add_to_cart", product
            added = True
        elif share < 0.60:
            product = f"/product/{100 + int(rnd.random() * 400)}"
            yield "view_item", product
            viewed = True
        else:
            yield "page_view", _PAGES[int(rnd.random() * len(_PAGES))]
    if buys:
        yield "view_item", product
        yield "add_to_cart", product
        yield "begin_checkout", "/checkout"
        yield "purchase", "/checkout/thanks"


def _spoil(lines: list[str], before_last: int, day: date, rnd: Random) -> None:
    """Plant the faults of a history day in place; each fault takes lines no other one has."""
    purchases = _shuffled(lines, "purchase", rnd)
    views = _shuffled(lines, "page_view", rnd)

    for nth in range(len(purchases) * 3 // 400):
        at = purchases.pop()
        lines[at] = re.sub(r'("revenue":)[\d.]+,', (r"\1null,", "")[nth % 2], lines[at])

    if before_last == ODD_VALUES:
        for unknown in ("scroll_depth", "video_start", "Page View"):
            at = views.pop()
            lines[at] = lines[at].replace('"page_view"', f'"{unknown}"')
        for year_2099 in (4_084_300_800_000_000, 4_084_300_801_000_000):
            at = views.pop()
            lines[at] = re.sub(r'(_timestamp":)\d+', rf"\g<1>{year_2099}", lines[at])
        at = purchases.pop()
        lines[at] = lines[at].replace('"revenue":', '"revenue":-')

    if before_last == BROKEN_LINES:
        cut, text, nul, bytes_ = (views.pop() for _ in range(4))
        lines[cut] = lines[cut][: len(lines[cut]) * 2 // 3]
        lines[text] = "502 Bad Gateway: upstream collector timed out"
        lines[nul] = lines[nul].replace("shop.example/", "shop.example/\x00")
        lines[bytes_] = lines[bytes_].replace("shop.example/", "shop.example/\xff\xfe")

    resent = [views.pop() for _ in range(day.toordinal() % 5)] + [purchases.pop()]
    for at in sorted(resent, reverse=True):
        lines.insert(at + 1 + int(rnd.random() * 40), lines[at])


def _shuffled(lines: list[str], event_name: str, rnd: Random) -> list[int]:
    start = f'{{"event_name":"{event_name}"'
    found = [at for at, line in enumerate(lines) if line.startswith(start)]
    rnd.shuffle(found)
    return found


def _gzipped(lines: list[str]) -> bytes:
    packed = io.BytesIO()
    # No name and no time in the header, and not gzip.compress: its header differs by Python.
    with gzip.GzipFile("", "wb", compresslevel=1, fileobj=packed, mtime=0) as file:
        # The only characters beyond ASCII are the bytes of the line with invalid UTF-8.
        file.write(("\n".join(lines) + "\n").encode("latin-1"))
    return packed.getvalue()
