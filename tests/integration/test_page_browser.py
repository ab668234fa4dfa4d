"""The status page and the report in a real browser: what a reader sees and hears."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from monitors.commands.report import make_report
from monitors.results import Layer, Severity, Status
from monitors.store.history import History
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.alerting import Clock, Desk, verdict_of
from tests.conftest import Server
from tests.page_rows import nasty, orders, put_feed, put_ledger, put_volume, served

WIDTHS = (360, 1440)
RAW = "clicks_raw.events"
"""A dataset that is in doubt because of its feed."""
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@dataclass
class Watched:
    """A page of the browser, and everything that it should not do."""

    page: Any
    faults: list[str] = field(default_factory=list)

    def go(self, url: str) -> Any:
        self.page.goto(url)
        return self.page

    def texts(self, selector: str) -> list[str]:
        return [text.strip() for text in self.page.locator(selector).all_inner_texts()]


@pytest.fixture(scope="module")
def desk(embedded_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Something of every kind: fail, warn, blind, muted, pass, markup, a volume, an incident."""
    patch = pytest.MonkeyPatch()
    target = embedded_server.new_database()
    for name, value in target.environment().items():
        patch.setenv(name, value)
    now = datetime.now(timezone.utc).replace(microsecond=0)
    desk = Desk(target, tmp_path_factory.mktemp("page"), clock=Clock(now))
    desk.clock.move(hours=-3)
    steady = (
        verdict_of("shop.users", Status.PASS, dataset="facts.fact_users", layer=Layer.GOLD,
                   attributes={"owner": "Finance"}),
        verdict_of("shop.rare", Status.BLIND, dataset="facts.rare", detectable_change=0.9),
        verdict_of("shop.close", Status.WARN, dataset="facts.close"),
    )  # fmt: skip
    desk.scan(orders(metric_value=0.01), *steady)
    with connect(target) as connection:
        moment = now.replace(year=now.year + 1)
        History(connection, "dev").mute("shop.known", moment, "the shop moves", "ann")
        connection.execute("update monitoring.mutes set muted_at = now() - interval '1 day'")
        connection.commit()
    desk.clock.move(hours=1)
    red = orders(
        Status.FAIL,
        severity=Severity.MEDIUM,
        metric_value=0.2,
        attributes={
            "owner": "Web analytics",
            "matters": "Revenue is too low.",
            "do": "ask the shop",
        },
    )
    muted = verdict_of("shop.known", dataset="facts.known", muted="until next year")
    of_feed = verdict_of("clicks.quarantine_rate", dataset="monitoring.quarantine_rates",
                         suite_name="clicks", severity=Severity.MEDIUM)  # fmt: skip
    raw = verdict_of("raw.rows", Status.PASS, dataset=RAW, suite_name="dbt")
    desk.scan(red, muted, nasty(), of_feed, raw, *steady)
    put_feed(desk)
    put_ledger(desk, *((f"rule_number_{n % 7}_of_the_feed", "open", n % 30) for n in range(300)))
    put_volume(desk, "facts.fact_orders", [100.0, 90.0, 110.0] * 9 + [20.0], judged=12)
    desk.clock.move(hours=1)
    yield desk
    patch.undo()


@pytest.fixture(scope="module")
def site(desk: Desk) -> Iterator[str]:
    with served(desk) as url:
        yield url


@pytest.fixture(scope="module")
def file(desk: Desk) -> str:
    return make_report(desk.config, desk.target, desk.clock()).path.as_uri()


@pytest.fixture
def browse(chromium: Any) -> Iterator[Callable[..., Watched]]:
    """A browser page; whatever it should not do is listed and fails the test at its end."""
    opened: list[tuple[Any, Watched]] = []

    def new(width: int = 1440, **options: Any) -> Watched:
        context = chromium.new_context(viewport={"width": width, "height": 900}, **options)
        watched = Watched(context.new_page())
        page, faults = watched.page, watched.faults
        page.on("dialog", lambda each: (faults.append(f"dialog: {each.message}"), each.dismiss()))
        page.on("pageerror", lambda each: faults.append(f"error: {each}"))
        page.on(
            "console",
            lambda each: each.type in ("error", "warning") and faults.append(f"says: {each.text}"),
        )
        page.on(
            "request",
            lambda each: (
                each.url.startswith(("file:", "data:", "http://127.0.0.1:"))
                or faults.append(f"asks: {each.url}")
            ),
        )
        opened.append((context, watched))
        return watched

    yield new
    for context, _ in opened:
        context.close()

    assert [] == [fault for _, watched in opened for fault in watched.faults]


