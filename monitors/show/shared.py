"""One answer for all who ask at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """What `make` gives, made once for everybody who asks within `fresh_for` seconds.

    While it is made, others wait for it; but nobody waits behind one who waits for a database that
    was away a moment ago: after a failure they get the failure at once, until it is over.
    """

    def __init__(
        self,
        make: Callable[[], T],
        *,
        failed: Callable[[T], bool],
        fresh_for: float = 1.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._make = make
        self._failed = failed
        self._fresh_for = fresh_for
        self._clock = clock
        self._changed = threading.Condition()
        self._is_made = False
        self._latest: tuple[float, T] | None = None

    def get(self) -> T:
        """At most `fresh_for` seconds old; what `make` raises is raised to whoever made it."""
        with self._changed:
            while True:
                if self._latest is not None:
                    made_at, found = self._latest
                    if self._clock() - made_at < self._fresh_for:
                        return found
                    if self._is_made and self._failed(found):
                        return found
                if not self._is_made:
                    break
                self._changed.wait()
            self._is_made = True
        made: T | None = None
        done = False
        try:
            made = self._make()
            done = True
            return made
        finally:
            with self._changed:
                self._is_made = False
                if done and made is not None:
                    self._latest = (self._clock(), made)
                self._changed.notify_all()
