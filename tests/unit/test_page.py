"""What the page says and draws, from values alone."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from monitors.config_volumes import Volume
from monitors.health import Health
from monitors.show import page_charts as charts
from monitors.show.page import is_page
from monitors.show.page_claims import claimed
from monitors.show.page_counts import counting
from monitors.show.page_quarantine import reason_rows
from monitors.show.page_render import content_security_policy, is_web, templates
from monitors.show.page_state import answer_of, grouped, rows_of, word_of, worst_of
from monitors.store.history import BadPeriod, Mute
from monitors.store.pages import (
    WORDS,
    Bucket,
    CheckHistory,
    CheckNow,
    Rate,
    Reason,
    Strip,
    VolumeSeries,
)

NOW = datetime(2026, 3, 2, 6, 0, tzinfo=timezone.utc)
HEALTHY = Health("healthy", ("every check holds",))


def check(check_id: str, status: str = "pass", **values: Any) -> CheckNow:
    """A check of facts.fact_orders, unless told otherwise."""
    found: dict[str, Any] = dict.fromkeys(CheckNow.__slots__)
    found |= {
        "check_id": check_id, "segment": "", "check_name": f"{check_id} holds",
        "suite_name": "shop", "dataset": "facts.fact_orders", "layer": "gold",
        "category": "business", "status": status, "severity": "high", "message": "value=7 (max 0)",
        "executed_at": NOW, "run_id": "run",
    }  # fmt: skip
    return CheckNow(**{**found, **values})


def mute(check_id: str) -> Mute:
    return Mute(check_id, NOW + timedelta(days=1), "known", "ann", NOW)


# -------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (check("a", "fail"), "fail"),
        (check("muted", "fail"), "muted"),
        (check("muted", "pass"), "pass"),
        (check("a", "missing", blocked_by="dbt.parent"), "blocked"),
    ],
)
def test_a_check_is_shown_as_one_word(said: CheckNow, expected: str) -> None:
    """Muted only while it is red; blocked counts at its parent."""
    assert expected == word_of(said, {"muted": mute("muted")})


def test_nothing_is_not_pass() -> None:
    """A dataset without a verdict is missing."""
    assert worst_of([]) == "missing"


@pytest.mark.parametrize("word", [word for word in WORDS if word != "pass"])
def test_no_other_word_is_shown_as_pass(word: str) -> None:
    """A dataset is as good as its worst check."""
    assert word == worst_of(["pass", word, "pass"])


# -------------------------------------------------------------------- datasets


def test_a_check_of_a_quality_model_counts_at_what_it_speaks_of() -> None:
    """By the same checks file, and by the feed that its id begins with; not for others."""
    rate = check("clicks.rate", "fail", dataset="monitoring.rates", suite_name="web")
    groups = grouped(
        [
            rate,
            check("orders.sum", suite_name="web"),
            check("dbt.events", dataset="facts.fact_events", suite_name="dbt"),
            check("users.count", dataset="facts.fact_users", suite_name="crm"),
        ],
        {"facts.fact_events": ["clicks"]},
    )

    assert (rate,) == groups["facts.fact_orders"].related
    assert (rate,) == groups["facts.fact_events"].related
    assert () == groups["facts.fact_users"].related


def test_what_is_in_doubt_is_named_once() -> None:
    """The table that people read, not the quality model that says so."""
    checks = [
        check("clicks.rate", "fail", dataset="monitoring.rates", suite_name="web"),
        check("orders.sum", suite_name="web"),
    ]
    rows = rows_of(grouped(checks), {}, [], 0)
    answer = answer_of(
        Health("degraded", ("1 check red",)), rows, {"fail": checks[:1]}, has_scanned=True
    )

    assert ["facts.fact_orders", "monitoring.rates"] == [row.name for row in rows]
    assert ["facts.fact_orders"] == [row.name for row in answer.in_doubt]
    assert "Yes, except for one dataset." == answer.headline


def test_why_a_dataset_is_in_doubt_names_the_feed() -> None:
    """A check that is not its own is never shown as if it were."""
    checks = [
        check("clicks.rate", "fail", dataset="monitoring.rates", suite_name="web"),
        check("web.lag", "warn", dataset="monitoring.lags", suite_name="web"),
        check("orders.sum", suite_name="web"),
        check("raw.rows", dataset="clicks_raw.events", suite_name="dbt"),
    ]
    groups = grouped(checks, {"clicks_raw.events": ["clicks"]})
    notes = {row.name: row.note for row in rows_of(groups, {}, [], 0)}
    said = "does not hold: clicks.rate holds; value=7 (max 0)"
    of_feed = f"because of its feed clicks, where this {said}"

    assert of_feed == notes["facts.fact_orders"] == notes["clicks_raw.events"]
    assert said == notes["monitoring.rates"]
    assert "monitoring.lags" == groups["facts.fact_orders"].because_of(checks[1])


def test_of_two_reasons_its_own_comes_first() -> None:
    """Of one severity: what is said of the dataset itself, then what is said of its feed."""
    checks = [
        check("a.rate", "fail", dataset="monitoring.rates"),
        check("z.sum", "fail"),
        check("a.worse", "fail", dataset="monitoring.rates", severity="critical"),
    ]

    def lead(*found: CheckNow) -> str:
        rows = rows_of(grouped(found), {}, [], 0)
        return next(row.note for row in rows if row.name == "facts.fact_orders")

    assert lead(*checks[:2]).startswith("does not hold: z.sum holds")
    assert "a.worse" in lead(*checks)


@pytest.mark.parametrize("word", [word for word in WORDS if word != "muted"])
def test_a_claim_never_reads_as_if_it_held(word: str) -> None:
    """What is not pass is said before the claim; a muted check is said to be what it is."""
    status = "fail" if word == "blocked" else word
    blocked_by = "dbt.parent" if word == "blocked" else None
    said = claimed(check("a", status, blocked_by=blocked_by), word)

    assert (word == "pass") is (said.verdict == "")
    assert said.text.endswith("a holds; value=7 (max 0)")
    assert said.text.startswith(said.verdict)
    assert "does not hold" == claimed(check("a", "fail"), "muted").verdict


def test_a_strip_takes_what_was_said_elsewhere() -> None:
    """The worst of its own and of quality models of the same file; a gap where nobody looked."""
    checks = [
        check("clicks.rate", dataset="monitoring.rates", suite_name="web"),
        check("orders.sum", suite_name="web"),
    ]
    fail, ok = WORDS.index("fail"), WORDS.index("pass")
    strips = [
        Strip("monitoring.rates", "web", {1: ok, 3: fail}),
        Strip("monitoring.rates", "crm", {2: fail}),
        Strip("facts.fact_orders", "web", {1: ok, 3: ok}),
    ]
    (row,) = (r for r in rows_of(grouped(checks), {}, strips, 3) if r.name == "facts.fact_orders")

    assert (fail, None, ok) == row.ranks


# -------------------------------------------------------------------- the answer


@pytest.mark.parametrize(
    ("health", "statuses", "when", "state", "headline"),
    [
        (HEALTHY, ["pass"], "now", "healthy", "Yes. Every check holds."),
        (HEALTHY, ["pass", "blind"], "now", "healthy", "Yes. Nothing is red."),
        (HEALTHY, [], "never", "unknown", "Nobody can say yet."),
        (HEALTHY, ["fail"], "now", "degraded", "Yes, except for one dataset."),
        (Health("down", ("all",)), ["fail"], "now", "down", "No. Do not use them yet."),
        (Health("down", ("late",)), ["pass"], "late", "down", "No. Nobody has looked lately."),
        (Health("degraded", ("x",)), ["pass"], "now", "degraded", "Yes, with care."),
    ],
)
def test_the_answer_comes_first(
    health: Health, statuses: list[str], when: str, state: str, headline: str
) -> None:
    """From the health of the whole; a red row is never under a plain yes."""
    checks = [check(f"c{number}", status) for number, status in enumerate(statuses)]
    rows = rows_of(grouped(checks), {}, [], 0)
    by_word = {status: [each for each in checks if each.status == status] for status in statuses}
    answer = answer_of(health, rows, by_word, has_scanned=when != "never", is_late=when == "late")

    assert (state, headline) == (answer.state, answer.headline)


def test_blind_and_muted_are_said_beside_a_yes() -> None:
    """Neither is counted as pass in silence; each by its name."""
    blind, muted = [check("b1", "blind"), check("b2", "blind")], [check("m", "fail")]
    answer = answer_of(HEALTHY, [], {"blind": blind, "muted": muted}, has_scanned=True)

    assert [
        "2 checks are blind (with this little history they could not have failed): b1, b2.",
        "1 check is red but muted (until when and why stands below): m.",
    ] == [line.text for line in answer.lines]


def test_three_are_named_and_the_rest_is_counted() -> None:
    """The most severe first; a check of many segments is one check, at its first segment."""
    checks = [check(f"c{n}", "blind", severity="critical" if n == 5 else "low") for n in range(6)]
    checks += [check("c0", "blind", severity="low", segment=f"s{n}") for n in range(9)]
    (line,) = answer_of(HEALTHY, [], {"blind": checks}, has_scanned=True).lines

    assert line.text.startswith("15 checks are blind")
    assert line.text.endswith(": c5, c0, c1 and 3 more.")
    assert "" == line.named[1].segment


# -------------------------------------------------------------------- charts


def test_a_strip_tells_words_apart_by_shape() -> None:
    """No two words draw the same path at the same place."""
    drawn = {word: charts.strip([WORDS.index(word)]).paths[0][1] for word in WORDS}
    heights = {"pass": 5, "warn": 10, "fail": 16, "error": 7}
    shapes = {(path, heights.get(word)) for word, path in drawn.items()}

    assert len(WORDS) == len(shapes)


def test_a_strip_says_what_it_shows() -> None:
    """For whoever hears it: counts, worst first, and what was not looked at."""
    ranks = [WORDS.index("pass"), None, WORDS.index("fail")]

    assert "last 3 scans: 1 fail, 1 pass, 1 not looked at" == charts.strip(ranks).text


def history(values: list[float | None], **changes: Any) -> CheckHistory:
    moments = [NOW - timedelta(days=len(values) - place) for place in range(len(values))]
    same = len(values)
    found = CheckHistory(
        "c", "", moments, values, [None] * same, [0.05] * same, [WORDS.index("pass")] * same
    )
    return replace(found, **changes)


def test_a_sparkline_marks_each_red_value() -> None:
    """One cross per red verdict."""
    ranks = [WORDS.index(word) for word in ("pass", "fail", "pass", "error")]
    drawn = charts.spark(
        history([0.01, 0.09, 0.02, 0.08], ranks=ranks), NOW - timedelta(days=90), NOW
    )

    assert drawn is not None
    assert 2 == drawn.red.count("M")
    assert "red 2 times" in drawn.text


@pytest.mark.parametrize("values", [[], [1.0], [None, None], [None, 3.0]])
def test_too_little_is_not_drawn(values: list[float | None]) -> None:
    """A line needs two values."""
    assert charts.spark(history(values), NOW - timedelta(days=90), NOW) is None


@pytest.mark.parametrize("values", [[0.0, 0.0], [5.0, 5.0, 5.0], [-1e300, 1e300], [1e-300, 0.0]])
def test_flat_and_wild_lines_are_drawn(values: list[float]) -> None:
    """Neither a division by zero, nor a number that no browser reads."""
    drawn = charts.spark(history(list(values)), NOW - timedelta(days=90), NOW)

    assert drawn is not None
    assert "nan" not in drawn.line + drawn.band
    assert "inf" not in drawn.line + drawn.band


def test_a_line_is_relative_and_loses_no_place() -> None:
    """Rounding does not add up: the last point is where it belongs."""
    points = [(step / 3, (step * 7 % 5) / 3) for step in range(300)]
    path = charts._line(points)

    x = y = 0.0
    text = path[1:].replace("l", " ").replace("-", " -")
    numbers = [float(word) for word in text.split()]
    for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
        x, y = x + dx, y + dy
    assert (pytest.approx(points[-1][0], abs=0.06), pytest.approx(points[-1][1], abs=0.06)) == (
        x,
        y,
    )


def bucket(day: int, rows: float, state: str | None = "usual") -> Bucket:
    known = state in ("usual", "anomalous")
    return Bucket(
        "", NOW - timedelta(days=20 - day), rows, 100 if known else None, 80 if known else None,
        120 if known else None, state, "far fewer rows",
    )  # fmt: skip


def test_a_volume_chart_shows_band_alarms_and_periods() -> None:
    """Each alarm with its cause, each blind bucket, the part of a period that is in sight."""
    buckets = [
        bucket(0, 90, None),
        bucket(1, 95, "blind"),
        bucket(2, 20, "anomalous"),
        bucket(3, 99),
    ]
    period = BadPeriod(1, None, None, NOW - timedelta(days=99), NOW - timedelta(days=19, hours=12),
                       "moved house", "ann", NOW)  # fmt: skip
    drawn = charts.volume(buckets, "day", [period], "rows taken, per day")

    assert drawn is not None
    assert ["far fewer rows" in mark.text for mark in drawn.alarms] == [True]
    assert drawn.text.startswith("rows taken, per day, 4 days: 99 in the latest")
    assert 1 == drawn.blind.count("M")
    assert drawn.band
    ((x, width, text),) = drawn.shades
    assert (charts.LEFT, "known-bad: moved house") == (x, text)
    assert 0 < width < charts.CHART[0]


@pytest.mark.parametrize(
    ("layer", "is_raw", "feed", "label", "sentence"),
    [
        ("gold", False, "clicks", "rows taken", "rows taken into `facts.x`, per day of `at`;"
         " those that a rule rejects are not among them."),
        ("gold", False, None, "rows taken", "rows taken into `facts.x`, per day of `at`."),
        ("bronze", True, "clicks", "rows that arrived", "rows that arrived in `facts.x`, per day"
         " of `at`; those that a rule rejects are among them."),
        ("silver", False, "clicks", "rows", "rows of `facts.x`, per day of `at`."),
    ],
)  # fmt: skip
def test_a_volume_says_what_it_counts(
    layer: str, is_raw: bool, feed: str | None, label: str, sentence: str
) -> None:
    """A mart has what was taken, a raw table what arrived; by the column of rampart.yml."""
    said = counting(
        VolumeSeries("facts.x", "day", "UTC", feed), Volume(time="at"), layer, is_raw=is_raw
    )

    assert (f"{label}, per day", f"Counted are {sentence}") == (said.label, said.sentence)


def test_a_volume_of_a_segment_says_which_rows() -> None:
    """Not those of the whole table; and without rampart.yml no column is made up."""
    series = VolumeSeries("facts.x", "hour", "UTC", None)
    volume = Volume(time="at", every="hour", segment="country")
    one, other = (
        counting(series, each, "gold", is_raw=False, segment="DE").sentence
        for each in (volume, None)
    )

    assert "Counted are rows taken into `facts.x` where `country` is DE, per hour of `at`." == one
    assert "Counted are rows taken into `facts.x`, per hour." == other


def test_a_rate_over_its_bound_stands_out() -> None:
    """By shape and text, not by colour alone."""
    rates = [Rate("r", NOW - timedelta(days=2 - n), 100, n, n / 100) for n in (1, 9)]
    drawn = charts.quarantine(rates, 0.05)

    assert drawn is not None
    assert (1, 1) == (drawn.bars.count("M"), drawn.red_bars.count("M"))
    assert ["9.00%, 9 of 100 rows, 2026-03-09 06:00 UTC"] == [m.text for m in drawn.alarms]


def reason(rules: str, per_day: dict[date, int]) -> Reason:
    return Reason(rules, sum(per_day.values()), 0, NOW, per_day)


def test_days_of_reasons_are_on_one_scale() -> None:
    """A bar per day, each as high as its rows; one row among many can still be seen."""
    today = NOW.date()
    many = reason("many", {today: 1_000, today - timedelta(days=4): 500})
    few = reason("few", {today - timedelta(days=1): 1})
    drawn = [row.bars for row in reason_rows([many, few], today)]
    heights = [[float(each) for each in re.findall(r"v-([\d.]+)", bars.bars)] for bars in drawn]

    assert [[12.5, 25.0], [1.5]] == heights
    assert "from 2026-02-26 to 2026-03-02, on 2 days; most on 2026-03-02: 1,000" in drawn[0].text


def test_a_year_of_reasons_stays_small() -> None:
    """Of a long window the latest 90 days are drawn: a report has many of them."""
    today = NOW.date()
    (row,) = reason_rows(
        [reason("r", {today - timedelta(days=n): n + 1 for n in range(400)})], today
    )

    assert 90 == row.bars.bars.count("M")
    assert len(row.bars.bars) < 1_500


# -------------------------------------------------------------------- paths, links, policy


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", True), ("/dataset/a/b", True), ("/api/status", True), ("/api/dataset/x", True),
        ("/metrics", False), ("/x", False), ("/api/status/x", False), ("", False),
    ],
)  # fmt: skip
def test_paths_of_the_page(path: str, expected: bool) -> None:
    """The page knows its own and leaves the others to the server."""
    assert expected is is_page(path)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "java\nscript:x()", "http://[", "x", None])
def test_only_web_addresses_become_links(url: str | None) -> None:
    """A runbook is text that somebody wrote."""
    assert not is_web(url)


def test_no_policy_allows_another_host_or_inline_code() -> None:
    """Our style sheet and script by hash; nothing unsafe."""
    for as_header in (True, False):
        policy = content_security_policy(as_header=as_header)

        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy


def test_templates_escape() -> None:
    """Nobody switched it off, and nobody marks data as safe."""
    environment = templates()
    assert environment.loader is not None
    names = environment.list_templates(extensions=["html"])
    sources = [environment.loader.get_source(environment, name)[0] for name in names]

    assert environment.autoescape is True
    assert not [name for name, text in zip(names, sources, strict=True) if "|safe" in text]
