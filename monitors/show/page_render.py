"""Templates to bytes: escaping, filters, links, and what a browser may load (nothing)."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import cache
from importlib.resources import files
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit
from zoneinfo import ZoneInfo

from jinja2 import Environment
from markupsafe import Markup, escape

from monitors.results import Layer, bounds_text, number_text
from monitors.show import page_charts
from monitors.show.page_state import DatasetRow, counts_text
from monitors.show.page_views import DatasetView, Facts, IncidentView
from monitors.show.templating import new_environment
from monitors.store.pages import RED, WORDS, CheckNow, FeedRun, RunNow

FILTERS = ("q", "state", "owner", "layer")
"""What the form over the datasets narrows them by."""
KEPT = (*FILTERS, "days")
"""What goes along from page to page."""


class Links(Protocol):
    """Where things stand; None where they have no place of their own."""

    @property
    def home(self) -> str | None: ...

    @property
    def unfiltered(self) -> str | None: ...

    def dataset(self, name: str) -> str | None: ...

    def check(self, check: CheckNow) -> str | None: ...

    def incident(self, incident_id: int) -> str | None: ...


class SiteLinks:
    """Pages of a server. What a reader filtered by goes along, so that the way back knows it."""

    def __init__(self, query: Mapping[str, str]) -> None:
        self._all = _query({name: query.get(name, "") for name in KEPT})
        self._window = _query({"days": query.get("days", "")})

    @property
    def home(self) -> str:
        return f"/{self._all}"

    @property
    def unfiltered(self) -> str:
        return f"/{self._window}"

    def dataset(self, name: str) -> str:
        return f"/dataset/{quote(name, safe='')}{self._all}"

    def check(self, check: CheckNow) -> str:
        return f"{self.dataset(check.dataset)}#{anchor_of(check)}"

    def incident(self, incident_id: int) -> str:
        return f"/incidents/{incident_id}{self._all}"


def _query(values: Mapping[str, str]) -> str:
    said = urlencode({name: value for name, value in values.items() if value})
    return f"?{said}" if said else ""


# -------------------------------------------------------------------- pages


def overview(facts: Facts, query: Mapping[str, str]) -> str:
    """The page at `/`; the query filters it, for readers without script."""
    values = overview_values(facts, {name: query.get(name, "") for name in KEPT})
    return _page("overview.html", facts, query, title=title_of(facts), **values)


def dataset(facts: Facts, view: DatasetView, query: Mapping[str, str]) -> str:
    title = f"{view.row.word}: {view.row.name}"
    return _page("dataset.html", facts, query, title=title, view=view, level=1)


def incident(facts: Facts, view: IncidentView, query: Mapping[str, str]) -> str:
    title = f"Incident {view.incident.incident_id}: {view.incident.title}"
    return _page("incident.html", facts, query, title=title, view=view, level=1)


def notice(
    environment: str, now: datetime, query: Mapping[str, str], headline: str, *lines: str
) -> str:
    """A page that says one thing: not found, or no database."""
    return render(
        "notice.html", title=headline, headline=headline, lines=lines, environment=environment,
        now=now, links=SiteLinks(query),
    )  # fmt: skip


def title_of(facts: Facts) -> str:
    return f"{facts.answer.headline} Rampart, {facts.environment}"


def overview_values(facts: Facts, wanted: Mapping[str, str]) -> dict[str, Any]:
    """What `_overview.html` wants; `wanted`: what the form said."""
    rows = facts.rows
    owners = sorted({name for row in rows for name in _owners(row)})
    states = ["red", "not pass", *(word for word in WORDS if any(r.word == word for r in rows))]
    layers = [each.value for each in Layer if any(row.layer == each.value for row in rows)]
    return {
        "answer": facts.answer,
        "rows": rows,
        "shown": {row.name for row in rows if fits(row, wanted)},
        "wanted": wanted,
        "filters": (("state", "State", states), ("owner", "Owner", owners),
                    ("layer", "Layer", layers)),
        "counts": facts.counts,
        "scores": facts.scores,
        "active": facts.active_incidents,
        "muted": facts.muted,
        "scans": facts.scans,
        "runs": facts.runs,
    }  # fmt: skip


def fits(row: DatasetRow, wanted: Mapping[str, str]) -> bool:
    """Whether a dataset is one of those that the form asked for; `wanted` has all of FILTERS."""
    state, owner, layer = wanted["state"], wanted["owner"], wanted["layer"]
    if state and not (
        row.word == state
        or (state == "red" and row.word in RED)
        or (state == "not pass" and row.word != "pass")
    ):
        return False
    if (owner and owner not in _owners(row)) or (layer and layer != row.layer):
        return False
    text = " ".join((row.name, row.note, *_owners(row))).lower()
    return all(word in text for word in wanted["q"].lower().split())


def _owners(row: DatasetRow) -> list[str]:
    return row.owner.name.split(", ") if row.owner else []


def _page(template: str, facts: Facts, query: Mapping[str, str], **values: Any) -> str:
    return render(
        template, environment=facts.environment, now=facts.now, days=facts.days,
        links=SiteLinks(query), owner_of=facts.owner_of, **values,
    )  # fmt: skip


def render(template: str, *, links: Links, csp: str = "", **values: Any) -> str:
    """`csp` goes into the page itself, for a file that no server sends."""
    return templates().get_template(template).render(
        css=Markup(asset("page.css")), js=Markup(asset("page.js")), csp=csp, links=links, **values  # noqa: S704
    )  # fmt: skip


# -------------------------------------------------------------------- what a browser may do


@cache
def asset(name: str) -> str:
    text = (files("monitors.show") / "templates" / name).read_text(encoding="utf-8")
    if name.endswith(".css"):  # one file, read by people; sent without what they need
        text = re.sub(r"\s*\n\s*", "", text)
    return text.strip()


@cache
def content_security_policy(*, as_header: bool) -> str:
    """Our own style sheet and script by their hashes, nothing else, and nothing from anywhere."""
    rules = [
        "default-src 'none'",
        f"style-src 'sha256-{_sha256('page.css')}'",
        f"script-src 'sha256-{_sha256('page.js')}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'self'" if as_header else "form-action 'none'",
    ]
    if as_header:  # a browser refuses it in a page
        rules.append("frame-ancestors 'none'")
    return "; ".join(rules)


def _sha256(name: str) -> str:
    return base64.b64encode(hashlib.sha256(asset(name).encode()).digest()).decode()


# -------------------------------------------------------------------- the environment


@cache
def templates() -> Environment:
    """With what the templates of the page call."""
    found = new_environment()
    found.filters |= {
        "iso": lambda moment: moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "utc": lambda moment: f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC",
        "day": lambda moment, zone: f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d}",
        "number": lambda number: "" if number is None else f"{number:,}",
        "measure": lambda value: "" if value is None else number_text(_rounded(value)),
        "whole": lambda value: "" if value is None else f"{value:,.0f}",
        "percent": _percent,
        # 99.96 is not 100: rounded down
        "score": lambda value: f"{math.floor(value * 10) / 10:g}",
        "bounds": _bounds,
        "took": _took,
        "ended": _ended,
        "anchor": anchor_of,
        "short": lambda text, room: text if len(text) <= room else f"{text[: room - 1]}…",
        "code": _code,
        "breaks": _breaks,
        "web": is_web,
    }
    found.tests["web"] = is_web
    found.globals |= {"strip_of": page_charts.strip, "counts_text": counts_text}
    return found


def anchor_of(check: CheckNow) -> str:
    """Where its line stands; ids are made of whatever somebody wrote, so that it is a hash."""
    said = f"{check.check_id}\0{check.segment}".encode()
    return f"c{hashlib.sha256(said).hexdigest()[:10]}"


def is_web(url: object) -> bool:
    """Whether it may become a link: only what a browser opens as a page."""
    try:
        return isinstance(url, str) and urlsplit(url).scheme in ("http", "https")
    except ValueError:
        return False


def _code(text: str) -> Markup:
    """Words in backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704


