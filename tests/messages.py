"""Messages as incidents make them, for the tests of channels and formats."""

# ruff: noqa: E501 - texts as people write them

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from monitors.alert.message import Fact, Link, Message, Section, Table
from monitors.results import Severity

AT = datetime(2026, 11, 21, 2, 34, 23, tzinfo=timezone.utc)

INCIDENT = Message(
    key="12-opened-1-ops",
    event="opened",
    incident_id=12,
    kind="data_quality_failure",
    severity=Severity.HIGH,
    title="few events of the latest load are rejected: rate=0.0582 (max 0.05)",
    lead=(
        Fact("what", "clickstream.quarantine_rate on monitoring.quarantine_rates is red"),
        Fact("since", "2026-11-21 02:34 UTC, run 20261121T023423273055Z-3fc7f0"),
        Fact("rows", "2,908 of 49,966 rows (5.8%)"),
        Fact("why", "Rejected events are missing from traffic, conversion and attribution of that day."),
        Fact("do", "If the tracker is broken, tell the web team and load the corrected file."),
    ),
    sections=(
        Section("Top reasons", items=("event_has_client_id: 2,461 rows", "revenue_is_positive: 447 rows")),
        Section(
            "Sample rows",
            table=Table(
                ("_source_row", "event_name", "event_timestamp", "client_id", "page", "revenue"),
                (
                    ("1043", "purchase", "1764720000123456", "***", "/checkout/thank-you", "-12.50"),
                    ("1044", "page_view", "1764720000223456", "***", "/", ""),
                    ("2210", "add_to_cart", "1764720001123456", "***", "/products/a-rather-long-name-of-a-page", "0"),
                ),
            ),
        ),
        Section("What changed", text="New column `consent_mode` in clickstream_raw.events since run 20261121T0200.\nNo model changed."),
        Section("Downstream", items=("exposure daily_traffic (owner growth@example.com)", "exposure revenue_board")),
        Section(
            "Statement to run",
            statement="select rules, count(*)\nfrom quarantine.ledger\nwhere feed = 'clickstream' and decision = 'open'\ngroup by 1\norder by 2 desc;",
        ),
        Section(
            "Steps",
            items=(
                "Run the statement: is it one rule or many?",
                "Compare yesterday's file with the one before: rampart deliveries list clickstream",
                "When the file was wrong, load the corrected one; when the rule was, change it and replay.",
            ),
            numbered=True,
        ),
    ),
    links=(
        Link("Check clickstream.quarantine_rate", "https://docs.example.com/checks#clickstream.quarantine_rate"),
        Link("Runbook", "https://docs.example.com/runbook"),
    ),
    at=AT,
    environment="prod",
    dataset="monitoring.quarantine_rates",
    owner="web-data",
    layer="silver",
)  # fmt: skip

MARKUP = "<script>alert(1)</script> <b>&amp;</b> *bold* _it_ `code` <!channel> <@U1> <http://evil|ok> {{ 7*7 }}\r\nBcc: thief@example.com"
"""What must reach a reader as it stands."""


def message(**changes: Any) -> Message:
    """The incident, changed."""
    return replace(INCIDENT, **changes)


def hostile() -> Message:
    """Markup of every medium wherever somebody else's text may stand."""
    return message(
        title=MARKUP,
        dataset=MARKUP,
        owner=MARKUP,
        lead=tuple(Fact(MARKUP, MARKUP) for _ in range(5)),
        sections=(
            Section(MARKUP, text=MARKUP, items=(MARKUP,), statement=MARKUP),
            Section("rows", table=Table((MARKUP, "b"), ((MARKUP, MARKUP), ("x\ud800", "\u202e7")))),
        ),
        links=(Link(MARKUP, "https://example.com/?a=<b>"), Link("js", "javascript:alert(1)")),
    )
