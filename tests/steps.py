"""Dying at a chosen step: named methods of classes, counted as they are called."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def strike_at(step: int, strike: Callable[[], None], methods: Iterable[tuple[type, str]]) -> None:
    """Call `strike` at the n-th moment: before and after each call of each of the methods."""
    left = [step]

    def passing() -> None:
        left[0] -= 1
        if left[0] == 0:
            strike()

    def watched(original: Callable[..., Any]) -> Callable[..., Any]:
        def step_of(*arguments: Any, **options: Any) -> Any:
            passing()
            done = original(*arguments, **options)
            passing()
            return done

        return step_of

    for owner, name in methods:
        setattr(owner, name, watched(getattr(owner, name)))