def _breaks(name: str) -> Markup:
    """A long name may break after its dots and underscores."""
    return Markup(re.sub(r"([._]+)", r"\1<wbr>", str(escape(name))))  # noqa: S704


def _percent(share: float | None) -> str:
    """`5.8%`: as many digits as tell it from nothing."""
    if share is None:
        return ""
    return f"{100 * share:.3g}%" if abs(share) < 1 else f"{100 * share:,.0f}%"


def _bounds(check: CheckNow) -> str:
    return bounds_text(_rounded(check.expected_min), _rounded(check.expected_max))


def _rounded(value: float | None) -> float | None:
    """As many digits as a reader compares: none behind the point of thousands."""
    if value is None or abs(value) < 10:
        return value
    return round(value, 0 if abs(value) >= 1_000 else 2)


def _took(run: RunNow | FeedRun) -> str:
    end = run.ended_at if isinstance(run, RunNow) else run.finished_at
    if end is None:
        return ""
    seconds = max((end - run.started_at).total_seconds(), 0.0)
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _ended(run: RunNow) -> str:
    """What an exit code means."""
    if run.exit_code is None:
        return "runs, or was killed"
    said = {0: "0, everything holds", 1: "1, red", 2: "2, could not start"}
    return said.get(run.exit_code, f"{run.exit_code}, stopped")