PATHS = ("/", "/dataset/facts.fact_orders", f"/dataset/{RAW}", "/incidents/1")


# -------------------------------------------------------------------- what a reader does


def test_the_answer_is_the_first_thing(browse: Callable[..., Watched], site: str) -> None:
    """One h1: may I trust the numbers; the dataset in doubt one click away."""
    reader = browse()
    page = reader.go(site)

    assert 1 == page.locator("h1").count()
    assert "No. Do not use them yet." == page.locator("h1").inner_text()
    page.locator(".doubt a", has_text="fact_orders").click()
    assert "facts.fact_orders" == page.locator("h1").inner_text()
    assert "ask the shop" in page.locator("main").inner_text()


def test_search_and_filters_narrow_the_table(browse: Callable[..., Watched], site: str) -> None:
    """As one types; the number of what is left is said."""
    reader = browse()
    page = reader.go(site)
    shown = "#datasets tbody tr:not([hidden]) th"

    page.get_by_label("Search").fill("fact_")
    assert ["facts.fact_orders", "facts.fact_users"] == [
        text.splitlines()[0] for text in reader.texts(shown)
    ]
    assert page.locator("#count").inner_text().startswith("2 of ")
    page.get_by_label("State").select_option("not pass")
    assert 1 == page.locator(shown).count()
    page.get_by_label("Search").fill("")
    page.get_by_label("State").select_option("")
    page.get_by_label("Owner").select_option("Finance")
    assert ["facts.fact_users"] == reader.texts(shown)


def test_the_table_sorts_by_keyboard(browse: Callable[..., Watched], site: str) -> None:
    """Up, then down; a screen reader hears which."""
    reader = browse()
    page = reader.go(site)
    page.get_by_role("button", name="Dataset").focus()
    page.keyboard.press("Enter")
    up = reader.texts("#datasets tbody th")
    page.keyboard.press("Enter")
    down = reader.texts("#datasets tbody th")

    assert sorted(up, key=str.lower) == up
    assert list(reversed(up)) == down
    assert 1 == page.locator("th[aria-sort=descending]").count()


def test_times_are_the_readers(browse: Callable[..., Watched], site: str, desk: Desk) -> None:
    """Written in the reader's zone, UTC in the hint."""
    reader = browse(timezone_id="Asia/Kathmandu", locale="en-GB")
    page = reader.go(site)
    moment = page.locator("main time").first

    assert moment.get_attribute("title").endswith(" UTC")
    assert moment.inner_text() != moment.get_attribute("title")
    shown = page.evaluate(
        "t => new Intl.DateTimeFormat('en-GB', {dateStyle: 'medium', timeStyle: 'short',"
        " timeZone: 'Asia/Kathmandu'}).format(new Date(t))",
        moment.get_attribute("datetime"),
    )
    assert shown == moment.inner_text()


def test_without_script_everything_is_there(browse: Callable[..., Watched], site: str) -> None:
    """Times in UTC, the filter through the server."""
    reader = browse(java_script_enabled=False)
    page = reader.go(f"{site}/?q=fact_users")

    assert page.locator("time").first.inner_text().endswith(" UTC")
    shown = "#datasets tbody tr:not([hidden]) th"
    assert ["facts.fact_users"] == reader.texts(shown)
    page.get_by_label("Search").fill("rare")
    page.get_by_role("button", name="Show").click()
    assert "q=rare" in page.url
    assert ["facts.rare"] == [text.splitlines()[0] for text in reader.texts(shown)]


