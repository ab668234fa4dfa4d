"""What a verdict says of its claim, so that a claim never reads as if it held when it does not."""

from __future__ import annotations

from dataclasses import dataclass

from monitors.results import OF_A_CLAIM
from monitors.store.pages import CheckNow


@dataclass(frozen=True, slots=True)
class Claimed:
    """A claim with what is said of it; `verdict` is empty when it holds."""

    word: str
    verdict: str
    claim: str
    found: str
    because: str = ""
    """Of which it is said, when it is not the dataset itself: `its feed orders`."""

    @property
    def text(self) -> str:
        """`does not hold: few events are rejected; rate=0.06 (max 0.05)`."""
        verdict = f"{self.verdict}: " if self.verdict else ""
        where = f"because of {self.because}, where this " if self.because else ""
        return f"{where}{verdict}{self.claim}" + (f"; {self.found}" if self.found else "")


def claimed(check: CheckNow, word: str, because: str = "") -> Claimed:
    """`word`: what the check is shown as. A muted check is said to be what it is."""
    said = check.status if word == "muted" else word
    return Claimed(word, OF_A_CLAIM.get(said, ""), check.check_name, check.message, because)
