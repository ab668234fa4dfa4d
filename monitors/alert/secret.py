"""Secrets of rampart.yml, read when they are needed and hidden from then on."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from monitors import log
from monitors.config_alert_types import Secret
from monitors.errors import ChannelError

SHORTEST = 8
"""A shorter part of a URL is hidden only together with the rest of it."""


def read_secret(secret: Secret, key: str) -> str:
    """The text behind a reference; from now on it stands as `***` in logs and errors.

    `key` is where the reference stands in its section, for the error. Raises ChannelError.
    """
    where = f"variable {secret.env}" if secret.env is not None else f"file {secret.file}"
    try:
        if secret.env is not None:
            text = os.environ[secret.env]
        else:
            text = Path(secret.file or "").expanduser().read_text(encoding="utf-8")
    except KeyError:
        raise ChannelError(f"`{key}`: the {where} is not set", permanent=True) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        said = f"`{key}`: the {where} cannot be read: {reason}"
        raise ChannelError(said, permanent=True) from None
    text = text.strip()
    if not text:
        raise ChannelError(f"`{key}`: the {where} is empty", permanent=True)
    _hide(text)
    return text


def read_line(secret: Secret, key: str) -> str:
    """A secret that stands in a header or a URL: one line of printable text."""
    text = read_secret(secret, key)
    if not text.isprintable() or not text.isascii():
        raise ChannelError(f"`{key}`: what it names is not one line of ASCII", permanent=True)
    return text


def read_url(secret: Secret, key: str) -> str:
    """An http or https URL."""
    text = read_line(secret, key)
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or " " in text:
        raise ChannelError(f"`{key}`: what it names is not an http or https URL", permanent=True)
    return text


def _hide(text: str) -> None:
    """The whole, its lines, and of a URL the parts that a receiver may echo."""
    log.hide(text)
    for line in text.splitlines():
        parts = urlsplit(line) if "://" in line else None
        if parts is None:
            log.hide(line.strip())
            continue
        log.hide(line.strip())
        held = [parts.path, parts.query, parts.netloc.rpartition("@")[0], *parts.path.split("/")]
        held += [value for _name, value in parse_qsl(parts.query)]
        for each in (*held, *map(unquote, held)):
            if len(each) >= SHORTEST:
                log.hide(each)
