"""Whose a dataset is, decided in one place: its own owner first, then whoever reads it, marked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

READS = "owner_reads"
"""The attribute of a result whose `owner` is that of a reader."""


@dataclass(frozen=True, slots=True)
class Owner:
    """`name`: one or more, with commas. `is_reader`: nobody owns it; this is who owns a reader."""

    name: str
    is_reader: bool = False

    @property
    def text(self) -> str:
        return f"{self.name} (of the report that reads it)" if self.is_reader else self.name

    @property
    def attributes(self) -> dict[str, Any]:
        """As a result carries it."""
        return {"owner": self.name, READS: True} if self.is_reader else {"owner": self.name}


def stated(attributes: Mapping[str, Any]) -> Owner | None:
    """The owner that a result carries."""
    name = attributes.get("owner")
    return Owner(str(name), attributes.get(READS) is True) if name else None


def decided(owners: Iterable[Owner | None]) -> Owner | None:
    """Of all that is said of one thing: whoever owns it; readers count only where nobody does."""
    said = [owner for owner in owners if owner]
    own = {owner.name for owner in said if not owner.is_reader}
    names = own or {owner.name for owner in said}
    return Owner(", ".join(sorted(names)), not own) if names else None


def of_incident(lead: Owner | None, dataset: Owner | None) -> Owner | None:
    """Of its leading check, when that names its own; else of its dataset."""
    if lead and not lead.is_reader:
        return lead
    return dataset or lead
