"""Is a message a row? Malformed, oversized and too late ones are dead letters, with the reason."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from monitors.arrival.records import BadRecord, Batch, GoodRecord, json_fault, judge_csv
from monitors.arrival.stream import Message
from monitors.config_streams import Stream

_UNITS = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000}
_LATEST = datetime(9999, 1, 1, tzinfo=timezone.utc).timestamp()
_EARLIEST = datetime(1, 1, 2, tzinfo=timezone.utc).timestamp()
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9}))?)?\s*(Z|[+-]\d\d:?\d\d)?", re.I
)


class Unreadable(Exception):
    """Why a message is no row."""


class Judge:
    """Judges messages in the order of their partition; `newest` is kept per partition.

    A message from the future does not move it: one wrong clock must not make everything after it
    late, nor what is behind in a backlog. A late message does not, either.
    """

    def __init__(
        self, stream: Stream, newest: Mapping[str, datetime | None], now: datetime
    ) -> None:
        self.stream = stream
        self.watermark = stream.watermark.total_seconds()
        self.at = now
        self.now = now.timestamp()
        self._newest = {name: each.timestamp() for name, each in newest.items() if each}
        self._key = stream.event_time or ""
        self._keys = tuple(self._key.split("."))
        self._of_broker = stream.event_time is None
        self._read = self._read_json if stream.format == "jsonl" else self._read_csv

    def newest(self, partition: str) -> datetime | None:
        found = self._newest.get(partition)
        return None if found is None else datetime.fromtimestamp(found, tz=timezone.utc)

    def records(self, messages: Iterable[Message], late: bool = True) -> Iterator[
        GoodRecord | BadRecord
    ]:  # fmt: skip
        """One record per message, `line` its number from 1. Not `late`: nothing is too late."""
        newest, watermark, now = self._newest, self.watermark, self.now
        for number, message in enumerate(messages, start=1):
            try:
                if message.size > self.stream.max_record_bytes:
                    limit = self.stream.max_record_bytes
                    raise Unreadable(f"oversized: {message.size:,} bytes (max {limit:,})")
                values, moment = self._read(message)
                known = newest.get(message.partition)
                if known is not None and late and moment < known - watermark:
                    raise Unreadable(self._too_late(moment, known))
                if moment <= now and (known is None or moment > known):
                    newest[message.partition] = moment
            except Unreadable as error:
                yield BadRecord(number, str(error), message.value)
            else:
                yield GoodRecord(number, values)

    # ---------------------------------------------------------------- one message

    def _read_json(self, message: Message) -> tuple[list[str], float]:
        try:
            text = message.value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Unreadable(f"not valid utf-8 at byte {error.start + 1}") from None
        value: Any = None
        if "\\u" not in text:  # else it may hold what JSON may and Postgres may not
            try:
                value = _decode(text)
            except (ValueError, RecursionError):
                value = None
        if not isinstance(value, dict):
            value = _slowly(text)
        return [text], self._event_time(message, value)

    def _read_csv(self, message: Message) -> tuple[list[str], float]:
        line = message.value.rstrip(b"\r\n")
        columns = self.stream.columns
        whole = Batch(line.split(b"\n"), 1, doubtful=True)
        found = list(judge_csv(whole, len(columns), self.stream.delimiter, "utf-8"))
        if len(found) != 1:
            raise Unreadable(f"{len(found)} records in one message" if found else "empty")
        if isinstance(found[0], BadRecord):
            raise Unreadable(found[0].reason)
        values = found[0].values
        return values, self._event_time(message, dict(zip(columns, values, strict=True)))

    def _event_time(self, message: Message, value: Mapping[str, Any]) -> float:
        if self._of_broker:
            return self.now if message.timestamp is None else message.timestamp
        found: Any = value
        if self._key in value:  # a key with a dot in it, and every column
            found = value[self._key]
        else:
            for key in self._keys:
                found = found.get(key) if isinstance(found, Mapping) else None
        if found is None or found == "":
            raise Unreadable(f"no event time: there is no `{self._key}`")
        moment = _moment(found, self.stream.event_time_format)
        if moment is None:
            shown = str(found)[:40]
            raise Unreadable(
                f"no event time: `{self._key}` is `{shown}`, no {self.stream.event_time_format}"
            )
        return moment

    def _too_late(self, moment: float, known: float) -> str:
        behind = timedelta(seconds=round(known - moment))
        at = datetime.fromtimestamp(moment, tz=timezone.utc)
        newest = datetime.fromtimestamp(known, tz=timezone.utc)
        return (
            f"too late: {at:%Y-%m-%d %H:%M:%S} is {behind} behind {newest:%Y-%m-%d %H:%M:%S},"
            f" the newest (watermark {self.stream.watermark})"
        )


# -------------------------------------------------------------------- the pieces


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_decode = json.JSONDecoder(parse_constant=_refuse_constant).decode


def _slowly(text: str) -> dict[str, Any]:
    """What the loader would say of it; then its values, numbers as their text."""
    if not text.strip():
        raise Unreadable("empty: there is no JSON object in it")
    if fault := json_fault(text):
        raise Unreadable(fault)
    try:
        found: dict[str, Any] = json.loads(text, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        raise Unreadable("nested too deeply") from None
    return found


def _moment(value: Any, kind: str) -> float | None:
    """Seconds since 1970; None when it is none. A time without a zone is UTC."""
    if isinstance(value, bool):
        return None
    if kind != "iso8601":
        try:
            seconds = float(value) / _UNITS[kind]
        except (TypeError, ValueError, OverflowError):
            return None
        return seconds if _EARLIEST <= seconds <= _LATEST else None
    if not isinstance(value, str) or not (found := _ISO.fullmatch(value.strip())):
        return None
    day, time, fraction, zone = found.groups()
    offset = "+00:00" if zone in (None, "Z", "z") else f"{zone[:3]}:{zone[-2:]}"
    micro = (fraction or "0").ljust(6, "0")[:6]
    clock = time or "00:00:00"
    clock = clock if len(clock) == 8 else f"{clock}:00"
    try:
        seconds = datetime.fromisoformat(f"{day}T{clock}.{micro}{offset}").timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if _EARLIEST <= seconds <= _LATEST else None
