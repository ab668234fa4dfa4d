"""The types of values in `channels:` and `heartbeat:`; each says in words what it allows."""

from __future__ import annotations

import re
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from monitors.config_types import Duration, Section


class Secret(Section):
    """Where a secret stands. It is read when it is needed, and never kept here."""

    env: str | None = None
    """The name of a variable."""
    file: str | None = None
    """An absolute path; a line break at the end of the file does not count."""


def _secret(value: Any) -> Any:
    if isinstance(value, Secret):
        return value
    if isinstance(value, dict) and len(value) == 1:
        key, named = next(iter(value.items()))
        if key == "env" and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(named)):
            return value
        if key == "file" and isinstance(named, str) and Path(named).expanduser().is_absolute():
            return value
    # a type of its own: what was found may be the secret, and config_file.explain hides it
    raise PydanticCustomError("secret", "`{env: VARIABLE}` or `{file: /absolute/path}`")


def _time_of_day(value: Any) -> Any:
    if isinstance(value, time):
        return value
    # YAML 1.1 reads an unquoted 22:00 as the number 1320
    if isinstance(value, int) and not isinstance(value, bool) and 60 <= value < 1440:
        return time(value // 60, value % 60)
    if isinstance(value, str) and (found := re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", value)):
        return time(int(found[1]), int(found[2]))
    raise ValueError('a time of day in quotes, like `"07:00"`')


def one_or_more(value: Any) -> Any:
    """A single value stands for a list of one."""
    return (value,) if isinstance(value, str) else value


def _channel_name(value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", value):
        raise ValueError("a name of lower-case letters, digits, `-` and `_`")
    return value


def _header_name(value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", value):
        raise ValueError("the name of a header, like Authorization")
    if value.lower() in ("content-type", "content-length", "host", "idempotency-key"):
        raise ValueError("a header that Rampart does not set itself")
    return value


def _address(value: Any) -> Any:
    # what stands in a header of a mail must not be able to start another one
    spec = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+"
    named = rf"[^<>@,;\"()\x00-\x1f\x7f]+ <{spec}>"
    if not isinstance(value, str) or not re.fullmatch(f"{spec}|{named}", value):
        raise ValueError("an address like `oncall@example.com` or `Data team <data@example.com>`")
    return value


def _timeout(value: timedelta) -> timedelta:
    if not timedelta(seconds=1) <= value <= timedelta(minutes=2):
        raise ValueError("1 second to 2 minutes")
    return value


def _topic_arn(value: Any) -> Any:
    if not re.fullmatch(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w-]+(\.fifo)?", str(value)):
        raise ValueError("a topic like `arn:aws:sns:eu-central-1:123456789012:alerts`")
    return value


SecretRef = Annotated[Secret, BeforeValidator(_secret)]
Timeout = Annotated[Duration, AfterValidator(_timeout)]
TopicArn = Annotated[str, BeforeValidator(_topic_arn)]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]
ChannelName = Annotated[str, BeforeValidator(_channel_name)]
HeaderName = Annotated[str, BeforeValidator(_header_name)]
Address = Annotated[str, BeforeValidator(_address)]
Words = Annotated[tuple[str, ...], BeforeValidator(one_or_more)]
Addresses = Annotated[tuple[Address, ...], BeforeValidator(one_or_more), Field(min_length=1)]