def test_the_way_back_knows_what_was_filtered_by(browse: Callable[..., Watched], site: str) -> None:
    """All filters together, there and back; and what a link left out can be brought back."""
    reader = browse()
    page = reader.go(f"{site}/?owner=Finance&days=30")
    shown = "#datasets tbody tr:not([hidden]) th"
    page.get_by_label("State").select_option("pass")
    page.get_by_label("Search").fill("fact")
    page.locator("#datasets a", has_text="fact_users").click()
    page.get_by_role("link", name="All datasets").click()

    assert "/?q=fact&state=pass&owner=Finance&days=30" == page.url.removeprefix(site)
    assert ["facts.fact_users"] == reader.texts(shown)
    page.get_by_label("Search").fill("nothing like it")
    assert page.get_by_text("No dataset fits.").is_visible()
    for label, nothing in (("Search", ""), ("State", ""), ("Owner", "")):
        field = page.get_by_label(label)
        field.fill(nothing) if label == "Search" else field.select_option(nothing)
    assert len(reader.texts(shown)) > 5
    assert not page.get_by_text("No dataset fits.").is_visible()
    assert "/?days=30" == page.url.removeprefix(site)


def test_every_link_of_the_page_leads_somewhere(browse: Callable[..., Watched], site: str) -> None:
    """Each link on the first page, and each anchor in it."""
    reader = browse()
    page = reader.go(site)
    links = page.eval_on_selector_all("a", "all => all.map(a => a.href)")

    assert len(links) > 8
    for link in sorted({link.partition("#")[0] for link in links}):
        assert page.request.get(link).status == 200, link
    anchors = {tuple(link.split("#")) for link in links if "#" in link}
    assert len(anchors) > 3
    for path, anchor in sorted(anchors):
        page.goto(path)
        assert page.locator(f"[id='{anchor}']").count() == 1, f"{path}#{anchor}"


# -------------------------------------------------------------------- how it looks


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(
    browse: Callable[..., Watched], site: str, file: str, width: int, scheme: str
) -> None:
    """A phone and a desk, by day and by night; the ground follows the reader's choice."""
    reader = browse(width, color_scheme=scheme)
    for url in (*(site + path for path in PATHS), file):
        page = reader.go(url)

        assert width >= page.evaluate("document.documentElement.scrollWidth"), url
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(255, 255, 255)") is (scheme == "light")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_strip_stands_with_what_it_says(
    browse: Callable[..., Watched], site: str, width: int
) -> None:
    """At the left edge of a page, on a ground line; its text beside it, or right under it."""
    page = browse(width).go(f"{site}/dataset/facts.fact_orders")
    head, strip, text = (
        page.locator(each).bounding_box() for each in ("h1", ".scans .strip", ".scans span")
    )
    ground = page.evaluate("getComputedStyle(document.querySelector('.strip')).borderBottomWidth")

    assert "1px" == ground
    assert head["x"] == strip["x"]
    assert strip["width"] == 150
    beside = (
        text["x"] >= strip["x"] + strip["width"]
        and abs(text["y"] + text["height"] / 2 - strip["y"] - strip["height"] / 2) < 4
    )
    under = text["x"] == strip["x"] and 0 <= text["y"] - strip["y"] - strip["height"] < 8
    assert beside if width > 1000 else under or beside


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1440, "dark")])
def test_axe_finds_nothing_serious(
    browse: Callable[..., Watched], site: str, file: str, width: int, scheme: str
) -> None:
    """Contrast, names, landmarks, tables, headings, by axe-core."""
    package = pytest.importorskip("axe_playwright_python")
    axe = (Path(package.__file__).parent / "axe.min.js").read_text()
    reader = browse(width, color_scheme=scheme, bypass_csp=True)
    found = []
    for url in (*(site + path for path in PATHS), f"{site}/dataset/nope", file):
        page = reader.go(url)
        # that a page is not there is said in the console, too
        reader.faults[:] = [fault for fault in reader.faults if "404" not in fault]
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        page.evaluate(axe)
        result = page.evaluate("axe.run()")
        found += [
            f"{url}: {each['id']} {each['nodes'][0]['html'][:120]}"
            for each in result["violations"]
            if each["impact"] in ("serious", "critical")
        ]

    assert [] == found


def test_the_keyboard_finds_the_content_first(browse: Callable[..., Watched], site: str) -> None:
    """The first stop skips the head; focus can be seen."""
    reader = browse()
    page = reader.go(site)
    page.keyboard.press("Tab")

    assert "#main" == page.evaluate("document.activeElement.getAttribute('href')")
    assert page.locator(".skip").bounding_box()["x"] >= 0
    page.keyboard.press("Tab")
    width = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert "3px" == width


