"""`streams:` of rampart.yml, and what a message is judged by."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitors.arrival.records import BadRecord, GoodRecord
from monitors.arrival.stream import Message
from monitors.arrival.stream_judge import Judge
from monitors.config import load_config
from monitors.config_streams import Stream
from monitors.errors import ConfigError

KAFKA = {"brokers": "a:9092,b:9092", "topic": "events", "group": "rampart"}
STREAM: dict[str, Any] = {
    "kafka": KAFKA, "table": "web_raw.events", "dlq_path": "monitoring.dead_letters",
    "watermark": "1 hour", "checkpoint": "web",
}  # fmt: skip
NOW = datetime(2026, 11, 20, tzinfo=timezone.utc)


def without(*keys: str, **more: Any) -> dict[str, Any]:
    return {key: value for key, value in STREAM.items() if key not in keys} | more


def error_of(folder: Path, stream: Any, **others: Any) -> str:
    """What load_config says, one line that names the file."""
    path = folder / "rampart.yml"
    path.write_text(yaml.safe_dump({"streams": {"web": stream}} | others))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(f"{path}:")
    return said


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        (
            ("dlq_path", "watermark", "checkpoint"),
            "a stream is not read without `dlq_path`, `watermark`, `checkpoint`; valid is for"
            " example `dlq_path: monitoring.dead_letters`, `watermark: 1 hour`,"
            " `checkpoint: web_events`",
        ),
        (
            ("watermark",),
            "a stream is not read without `watermark`; valid is for example `watermark: 1 hour`",
        ),
        (("checkpoint", "dlq_path"), "a stream is not read without `dlq_path`, `checkpoint`;"),
    ],
)
def test_all_that_is_missing_is_named_at_once(
    tmp_path: Path, missing: tuple[str, ...], named: str
) -> None:
    """Every key that is needed, with a valid example; a key without a value is missing, too."""
    assert f"key `streams.web`: {named}" in error_of(tmp_path, without(*missing))
    assert named in error_of(tmp_path, STREAM | dict.fromkeys(missing))


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (without("kafka"), "either `kafka` or `folder`"),
        (STREAM | {"folder": {"path": "in/*"}}, "either `kafka` or `folder`"),
        (STREAM | {"watermark": 3600}, "watermark`: found `3600`, allowed is a duration like"),
        (STREAM | {"dlq_path": "dead"}, "found `dead`, allowed is the table `monitoring.dead_"),
        (
            STREAM | {"trigger": "1 second"},
            "web.trigger`: unknown key; allowed: description, kafka",
        ),
        (STREAM | {"kafka": KAFKA | {"server": 1}}, "kafka.server`: unknown key; allowed: brokers"),
        (STREAM | {"kafka": KAFKA | {"brokers": "a"}}, "allowed is `host:port`"),
        (STREAM | {"max_records_per_batch": 0}, "max_records_per_batch`: found `0`, allowed is"),
        (STREAM | {"format": "csv"}, "`columns` for `format: csv`"),
        (without("kafka", folder={"path": "in/*"}), "`event_time` for a folder"),
        (
            STREAM | {"kafka": KAFKA | {"security": {"protocol": "SASL_SSL"}}},
            "`username` and `password` for `protocol: SASL_SSL`",
        ),
        (STREAM | {"freshness": {"within": "1 day", "calendar": "x"}}, "one of `calendars`"),
        ("kafka", "found `kafka`"),
    ],
)
def test_what_is_wrong_is_said_with_what_is_allowed(tmp_path: Path, stream: Any, said: str) -> None:
    """File, line, key, what was found, what is allowed."""
    assert said in error_of(tmp_path, stream)


def test_a_password_in_the_file_is_refused_and_not_shown(tmp_path: Path) -> None:
    """Secrets come from a variable or a file."""
    security = {"protocol": "SASL_SSL", "username": "u", "password": "hunter2hunter2"}
    said = error_of(tmp_path, STREAM | {"kafka": KAFKA | {"security": security}})

    assert "hunter2" not in said
    assert "`{env: VARIABLE}` or `{file: /absolute/path}`" in said


def test_a_stream_shares_neither_name_nor_checkpoint(tmp_path: Path) -> None:
    """They would count each other's messages."""
    feed = {"table": "web_raw.files", "format": "jsonl", "path": "*.jsonl"}
    assert "a name that no feed has" in error_of(tmp_path, STREAM, feeds={"web": feed})
    both = {"streams": {"web": STREAM, "app": STREAM}}
    assert "this one is that of `" in error_of(tmp_path, STREAM, **both)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
    | st.sampled_from(["1 hour", "web_raw.events", "monitoring.dead_letters", "a:1", "csv"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from([*Stream.model_fields, "env", "path"]), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip
SETTINGS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(Stream.model_fields, ANYTHING) | {"x": ANYTHING}
)


@pytest.mark.parametrize(
    "examples", [100, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def test_no_setting_is_a_traceback(tmp_path: Path, examples: int) -> None:
    """Whatever stands under a stream is a configuration, or one line that says what is wrong."""
    path = tmp_path / "rampart.yml"

    @settings(
        max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck),
        database=None,
    )  # fmt: skip
    @given(changes=SETTINGS, base=st.booleans())
    def check(changes: dict[str, Any], base: bool) -> None:
        path.write_text(yaml.safe_dump({"streams": {"web": (STREAM if base else {}) | changes}}))
        said = ""
        try:
            assert load_config(path).arrivals
        except ConfigError as error:
            said = str(error)
        assert len(said.splitlines()) <= 1

    check()


# -------------------------------------------------------------------- judging


def judged(*values: bytes | str, **changes: Any) -> list[GoodRecord | BadRecord]:
    stream = Stream.model_validate(STREAM | {"event_time": "t"} | changes)
    messages = [
        Message(
            "0", at, at + 1, each if isinstance(each, bytes) else each.encode(), len(each), None
        )
        for at, each in enumerate(values)
    ]
    return list(Judge(stream, {}, NOW).records(messages))


@pytest.mark.parametrize(
    ("kind", "value", "seconds"),
    [
        ("iso8601", "2026-11-19T10:00:00Z", 1_795_082_400),
        ("iso8601", "2026-11-19 10:00", 1_795_082_400),
        ("iso8601", "2026-11-19T12:00:00.123456789+02:00", 1_795_082_400.123456),
        ("iso8601", "2026-11-19", 1_795_046_400),
        ("seconds", 1_795_082_400, 1_795_082_400),
        ("seconds", "1795082400.5", 1_795_082_400.5),
        ("milliseconds", 1_795_082_400_000, 1_795_082_400),
        ("microseconds", 1_795_082_400_000_000, 1_795_082_400),
    ],
)
def test_event_times_in_every_format(kind: str, value: Any, seconds: float) -> None:
    """The newest event time is the moment that was written."""
    stream = Stream.model_validate(STREAM | {"event_time": "t", "event_time_format": kind})
    judge = Judge(stream, {}, NOW)
    text = json.dumps({"t": value}).encode()
    list(judge.records([Message("0", 0, 1, text, len(text), None)]))

    assert judge.newest("0") == datetime.fromtimestamp(seconds, tz=timezone.utc)


@pytest.mark.parametrize(
    "value", [None, True, "", "soon", [], 10**400, "NaN", "2026-13-01", -(10**30)]
)
@pytest.mark.parametrize("kind", ["iso8601", "seconds", "microseconds"])
def test_what_is_no_event_time_is_a_dead_letter(kind: str, value: Any) -> None:
    """It says which key it was looked for under."""
    (record,) = judged(json.dumps({"t": value}), event_time_format=kind)

    assert isinstance(record, BadRecord)
    assert record.reason.startswith("no event time: ")
    assert "`t`" in record.reason


def test_a_key_below_another_and_a_key_with_a_dot() -> None:
    """`a.b` is both."""
    found = judged('{"a": {"b": 5}}', '{"a.b": 5}', '{"a": 5}',
                   event_time="a.b", event_time_format="seconds")  # fmt: skip

    assert [type(each) for each in found] == [GoodRecord, GoodRecord, BadRecord]


def test_late_is_behind_the_newest_of_the_partition_by_more_than_the_watermark() -> None:
    """Exactly as far is not late; a late one moves nothing."""
    stream = Stream.model_validate(STREAM | {"event_time": "t", "event_time_format": "seconds"})
    known = NOW - timedelta(days=1)
    at = known.timestamp()
    texts = [json.dumps({"t": each}).encode() for each in (at - 3600, at - 3601, at - 3600)]
    judge = Judge(stream, {"0": known}, NOW)
    found = list(judge.records([Message("0", 0, 1, each, len(each), None) for each in texts]))

    assert [type(each) for each in found] == [GoodRecord, BadRecord, GoodRecord]
    assert judge.newest("0") == known


@settings(max_examples=300, deadline=None, database=None)
@given(value=st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
def test_no_message_is_a_traceback(value: bytes) -> None:
    """Every message is judged, as JSON and as CSV."""
    assert len(judged(value)) == 1
    assert len(judged(value, format="csv", columns=["t", "x"])) == 1
