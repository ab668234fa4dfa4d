"""Plain text: for the second part of a mail, for SNS, for apprise, for a terminal."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterator, Sequence

from monitors.alert.message import Fact, Message, Section, Table, kind_text, moment_text

WIDTH = 78
CELL = 32
"""A cell of a table is cut after so many characters."""
VALUE = 200
"""A value that has a line of its own is cut later."""
NARROW = 56
"""Columns of text that a mail on a phone can show without cutting."""

_TURNS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Signs that turn the direction of writing: with them a text shows what it does not say."""

_SAID = {
    "opened": "",
    "worsened": "worse",
    "reopened": "back",
    "snooze_ended": "still red",
    "resolved": "resolved",
    "digest": "digest",
    "test": "test",
}


def headline(message: Message) -> str:
    """`HIGH: few events are rejected`, `Resolved: ...`, `MEDIUM, still red: ...`; one line."""
    said = _SAID[message.event]
    if message.event in ("resolved", "digest", "test"):
        word = said.capitalize()
    else:
        word = message.severity.value.upper() + (f", {said}" if said else "")
    return f"{word}: {one_line(message.title)}"


def context(message: Message) -> str:
    """`data quality failure, incident 12, prod, facts.fact_orders`: what a glance wants to know."""
    parts = [
        "" if message.event in ("digest", "test") else kind_text(message.kind),
        "" if message.incident_id is None else f"incident {message.incident_id}",
        message.environment,
        message.layer or "",
        message.dataset or "",
        f"owner {message.owner}" if message.owner else "",
    ]
    return ", ".join(one_line(part) for part in parts if part)


def plain_text(message: Message) -> str:
    """The whole message, at most 78 columns wide but for statements, tables and links."""
    blocks = [headline(message), context(message), "\n".join(_facts(message.lead))]
    blocks += ["\n".join(_section(section)) for section in message.sections]
    links = [f"{one_line(link.label)}: {one_line(link.url)}" for link in message.links]
    blocks += ["\n".join(links), f"Rampart, {moment_text(message.at)}"]
    return "\n\n".join(block for block in blocks if block.strip()) + "\n"


def table_text(table: Table) -> str:
    """Columns under each other, each as wide as its widest cell."""
    rows = [
        tuple(_cut(one_line(value), CELL) for value in row) for row in (table.columns, *table.rows)
    ]
    count = max(len(row) for row in rows)
    padded = [row + ("",) * (count - len(row)) for row in rows]
    widths = [max(map(_width, column)) for column in zip(*padded, strict=True)]
    rule = tuple("-" * width for width in widths)
    return "\n".join(
        "  ".join(
            value + " " * (width - _width(value)) for value, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in (padded[0], rule, *padded[1:])
    )


def is_wide(table: Table) -> bool:
    """Whether a phone would cut it off: then each row is read better by itself, name by name."""
    return max(map(_width, table_text(table).splitlines())) > NARROW


def records(table: Table) -> list[list[tuple[str, str]]]:
    """The rows as (column, value). That a value is absent is often the reason: it is said."""
    return [
        [
            (one_line(name), _cut(one_line(value), VALUE) or "(empty)")
            for name, value in zip(table.columns, row, strict=False)
        ]
        for row in table.rows
    ]


def rows_text(table: Table) -> str:
    """Columns side by side where they fit, or one column a line and a blank line between rows."""
    if not is_wide(table):
        return table_text(table)
    width = max((len(one_line(name)) for name in table.columns), default=0)
    return "\n\n".join(
        "\n".join(f"{name:<{width}}  {value}" for name, value in record)
        for record in records(table)
    )


def capitalized(text: str) -> str:
    """`Since`; the rest of the text stays as it is."""
    return text[:1].upper() + text[1:]


def one_line(text: str) -> str:
    """Without line breaks, control characters, and signs that turn the direction of writing."""
    return " ".join(clean(text).split())


def header_text(text: str) -> str:
    """One line of ASCII, as a header may hold it."""
    return one_line(text).encode("ascii", "replace").decode()


def clean(text: str) -> str:
    """Text whose line breaks stay and in which nothing is obeyed by a terminal or a client."""
    return "".join(
        sign if sign == "\n" or not _is_obeyed(sign) else " "
        for sign in text.replace("\r\n", "\n").replace("\t", "    ")
    )


def _is_obeyed(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cs") or sign in _TURNS


def _facts(facts: Sequence[Fact]) -> Iterator[str]:
    width = min(max((len(fact.label) for fact in facts), default=0), 16)
    for fact in facts:
        label = f"{one_line(fact.label):<{width}}  "
        yield _wrapped(one_line(fact.text), label, " " * (width + 2))


def _section(section: Section) -> Iterator[str]:
    title = one_line(section.title)
    yield title
    yield "-" * min(_width(title), WIDTH)
    if section.text:
        yield from (_wrapped(line) for line in clean(section.text).splitlines())
    for number, item in enumerate(section.items, 1):
        mark = f"{number}. " if section.numbered else "- "
        first, *rest = clean(item).splitlines() or [""]
        yield _wrapped(first, mark, " " * len(mark))
        yield from (_wrapped(line, " " * len(mark), " " * len(mark)) for line in rest)
    if section.table is not None:
        yield rows_text(section.table)
    if section.statement:
        yield textwrap.indent(clean(section.statement).rstrip(), "    ")


def _wrapped(text: str, first: str = "", rest: str = "") -> str:
    # a statement or an address that is broken in two cannot be copied
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."


def _width(text: str) -> int:
    """Columns on a screen: a Chinese sign takes two."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)
