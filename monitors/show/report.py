"""`rampart report`: the status page with all its details as one file that needs nothing else."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from monitors.show import page_render
from monitors.show.page_views import Facts
from monitors.store.pages import CheckNow

FILE = Path("target") / "rampart_report.html"
BUDGET = 1_500_000
"""Bytes. Details of green datasets are in only when everything fits."""
MOST = 4 * BUDGET
"""Bytes of details when much is not green: the worst first, then it is said that more is left."""


@dataclass
class FileLinks:
    """Anchors within the file, of what has details in it."""

    datasets: dict[str, int] = field(default_factory=dict)
    incidents: set[int] = field(default_factory=set)
    home = None
    unfiltered = None

    def dataset(self, name: str) -> str | None:
        return f"#d{self.datasets[name]}" if name in self.datasets else None

    def check(self, check: CheckNow) -> str | None:
        return f"#{page_render.anchor_of(check)}" if check.dataset in self.datasets else None

    def incident(self, incident_id: int) -> str | None:
        return f"#i{incident_id}" if incident_id in self.incidents else None


@dataclass(frozen=True, slots=True)
class Written:
    """Where the report is, and how much of it has details."""

    path: Path
    size: int
    datasets: int
    detailed: int

    @property
    def shown(self) -> str:
        """The path as a person here would type it."""
        here = Path.cwd()
        return str(self.path.relative_to(here) if self.path.is_relative_to(here) else self.path)

    @property
    def line(self) -> str:
        less = "" if self.detailed == self.datasets else f", {self.detailed:,} of them in detail"
        return f"report   {self.shown}: {self.datasets:,} datasets{less}, {self.size / 1e6:.2f} MB"


def write_report(facts: Facts, path: Path) -> Written:
    """Write the file, or leave what was there as it is. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    links = FileLinks(incidents={each.incident_id for each in facts.active_incidents})
    with tempfile.TemporaryFile("w+", encoding="utf-8") as details:
        left = _details(facts, links, details)
        # in the folder of the file itself: only there a rename is atomic
        begun = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            with begun.open("x", encoding="utf-8") as file:
                details.seek(0)
                for piece in _whole(facts, links, details, left):
                    file.write(piece)
                size = file.tell()
            begun.replace(path)
        except BaseException:
            with suppress(OSError):
                begun.unlink()
            raise
    return Written(path, size, len(facts.rows), len(links.datasets))


def _whole(facts: Facts, links: FileLinks, details: IO[str], left: str) -> Iterator[str]:
    """The page around the details, in pieces, so that these are never in memory at once."""
    mark = "<!-- details -->"
    page = page_render.render(
        "report.html",
        csp=page_render.content_security_policy(as_header=False),
        title=page_render.title_of(facts),
        environment=facts.environment,
        now=facts.now,
        days=facts.days,
        links=links,
        owner_of=facts.owner_of,
        left=left,
        **page_render.overview_values(facts, dict.fromkeys(page_render.KEPT, "")),
    )
    # what comes from data is escaped, so that the mark can stand there only once
    before, after = page.split(mark)
    yield before
    while piece := details.read(1 << 16):
        yield piece
    yield after


def _details(facts: Facts, links: FileLinks, file: IO[str]) -> str:
    """Details of datasets, the worst first, then of incidents; what is left out, in words."""
    numbered = list(enumerate(facts.rows))
    used = unfit = 0
    for number, row in numbered:
        if row.word == "pass":
            continue
        if used > MOST:
            unfit += 1
            continue
        used += _put(facts, links, row.name, number, file)
    greens = [(number, row.name) for number, row in numbered if row.word == "pass"]
    # the page around the details takes some, too
    fit = _greens(facts, links, greens, BUDGET - 60_000 - 700 * len(numbered) - used, file)
    for each in facts.active_incidents:
        view = facts.incident(each.incident_id)
        if view is not None:
            file.write(_render("_report_incident.html", facts, links, view=view, level=2))
    return _left_out(len(numbered), fit, unfit)


def _greens(
    facts: Facts, links: FileLinks, greens: list[tuple[int, str]], room: int, file: IO[str]
) -> bool:
    """All of them, or none when they do not fit."""
    start = file.tell()
    for number, name in greens:
        room -= _put(facts, links, name, number, file)
        if room < 0:
            file.seek(start)
            file.truncate()
            for _, written in greens:
                links.datasets.pop(written, None)
            return False
    return True


def _put(facts: Facts, links: FileLinks, name: str, number: int, file: IO[str]) -> int:
    links.datasets[name] = number
    view = facts.dataset(name)
    return file.write(
        _render("_report_dataset.html", facts, links, view=view, number=number, level=2)
    )


def _left_out(datasets: int, greens_fit: bool, unfit: int) -> str:
    if unfit:
        return (
            f"Of {datasets:,} datasets only the worst have details here; {unfit:,} more are not"
            " green. `rampart serve` shows each."
        )
    if not greens_fit:
        return (
            f"Of {datasets:,} datasets only those that are not green have details here."
            " `rampart serve` shows each."
        )
    return ""


def _render(template: str, facts: Facts, links: FileLinks, **values: object) -> str:
    return page_render.templates().get_template(template).render(
        links=links, days=facts.days, owner_of=facts.owner_of, **values
    )  # fmt: skip
