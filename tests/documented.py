"""What stands in the documentation, so that tests can try it as it stands there."""

from __future__ import annotations

import re
import textwrap

from tests.conftest import ROOT


def blocks_of(page: str, section: str = "") -> list[str]:
    """The indented blocks of a page of docs/, or of README.md; of one of its sections."""
    path = ROOT / page if page == "README.md" else ROOT / "docs" / page
    text = path.read_text()
    if section:
        text = re.split(rf"^## {re.escape(section)}$", text, flags=re.M)[1]
        text = re.split(r"^#", text, maxsplit=1, flags=re.M)[0]
    found = re.findall(r"(?:^    .*\n)+", text, re.M)
    return [textwrap.dedent(each) for each in found]


def queries_of(page: str, section: str = "") -> list[str]:
    return [each for each in blocks_of(page, section) if each.startswith("select ")]
