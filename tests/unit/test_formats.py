"""What a message looks like, channel by channel; nothing of it is ever markup."""

from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.alert.channels.sns import publication_of
from monitors.alert.digest import digest_of
from monitors.alert.formats.mail import html_of, mail_of
from monitors.alert.formats.plain import headline, plain_text, table_text
from monitors.alert.formats.slack import slack_body
from monitors.alert.message import EVENTS, Fact, Link, Message, Section, Table
from monitors.results import Severity
from tests.messages import AT, INCIDENT, MARKUP, hostile, message

SENDER, TO = "Rampart <rampart@example.com>", ["oncall@example.com"]


def test_a_message_survives_json() -> None:
    """As the outbox keeps it."""
    for each in (INCIDENT, hostile(), message(incident_id=None, dataset=None, links=())):
        assert Message.from_json(json.loads(json.dumps(each.as_json()))) == each


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("opened", "HIGH: few events"),
        ("worsened", "HIGH, worse: few events"),
        ("reopened", "HIGH, back: few events"),
        ("snooze_ended", "HIGH, still red: few events"),
        ("resolved", "Resolved: few events"),
        ("digest", "Digest: few events"),
        ("test", "Test: few events"),
    ],
)
def test_a_headline_says_what_happened(event: Any, said: str) -> None:
    """Every event has words of its own."""
    assert headline(message(event=event)).startswith(said)
    assert event in EVENTS


def test_plain_text_begins_with_the_most_important() -> None:
    """Headline, context, then the five facts; a narrow table as a table, a statement as it is."""
    narrow = Table(("rule", "rows"), (("event_has_client_id", "2461"), ("数据质量", "4")))
    text = plain_text(message(sections=(Section("Reasons", table=narrow),)))

    expected = """\
HIGH: few events of the latest load are rejected: rate=0.0582 (max 0.05)

data quality failure, incident 12, prod, silver, monitoring.quarantine_rates, owner web-data

what   clickstream.quarantine_rate on monitoring.quarantine_rates is red
since  2026-11-21 02:34 UTC, run 20261121T023423273055Z-3fc7f0
rows   2,908 of 49,966 rows (5.8%)
why    Rejected events are missing from traffic, conversion and attribution of
       that day.
do     If the tracker is broken, tell the web team and load the corrected
       file.

Reasons
-------
rule                 rows
-------------------  ----
event_has_client_id  2461
数据质量             4

Check clickstream.quarantine_rate: https://docs.example.com/checks#clickstream.quarantine_rate
Runbook: https://docs.example.com/runbook

Rampart, 2026-11-21 02:34 UTC
"""
    assert expected == text


def test_a_wide_table_is_read_row_by_row() -> None:
    """A phone would cut it; an empty cell says so, since absence is often the reason."""
    text = plain_text(INCIDENT)

    assert "page             /products/a-rather-long-name-of-a-page" in text
    assert "revenue          (empty)" in text
    assert text.count("_source_row") == 3


def test_a_table_with_rows_of_other_lengths_is_still_a_table() -> None:
    """Nothing fails because a row is short."""
    assert "a  b\n-  -\n1\n1  2" == table_text(Table(("a", "b"), (("1",), ("1", "2"))))


def test_no_sign_that_a_terminal_or_a_reader_obeys() -> None:
    """Escape sequences, lone surrogates and signs that turn the direction of writing are gone."""
    text = plain_text(message(title="\x1b[31mred\x07 \u202egnp.exe\ud800", sections=()))

    assert text.isascii() or text.isprintable()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e\ud800]", text)


# -------------------------------------------------------------------- mail


