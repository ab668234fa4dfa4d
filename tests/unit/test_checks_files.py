"""A checks file that says something nobody understands is refused, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitors.errors import ChecksError
from monitors.scan.checks_files import read_definitions

CHECK = """checks for facts.orders:
  - row_count > 0:
      name: there are orders
      attributes:
        owner: shop
        team: web
"""


def test_attributes_of_ones_own_are_welcome(tmp_path: Path) -> None:
    """Whatever a check carries goes into `attributes` of its verdict."""
    path = tmp_path / "orders.yml"
    path.write_text(CHECK)

    assert {"owner": "shop", "team": "web"} == read_definitions([path])[0].attributes


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("severty: high", "attribute `severty`: did you mean `severity`?"),
        ("severity: urgent", "attribute `severity`: found `urgent`, allowed is critical, high"),
        ("category: quality", "attribute `category`: found `quality`, allowed is infrastructure"),
        ("layer: platinum", "attribute `layer`: found `platinum`, allowed is bronze, silver, gold"),
    ],
)
def test_what_nobody_would_read_is_refused(tmp_path: Path, line: str, said: str) -> None:
    """A mistyped severity would be found in an incident."""
    path = tmp_path / "orders.yml"
    path.write_text(CHECK.replace("team: web", line))
    with pytest.raises(ChecksError) as caught:
        read_definitions([path])

    assert str(caught.value).startswith(f"{path}:2: {said}")
