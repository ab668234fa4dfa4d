"""Generated files: clickstream-like, seeded, of any size, written at the speed of the disk.

A block of rows is drawn once; every copy of it gets event numbers of its own.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

BLOCK_ROWS = 10_000
NUMBER = "7777777777"
"""Stands for the event's number while a block is drawn; ten digits, as numbers have in the file."""
COLUMNS = (
    "event_id", "event_time", "user_id", "session_id", "event_name", "page_url", "page_title",
    "search_term", "referrer", "device", "browser", "country", "campaign", "quantity", "price",
)  # fmt: skip
EVENTS = ("page_view", "view_item", "search", "add_to_cart", "begin_checkout", "purchase")
BROWSERS = ("Chrome 130.0", "Safari 18.1", "Firefox 132.0", "Edge 130.0", "Samsung Internet 26")
WORDS = ("wireless", "coffee", "trail", "linen", "oak", "kids", "night", "steel", "Zürich", "mini")
THINGS = ("headphones", "grinder", "jacket", "tablecloth", "shelf", "lamp", "bottle", "backpack")


def write_csv(path: Path, megabytes: int, *, quoted: bool, seed: int = 7) -> None:
    """CSV with a header; `quoted`: titles and search terms stand in quotes, with commas, doubled
    quotes and now and then a line end inside."""
    _write(path, megabytes, seed, ",".join(COLUMNS) + "\n", _quoted_row if quoted else _plain_row)


def write_jsonl(path: Path, megabytes: int, seed: int = 7) -> None:
    """JSON Lines like an export of GA4: nested, some 600 bytes an event."""
    _write(path, megabytes, seed, "", _json_row)


def _write(
    path: Path, megabytes: int, seed: int, header: str, row: Callable[[random.Random], str]
) -> None:
    draw = random.Random(seed)
    text = "".join(row(draw) + "\n" for _ in range(BLOCK_ROWS))
    block = text.encode().replace(b"%", b"%%").replace(NUMBER.encode(), b"%d")
    first = 1_000_000_000
    with path.open("wb") as file:
        file.write(header.encode())
        while file.tell() < megabytes << 20:
            file.write(block % tuple(range(first, first + BLOCK_ROWS)))
            first += BLOCK_ROWS


def _cells(draw: random.Random) -> dict[str, str]:
    event = draw.choices(EVENTS, weights=(60, 20, 8, 7, 3, 2))[0]
    moment = datetime(2026, 11, 1) + timedelta(milliseconds=draw.randrange(86_400_000))
    thing = f"{draw.choice(WORDS)}-{draw.choice(THINGS)}"
    buys = event in ("add_to_cart", "purchase")
    return {
        "event_id": NUMBER,
        "event_time": moment.isoformat(timespec="milliseconds") + "Z",
        "user_id": f"u{draw.randrange(5_000_000):07d}",
        "session_id": f"{draw.getrandbits(64):016x}",
        "event_name": event,
        "page_url": f"https://shop.example.com/{thing}?utm_id=%{draw.randrange(16, 99)}&page=2",
        "page_title": f"{thing.replace('-', ' ').title()} | Example Shop",
        "search_term": thing.replace("-", " ") if event == "search" else "",
        "referrer": draw.choice(("", "https://www.google.com/", "https://news.example.org/a/1")),
        "device": draw.choice(("mobile", "desktop", "tablet")),
        "browser": draw.choice(BROWSERS),
        "country": draw.choice(("CH", "DE", "AT", "FR", "IT")),
        "campaign": draw.choice(("", "", "autumn_sale", "newsletter_45")),
        "quantity": str(draw.randrange(1, 5)) if buys else "",
        "price": f"{draw.uniform(3, 400):.2f}" if buys else "",
    }


def _plain_row(draw: random.Random) -> str:
    return ",".join(_cells(draw).values())


def _quoted_row(draw: random.Random) -> str:
    cells = _cells(draw)
    inch = ' 15"" wide' if draw.random() < 0.1 else ""
    end = "\n" if draw.random() < 0.001 else " "
    cells["page_title"] = f'"{cells["page_title"]},{end}home{inch}"'
    cells["search_term"] = f'"{cells["search_term"]}"'
    cells["browser"] = f'"Mozilla/5.0 (X11; Linux x86_64) like Gecko, {cells["browser"]}"'
    return ",".join(cells.values())


def _json_row(draw: random.Random) -> str:
    cells = _cells(draw)
    keys = ("page_url", "page_title", "referrer", "campaign")
    event = {
        "event_id": int(cells["event_id"]),
        "event_name": cells["event_name"],
        "event_timestamp": cells["event_time"],
        "user_pseudo_id": cells["user_id"],
        "event_params": [
            {"key": key, "value": {"string_value": cells[key], "int_value": None}} for key in keys
        ],
        "device": {"category": cells["device"], "browser": cells["browser"]},
        "geo": {"country": cells["country"]},
        "items": [{"quantity": int(cells["quantity"]), "price": float(cells["price"])}]
        if cells["price"]
        else [],
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))