class Seen(HTMLParser):
    """The tags, attributes and texts that a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str | None] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attributes if name in ("href", "src")]
        assert not [name for name, _value in attributes if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_html_shows_markup_as_text_and_asks_nobody() -> None:
    """No script, no image, no address but the links that were given."""
    seen = Seen(html_of(hostile()))
    shown = " ".join(MARKUP.split())

    assert not seen.tags & {"script", "img", "b", "iframe", "form", "object", "link"}
    assert ["https://example.com/?a=<b>"] == seen.links
    assert 12 <= sum(shown in " ".join(text.split()) for text in seen.texts)
    assert "url(" not in html_of(hostile())
    assert "@import" not in html_of(hostile())


def test_html_holds_everything() -> None:
    """Each fact, item, cell and step."""
    text = html.unescape(html_of(INCIDENT))
    parts = [INCIDENT.title, *(fact.text for fact in INCIDENT.lead)]
    for section in INCIDENT.sections:
        parts += [section.title, *section.items, *section.text.splitlines()]
        parts += [cell for row in (section.table.rows if section.table else ()) for cell in row]

    assert [] == [part for part in parts if part not in text]


def test_colours_follow_the_severity_and_turn_green_at_the_end() -> None:
    """The bar is read before the words are."""
    colours = {
        re.search(r"height:6px.*?background:(#\w+)", html_of(message(**changes)))[1]  # type: ignore[index]
        for changes in (
            *({"severity": severity} for severity in Severity),
            {"event": "resolved"},
        )
    }

    assert 5 == len(colours)


def test_headers_hold_no_line_break_of_others() -> None:
    """A title with a line break starts no header; a long one is cut."""
    mail = mail_of(hostile(), SENDER, TO)
    head = mail.as_bytes().split(b"\r\n\r\n")[0]

    assert not re.search(rb"^Bcc", head, re.MULTILINE | re.IGNORECASE)
    assert len(mail_of(message(title="x" * 9999), SENDER, TO)["Subject"]) == 150


def test_ids_come_from_the_key_and_threads_from_the_incident() -> None:
    """Another environment's incident of that number is another thread."""
    first = mail_of(INCIDENT, SENDER, TO)
    same = mail_of(message(), SENDER, TO)
    other = mail_of(message(key="other", environment="ci"), SENDER, TO)
    none = mail_of(message(incident_id=None), SENDER, TO)

    assert first["Message-ID"] == same["Message-ID"] != other["Message-ID"]
    assert first["References"] != other["References"]
    assert None is none["References"]


# -------------------------------------------------------------------- Slack


def texts_of(value: Any) -> list[str]:
    """Every text of a body, whatever block it is in."""
    if isinstance(value, dict):
        found = [value["text"]] if isinstance(value.get("text"), str) else []
        return found + [text for each in value.values() for text in texts_of(each)]
    return [text for each in value for text in texts_of(each)] if isinstance(value, list) else []


def types_of(value: Any) -> set[str]:
    if isinstance(value, dict):
        found = {value["type"]} if "type" in value else set()
        return found.union(*map(types_of, value.values()))
    return set().union(*map(types_of, value)) if isinstance(value, list) else set()


def check_limits(body: dict[str, Any]) -> None:
    """What Slack would refuse with invalid_blocks."""
    assert 1 <= len(body["blocks"]) <= 50
    for block in body["blocks"]:
        texts = texts_of(block)
        assert all(1 <= len(text) <= 3000 for text in texts)
        assert sum(map(len, texts)) <= 4000
        if block["type"] == "header":
            assert len(block["text"]["text"]) <= 150
    json.dumps(body)


def test_slack_knows_no_markup_in_a_message() -> None:
    """Everything is rich or plain text, which Slack does not parse; the notification is escaped."""
    body = slack_body(hostile())

    assert "mrkdwn" not in types_of(body)
    assert "&lt;!channel&gt; &lt;@U1&gt;" in body["text"]
    assert "<" not in body["text"]
    assert " ".join(MARKUP.split()) in texts_of(body["blocks"])
    links = re.findall(r'"url": "([^"]+)"', json.dumps(body))
    assert ["https://example.com/?a=<b>"] == links
    check_limits(body)


def test_slack_holds_everything_of_an_ordinary_incident() -> None:
    """Nothing of it is cut."""
    shown = "\n".join(texts_of(slack_body(INCIDENT)["blocks"]))

    for part in (*(fact.text for fact in INCIDENT.lead), *INCIDENT.sections[-1].items):
        assert part in shown
    assert "shortened" not in shown
    assert INCIDENT.sections[4].statement in shown


def test_slack_is_told_what_did_not_fit() -> None:
    """A hundred sections, texts of a megabyte, five hundred items."""
    sections = tuple(Section(f"part {number}", text="x" * 5000) for number in range(100))
    many = slack_body(message(sections=sections, title="t" * 999))
    long = slack_body(message(sections=(Section("all", items=tuple(map(str, range(500)))),)))

    check_limits(many)
    check_limits(long)
    assert "56 further sections: rampart incidents show 12" in texts_of(many)
    assert "and 475 more" in texts_of(long)


