"""What a benchmark says: figures against a target, and how pairs of runs become one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any


@dataclass(frozen=True)
class Options:
    """What the command line sets for every benchmark."""

    pairs: int
    size_mb: int
    folder: Path
    """A temporary folder; whoever made it deletes it."""
    scale: float = 1.0
    """The share of their rows that the benchmarks of a long history use."""


@dataclass(frozen=True)
class Figure:
    """One line of the outcome: the median of `values` against `target`."""

    name: str
    reference: str
    values: Sequence[float]
    relation: str
    """`>=` or `<=`."""
    target: float
    unit: str
    note: str = ""

    @property
    def value(self) -> float:
        return median(self.values)

    @property
    def met(self) -> bool:
        return self.value >= self.target if self.relation == ">=" else self.value <= self.target

    def line(self) -> str:
        low, high = min(self.values), max(self.values)
        spread = f"({low:.2f} to {high:.2f})" if len(self.values) > 1 else ""
        verdict = "met" if self.met else "NOT MET"
        return (
            f"{self.name:<16} {self.value:>7.2f} {self.unit:<3} {spread:<18}"
            f" target {self.relation} {self.target:g} {self.unit:<3} {verdict:<8}"
            f" against {self.reference}{f'; {self.note}' if self.note else ''}"
        )

    def as_dict(self) -> dict[str, Any]:
        summary = {"value": self.value, "min": min(self.values), "max": max(self.values)}
        return asdict(self) | summary | {"met": self.met}


def in_turns(
    pairs: int, ours: Callable[[], float], reference: Callable[[], float]
) -> list[tuple[float, float]]:
    """[(our seconds, the reference's)]: side by side, so that a noisy minute hits both."""
    return [(ours(), reference()) for _ in range(pairs)]


def seconds_of(command: Sequence[str | Path], cwd: Path | None = None) -> float:
    """The wall time of a command from start to exit; its output matters only when it fails."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RAMPART_", "DBT_", "PG"))
    }
    started = perf_counter()
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, check=False)
    seconds = perf_counter() - started
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return seconds
