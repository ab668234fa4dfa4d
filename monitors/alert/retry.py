"""When a message that was not taken is tried again."""

from __future__ import annotations

import zlib
from datetime import timedelta

FIRST = timedelta(seconds=30)
LONGEST = timedelta(hours=1)
SPREAD = 0.2
"""So that what failed together is not tried again in one moment."""
NOT_WORKING = 5
"""Tries of a channel that failed in a row, after which it counts as not working."""


def wait_before_retry(tries: int, key: str, retry_after: float | None = None) -> timedelta:
    """Doubles with each try, from 30 seconds to an hour, up to a fifth more or less by the key.

    `tries` counts those that failed, this one included. A receiver that says how long to wait is
    obeyed, also beyond an hour.
    """
    doubled = FIRST * float(2 ** min(tries - 1, 20))
    share = zlib.crc32(f"{key} {tries}".encode()) / 2**32
    wait = min(doubled, LONGEST) * (1 - SPREAD + 2 * SPREAD * share)
    return max(wait, timedelta(seconds=retry_after or 0))