WORDS = st.text(max_size=60) | st.sampled_from([MARKUP, "x" * 4000, "", " ", "\n", "\x00"])
TABLES = st.builds(
    Table, st.lists(WORDS, min_size=1, max_size=4).map(tuple),
    st.lists(st.lists(WORDS, max_size=4).map(tuple), max_size=3).map(tuple),
)  # fmt: skip
SECTIONS = st.builds(
    Section, WORDS, text=WORDS, items=st.lists(WORDS, max_size=4).map(tuple),
    numbered=st.booleans(), table=st.none() | TABLES, statement=WORDS,
)  # fmt: skip
MESSAGES = st.builds(
    Message,
    key=WORDS,
    event=st.sampled_from(EVENTS),
    incident_id=st.none() | st.integers(1, 10**9),
    kind=st.sampled_from(["job_failure", "digest"]),
    severity=st.sampled_from(Severity),
    title=WORDS,
    lead=st.lists(st.builds(Fact, WORDS, WORDS), max_size=5).map(tuple),
    sections=st.lists(SECTIONS, max_size=4).map(tuple),
    links=st.lists(st.builds(Link, WORDS, WORDS | st.just("https://a.example/b")), max_size=3).map(
        tuple
    ),
    at=st.just(AT),
    environment=st.sampled_from(["dev", "prod"]),
    dataset=st.none() | WORDS,
    owner=st.none() | WORDS,
    layer=st.none() | st.just("gold"),
)


@settings(max_examples=50, deadline=None)
@given(MESSAGES)
def test_any_message_has_every_form(made: Message) -> None:
    """Whatever stands in it: nothing fails, no limit is passed, no tag is made."""
    check_limits(slack_body(made))
    plain_text(made).encode()
    mail_of(made, SENDER, TO).as_bytes()
    assert not Seen(html_of(made)).tags & {"script", "b", "img"}
    published = publication_of(made, "arn:aws:sns:eu-central-1:123456789012:a.fifo")
    assert re.fullmatch(r"[\x20-\x7e]{1,100}", published["Subject"])
    assert re.fullmatch(r"[\x21-\x7e]{1,128}", published["MessageDeduplicationId"])
    assert all(each["StringValue"] for each in published["MessageAttributes"].values())
    size = len(published["Message"].encode())
    assert size <= 256 * 1024


# -------------------------------------------------------------------- digest


def of(number: int, severity: Severity, dataset: str | None, **changes: Any) -> Message:
    return message(
        key=f"k{number}", incident_id=number, severity=severity, dataset=dataset,
        title=f"incident number {number}", **changes,
    )  # fmt: skip


WAITING = [
    of(1, Severity.LOW, "facts.b"),
    of(2, Severity.MEDIUM, "facts.a"),
    of(3, Severity.LOW, "facts.a"),
    of(4, Severity.MEDIUM, None),
    of(5, Severity.MEDIUM, "facts.a", event="resolved"),
]


def test_a_digest_is_grouped_by_dataset_the_most_severe_first() -> None:
    """What is over comes last; the summary counts."""
    digest = digest_of(WAITING)

    assert ["facts.a", "no dataset", "facts.b"] == [each.title for each in digest.sections]
    assert [
        "MEDIUM: incident number 2 (incident 2)",
        "LOW: incident number 3 (incident 3)",
        "resolved: incident number 5 (incident 5)",
    ] == [item.splitlines()[0] for item in digest.sections[0].items]
    assert "2 medium, 2 low, 1 resolved" == digest.lead[0].text
    assert ("digest", "digest", Severity.MEDIUM, None) == (
        digest.event, digest.kind, digest.severity, digest.incident_id,
    )  # fmt: skip
    assert "5 incidents in 2 datasets" == digest.title


def test_a_digest_has_one_key_whatever_the_order() -> None:
    """The same messages, tried again, are the same digest; one more makes another."""
    assert digest_of(WAITING) == digest_of(WAITING[::-1])
    assert digest_of(WAITING).key != digest_of(WAITING[1:]).key


def test_of_one_incident_a_digest_tells_the_newest() -> None:
    """Opened and resolved since the last one: it is over."""
    later = AT.replace(hour=5)
    opened, resolved = (
        of(7, Severity.LOW, "a"),
        of(7, Severity.LOW, "a", event="resolved", at=later),
    )
    digest = digest_of([resolved, opened])

    assert ("resolved: incident number 7 (incident 7)",) == digest.sections[0].items
    assert later == digest.at


def test_a_digest_of_nothing_is_a_mistake() -> None:
    """There is no reason to write."""
    with pytest.raises(ValueError, match="nothing"):
        digest_of([])