def test_print_has_no_form_and_no_night(browse: Callable[..., Watched], file: str) -> None:
    """On paper: black on white, also for who reads by night."""
    reader = browse(color_scheme="dark")
    page = reader.go(file)
    page.emulate_media(media="print", color_scheme="dark")

    assert not page.locator("#find").is_visible()
    assert "rgb(255, 255, 255)" == page.evaluate("getComputedStyle(document.body).backgroundColor")


# -------------------------------------------------------------------- what must not happen


def test_markup_in_names_and_messages_does_nothing(
    browse: Callable[..., Watched], site: str, file: str, desk: Desk
) -> None:
    """No dialog, no error, no request elsewhere, no element that data made; the text is shown."""
    reader = browse()
    number = desk.rows("select max(incident_id) from monitoring.incidents")[0][0]
    paths = ("/", f"/dataset/{quote(nasty().dataset, safe='')}", "/dataset/facts.fact_orders",
             *(f"/incidents/{each}" for each in range(1, number + 1)))  # fmt: skip
    for url in (*(site + path for path in paths), file):
        page = reader.go(url)
        page.wait_for_timeout(100)

        assert 0 == page.locator("img").count(), url
        assert 1 == page.locator("script").count(), url
        assert 0 == page.locator("a[href^='javascript']").count(), url
    assert "<script>alert(1)</script>" in page.locator("main").inner_text()


def test_the_policy_stops_what_is_not_ours(browse: Callable[..., Watched], site: str) -> None:
    """Were a hole found one day, a script in the page still would not run."""
    reader = browse()
    page = reader.go(site)
    page.evaluate(
        "() => { const script = document.createElement('script');"
        " script.textContent = 'window.ran = 1'; document.body.append(script) }"
    )

    assert page.evaluate("window.ran === undefined")
    assert reader.faults
    assert all("Content Security Policy" in fault for fault in reader.faults)
    reader.faults.clear()


# -------------------------------------------------------------------- through the server


def test_the_server_sends_policy_and_names_as_they_are(
    browse: Callable[..., Watched], site: str
) -> None:
    """Its own pages allow nothing by default; a name of any letters arrives whole."""
    reader = browse()
    page = reader.go(site)
    found = page.request.get(f"{site}/dataset/{quote('facts.größe/x', safe='')}")

    assert 404 == found.status
    assert "größe/x" in found.text()
    assert found.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha")
    assert 404 == page.request.get(f"{site}/nothing").status


def test_a_database_that_is_away_is_said(browse: Callable[..., Watched], desk: Desk) -> None:
    """503 as a page and as JSON, without a word of where it is."""
    gone = replace(desk.target, port=desk.target.port + 1)
    with served(Desk(gone, desk.root)) as url:
        page = browse().page
        answers = [page.request.get(f"{url}{path}") for path in ("/", "/api/status")]

    assert [503, 503] == [each.status for each in answers]
    assert "Nobody can say now." in answers[0].text()
    assert not any(gone.host in each.text() for each in answers)


# -------------------------------------------------------------------- many datasets


@pytest.mark.slow
def test_a_thousand_datasets_stay_usable(
    browse: Callable[..., Watched], warehouse: Target, tmp_path: Path, use: Callable[[Target], None]
) -> None:
    """Search answers as one types, and the red ones stand at the top."""
    use(warehouse)
    desk = Desk(warehouse, tmp_path, clock=Clock(datetime.now(timezone.utc)))
    desk.scan(
        *(
            verdict_of(f"c{n}", Status.PASS if n % 50 else Status.FAIL, dataset=f"facts.t{n:04}")
            for n in range(1_000)
        )
    )
    with served(desk) as url:
        reader = browse()
        page = reader.go(url)
        page.get_by_label("Search").fill("t0999")

        assert 1 == page.locator("#datasets tbody tr:not([hidden])").count()
        page.get_by_label("Search").fill("")
        words = [text.split()[0] for text in reader.texts("#datasets tbody tr td:first-child")[:21]]
        assert ["fail"] * 20 + ["pass"] == words
