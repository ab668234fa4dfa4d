"""Faults that are put into a history to see whether a check finds them: `drop=50%` and the like."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from monitors.errors import UsageError

Floats = NDArray[np.float64]
FaultKind = Literal["drop", "outage", "duplicate", "late"]
KINDS: tuple[FaultKind, ...] = get_args(FaultKind)

_USUAL_SHARE: dict[FaultKind, float] = {"drop": 0.5, "outage": 1.0, "duplicate": 1.0, "late": 0.5}
_LASTING = ("drop", "outage")
"""What goes on until somebody mends it; the others hit one bucket."""


@dataclass(frozen=True, slots=True)
class Injection:
    """A fault and the share of rows that it concerns."""

    kind: FaultKind
    share: float

    def __str__(self) -> str:
        return self.kind if self.kind == "outage" else f"{self.kind}={100 * self.share:g}%"

    @property
    def changes(self) -> str:
        """What happens to the rows, in words."""
        share = f"{100 * self.share:g} %"
        return {
            "drop": f"{share} of the rows are lost from then on",
            "outage": "no row comes from then on",
            "duplicate": f"{share} of the rows of one bucket come twice",
            "late": f"{share} of the rows of the latest bucket have not come yet",
        }[self.kind]

    def within(self, buckets: int) -> int:
        """In how many buckets an alarm counts; late rows are there when the next one is judged."""
        return 1 if self.kind == "late" else buckets

    def into(self, counts: Floats, start: int, buckets: int, random: np.random.Generator) -> Floats:
        """A copy of `counts` (rows per bucket, not negative) with the fault from `start` on.

        It lasts for `buckets` at most. Rows are lost or doubled one by one and by chance
        (binomial), as whole numbers; a count that is none is multiplied.
        """
        changed: Floats = counts.copy()
        end = start + (buckets if self.kind in _LASTING else 1)
        rows = counts[start:end]
        sign = 1 if self.kind == "duplicate" else -1
        changed[start:end] = rows + sign * _share_of(rows, self.share, random)
        return changed


def parse_injection(text: str) -> Injection:
    """`drop=50%`, `drop=0.5`, `drop`, `outage`, `duplicate=10%`, `late`. Raises UsageError."""
    name, _, share = text.strip().partition("=")
    allowed = f"{', '.join(KINDS)}, each but outage with a share like drop=50%"
    kind = next((each for each in KINDS if each == name), None)
    if kind is None:
        raise UsageError(f"--inject: found `{text}`, allowed is {allowed}")
    if not share:
        if "=" in text:
            raise UsageError(f"--inject: found `{text}` without a share, allowed is {allowed}")
        return Injection(kind, _USUAL_SHARE[kind])
    number = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)(\s*%)?", share.strip())
    value = float(number[1]) / (100 if number[2] else 1) if number else 0.0
    if kind == "outage" or not 0 < value <= 1:
        raise UsageError(f"--inject: found `{text}`, allowed is {allowed}")
    return Injection(kind, value)


def _share_of(rows: Floats, share: float, random: np.random.Generator) -> Floats:
    if share == 1:
        return rows
    whole = (rows == np.floor(rows)) & (rows < 2**62)
    drawn = random.binomial(np.where(whole, rows, 0).astype(np.int64), share)
    return np.asarray(np.where(whole, drawn, rows * share), dtype=np.float64)
