"""Slack's Block Kit. Rich text holds plain strings, so nothing of a message is ever markup.

Limits: https://docs.slack.dev/reference/block-kit/blocks (50 blocks, header 150 characters, text
3,000); what does not fit is cut, and the message says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from monitors.alert.formats.plain import (
    capitalized,
    clean,
    context,
    headline,
    one_line,
    rows_text,
)
from monitors.alert.message import Fact, Link, Message, Section, moment_text

BLOCKS = 50
HEADER = 150
TEXT = 3000
ITEMS = 25
CUT = " ... (shortened)"


def slack_body(message: Message) -> dict[str, Any]:
    """What is posted: blocks, and the line that a notification shows."""
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(headline(message), HEADER)},
        {"type": "context", "elements": [_plain(context(message), TEXT)]},
    ]
    if message.lead:
        blocks.append(_rich(_facts(message.lead)))
    ending = [_rich(_links(message.links))] if message.links else []
    ending.append({"type": "context", "elements": [_plain(_foot(message), TEXT)]})
    room = BLOCKS - len(blocks) - len(ending)
    sections = message.sections
    if len(sections) > room:
        sections = sections[: room - 1]
        left = len(message.sections) - len(sections)
        where = "list" if message.incident_id is None else f"show {message.incident_id}"
        ending.insert(0, _rich(_line(f"{left} further sections: rampart incidents {where}")))
    blocks += [_rich(_section(section)) for section in sections]
    return {"text": _escaped(headline(message)), "blocks": blocks + ending}


def _facts(facts: Iterable[Fact]) -> dict[str, Any]:
    elements: list[dict[str, Any]] = []
    budget = _Budget()
    for fact in facts:
        if elements:
            elements.append(_text("\n"))
        elements += [_bold(budget.take(capitalized(one_line(fact.label)))), _text("  ")]
        elements.append(_text(budget.take(one_line(fact.text))))
    return {"type": "rich_text_section", "elements": elements}


def _section(section: Section) -> list[dict[str, Any]]:
    """A heading, then whatever the section holds; all of it within one block's limit."""
    budget = _Budget()
    heading = [_bold(budget.take(one_line(section.title)))]
    if section.text:
        heading += [_text("\n"), _text(budget.take(clean(section.text)))]
    parts: list[dict[str, Any]] = [{"type": "rich_text_section", "elements": heading}]
    if section.items:
        parts.append(
            {
                "type": "rich_text_list",
                "style": "ordered" if section.numbered else "bullet",
                "elements": [_line(item) for item in _items(section.items, budget)],
            }
        )
    if section.table is not None:
        parts.append(_preformatted(budget.take(rows_text(section.table))))
    if section.statement:
        parts.append(_preformatted(budget.take(clean(section.statement).strip("\n"))))
    return parts


def _items(items: tuple[str, ...], budget: _Budget) -> list[str]:
    taken = [budget.take(clean(item)) for item in items[:ITEMS] if budget.left > 0]
    left = len(items) - len(taken)
    return [*taken, f"and {left} more"] if left else taken


def _links(links: Iterable[Link]) -> dict[str, Any]:
    elements: list[dict[str, Any]] = []
    budget = _Budget()
    for link in links:
        if elements:
            elements.append(_text("   "))
        url = one_line(link.url)
        label = budget.take(one_line(link.label) or url)
        if url.startswith(("https://", "http://")) and len(url) <= TEXT:
            elements.append({"type": "link", "url": url, "text": label})
        else:
            elements += [_text(label), _text(": "), _text(budget.take(url))]
    return {"type": "rich_text_section", "elements": elements}


def _foot(message: Message) -> str:
    return f"Rampart, {moment_text(message.at)}"


class _Budget:
    """How many characters of a block are left; what is longer is cut and says so."""

    def __init__(self) -> None:
        self.left = TEXT - 200  # headings, "and 7 more" and the marks of cutting

    def take(self, text: str) -> str:
        taken = text if len(text) <= self.left else text[: max(self.left, 0)] + CUT
        self.left -= len(text)
        return taken or " "  # Slack refuses an empty text


def _rich(parts: dict[str, Any] | list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "rich_text", "elements": parts if isinstance(parts, list) else [parts]}


def _line(text: str) -> dict[str, Any]:
    return {"type": "rich_text_section", "elements": [_text(text)]}


def _preformatted(text: str) -> dict[str, Any]:
    return {"type": "rich_text_preformatted", "elements": [_text(text)]}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _bold(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text, "style": {"bold": True}}


def _plain(text: str, limit: int) -> dict[str, Any]:
    shown = text if len(text) <= limit else text[: limit - 3] + "..."
    return {"type": "plain_text", "text": shown or " ", "emoji": False}


def _escaped(text: str) -> str:
    """The notification's line is the one text in which Slack looks for markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
