"""The status page and the report, over a real store."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from html import escape
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from monitors.commands.report import make_report
from monitors.errors import UsageError
from monitors.results import Layer, Severity, Status
from monitors.show import report
from monitors.show.page import facts_of
from monitors.store import pages
from monitors.store.history import History
from monitors.store.migrate import migrate
from monitors.store.roles import grant_roles
from monitors.warehouse.connection import connect
from monitors.warehouse.target import Target
from tests.alerting import Desk, verdict_of
from tests.page_rows import (
    NASTY,
    answer,
    api,
    nasty,
    orders,
    page,
    put_feed,
    put_ledger,
    put_volume,
)

DATASET = "facts.fact_orders"


@pytest.fixture
def desk(warehouse: Target, tmp_path: Path, use: Callable[[Target], None]) -> Desk:
    """A project without channels."""
    use(warehouse)
    return Desk(warehouse, tmp_path)


def write(desk: Desk, path: Path | None = None) -> tuple[report.Written, str]:
    written = make_report(desk.config, desk.target, desk.clock(), path)
    return written, written.path.read_text()


# -------------------------------------------------------------------- the answer


def test_an_empty_warehouse_says_how_to_begin(desk: Desk) -> None:
    """No schema at all: the page reads well, and makes none."""
    said = page(desk, "/")

    assert "Nobody can say yet." in said
    assert "<code>rampart run</code>" in said
    assert [] == desk.rows("select 1 from pg_namespace where nspname = 'monitoring'")
    assert [] == api(desk, "/api/datasets")
    assert "Nobody can say yet." in write(desk)[1]


def test_a_store_without_a_scan_is_no_yes(desk: Desk) -> None:
    """The schema is there, and nothing in it."""
    with connect(desk.target) as connection:
        migrate(connection)
        connection.commit()

    assert "unknown" == api(desk, "/api/status")["state"]
    assert "No check has spoken of a dataset yet." in page(desk, "/")


def test_everything_green_is_a_yes(desk: Desk) -> None:
    """On the first day, too: one scan in the strip."""
    desk.scan(orders())
    said = page(desk, "/")

    assert "Yes. Every check holds." in said
    assert 'aria-label="last 1 scans: 1 pass"' in said


def test_a_red_high_check_in_gold_is_a_no(desk: Desk) -> None:
    """With the dataset, since when, why, and the incident."""
    desk.scan(orders())
    desk.clock.move(hours=1)
    desk.scan(orders(Status.FAIL, layer=Layer.GOLD, message="share=0.2 (max 0.05)"))
    status = api(desk, "/api/status")
    said = page(desk, "/")

    assert ("down", [DATASET], 1) == (status["state"], status["in_doubt"], status["open_incidents"])
    assert "No. Do not use them yet." in said
    assert "share=0.2 (max 0.05)" in said
    assert '<a href="/incidents/1">' in said


def test_a_red_claim_is_said_not_to_hold(desk: Desk) -> None:
    """On every screen where a red check is named: a claim alone would read as its opposite."""
    name = "every document is there once"
    desk.scan(orders(Status.FAIL, check_name=name), orders_b := verdict_of("b", Status.PASS))
    texts = [page(desk, path) for path in ("/", f"/dataset/{DATASET}", "/incidents/1")]
    texts.append(write(desk)[1])

    for text in texts:
        assert text.count(name) == text.count(f'<b class="fail">does not hold:</b> {name}') > 0
    assert f">{orders_b.check_name}" in texts[1]
    assert f"does not hold: {name}; value=7" in api(desk, "/api/datasets")[0]["note"]


def test_a_red_feed_is_said_to_be_the_reason(desk: Desk) -> None:
    """The rule stands: what is made from it is in doubt, but not by a check of its own."""
    desk.scan(
        orders(),
        verdict_of("clicks.quarantine_rate", dataset="monitoring.quarantine_rates"),
        verdict_of("clicks.rows", Status.PASS, dataset="clicks_raw.events", suite_name="dbt"),
    )
    put_feed(desk)
    said = page(desk, "/")
    why = (
        'because of its feed clicks, where this <b class="fail">does not hold:</b>'
        " clicks.quarantine_rate holds; value=7 (max 0)"
    )

    assert ["clicks_raw.events", "facts.fact_orders"] == api(desk, "/api/status")["in_doubt"]
    assert 4 == said.count(why)  # at the top and in the table
    assert why in page(desk, f"/dataset/{DATASET}")
    assert "of its feed clicks" not in page(desk, "/dataset/monitoring.quarantine_rates")


def test_a_medium_check_leaves_the_rest_to_be_trusted(desk: Desk) -> None:
    """Only what is in doubt is in doubt."""
    desk.scan(
        orders(Status.FAIL, severity=Severity.MEDIUM), verdict_of("b", Status.PASS, dataset="x.y")
    )
    status = api(desk, "/api/status")

    assert ("degraded", "Yes, except for one dataset.") == (status["state"], status["headline"])
    assert [("facts.fact_orders", "fail"), ("x.y", "pass")] == [
        (each["name"], each["status"]) for each in api(desk, "/api/datasets")
    ]


def test_everything_red_is_a_no(desk: Desk) -> None:
    """Every layer."""
    desk.scan(*(verdict_of(f"c{n}", dataset=f"facts.t{n}") for n in range(20)))
    said = page(desk, "/")

    assert "No. Do not use them yet." in said
    assert "and 12 more, at the head of the" in said


def test_a_blind_check_is_no_pass(desk: Desk) -> None:
    """It is said beside the answer, and the dataset is shown as blind."""
    desk.scan(orders(Status.BLIND, detectable_change=0.8), orders_b := verdict_of("b", Status.PASS))
    said = page(desk, f"/dataset/{DATASET}")

    top = page(desk, "/")
    _, text = write(desk)
    anchor = re.findall(r'could not have failed\): <a href="(/dataset/[^#]*)#(c\w+)">', top)

    assert orders_b.dataset == DATASET
    assert "Yes. Nothing is red." in top
    assert [(f"/dataset/{DATASET}", anchor[0][1])] == anchor
    assert f'<tr id="{anchor[0][1]}"><td><span class="st blind">' in said
    assert 1 == text.count(f'href="#{anchor[0][1]}"') == text.count(f'id="{anchor[0][1]}"')
    assert "blind" == api(desk, "/api/datasets")[0]["status"]
    assert "smallest change it would have caught: 80%" in said


def test_a_muted_check_says_until_when_and_why(desk: Desk) -> None:
    """It is shown, but it is not red; the strip remembers that it was muted then."""
    desk.scan(orders())
    with connect(desk.target) as connection:
        until = desk.clock() + timedelta(days=3)
        History(connection, "dev").mute("shop.orders", until, "the shop moves", "ann")
        connection.execute("update monitoring.mutes set muted_at = %s", (desk.clock(),))
        connection.commit()
    desk.clock.move(hours=1)
    desk.scan(orders(Status.FAIL, muted="until Thursday"))
    said = page(desk, "/")
    (row,) = api(desk, "/api/datasets")

    assert "the shop moves" in said
    assert "2026-03-05 06:00 UTC" in said
    assert ("muted", ["pass", "muted"]) == (row["status"], row["scans"])
    assert [] == api(desk, "/api/status")["in_doubt"]


def test_a_check_that_is_muted_now_is_no_reason(desk: Desk) -> None:
    """It was red in the last scan; nobody waits for the next one to believe the mute."""
    desk.scan(orders(Status.FAIL, layer=Layer.GOLD))
    before = api(desk, "/api/status")["state"]
    with connect(desk.target) as connection:
        until = desk.clock() + timedelta(days=3)
        History(connection, "dev").mute("shop.orders", until, "the shop moves", "ann")
        connection.commit()
    status = api(desk, "/api/status")

    assert ("down", "healthy") == (before, status["state"])
    assert "Yes. Nothing is red." == status["headline"]


def test_a_scan_that_is_too_old_is_no_yes(desk: Desk) -> None:
    """Silence is a failure."""
    desk.settings["scan"] = {"within": "26 hours"}
    desk.scan(orders())
    # runs keep the clock of the database
    desk.clock.move(days=4_000)

    assert "No. Nobody has looked lately." in page(desk, "/")


def test_a_check_that_left_the_files_leaves_the_page(desk: Desk) -> None:
    """After a week; what is still red stays until it recovers."""
    desk.scan(verdict_of("gone", Status.PASS), verdict_of("red.still"))
    desk.clock.move(days=8)
    desk.scan(orders())

    ids = [each["check_id"] for each in api(desk, f"/api/dataset/{DATASET}")["checks_of_it"]]
    assert ["red.still", "shop.orders"] == ids


# -------------------------------------------------------------------- filters, pages, JSON


def test_filters_work_without_script(desk: Desk) -> None:
    """The form's query is answered by the server."""
    desk.scan(
        verdict_of("a", dataset="facts.a", layer=Layer.GOLD, attributes={"owner": "Ann"}),
        verdict_of("b", Status.PASS, dataset="facts.b", attributes={"owner": "Bob"}),
    )

    def names(**query: str) -> list[str]:
        return [each["name"] for each in api(desk, "/api/datasets", **query)]

    assert ["facts.a", "facts.b"] == names()
    assert ["facts.a"] == names(state="red") == names(owner="Ann") == names(layer="gold")
    assert ["facts.b"] == names(q="FACTS.B") == names(state="pass")
    assert [] == names(state="red", owner="Bob")
    said = page(desk, "/", q="nothing like it", days="30")
    assert '<p id="none" class="none-yet">No dataset fits. <a href="/?days=30">Show all</a>' in said
    assert 2 == said.count("<tr hidden data-s=")


def test_every_way_keeps_what_was_filtered_by(desk: Desk) -> None:
    """There and back: search, state, owner, layer and window stay together, also in a 404."""
    desk.scan(orders(Status.FAIL, layer=Layer.GOLD, attributes={"owner": "A & B"}))
    query = {"q": "fact <b>", "state": "red", "owner": "A & B", "layer": "gold", "days": "30"}
    kept = escape(f"?{urlencode(query)}")
    for path in ("/", f"/dataset/{DATASET}", "/incidents/1", "/dataset/nope"):
        said = answer(desk, path, **query, other="x").body.decode()
        ways = re.findall(r'href="(/[^"#]*)', said)

        assert [way for way in ways if not way.startswith("/api/")]
        assert [] == [
            way
            for way in ways
            if not (way.endswith(kept) or way.startswith("/api/") or way == "/?days=30")
        ]


def test_a_datasets_page_has_its_history(desk: Desk) -> None:
    """Values, bounds and statuses, the oldest first; a check keeps one line over many scans."""
    for value in (0.01, 0.09, 0.02):
        desk.scan(orders(Status.FAIL if value > 0.05 else Status.PASS, metric_value=value))
        desk.clock.move(days=1)
    found = api(desk, f"/api/dataset/{DATASET}")
    (check,) = found["checks_of_it"]

    assert [0.01, 0.09, 0.02] == [each["value"] for each in check["history"]]
    assert ["pass", "fail", "pass"] == [each["status"] for each in check["history"]]
    assert ["pass", "fail", "pass"] == found["scans"]
    assert 'class="spark"' in page(desk, f"/dataset/{DATASET}")


@pytest.mark.parametrize(
    ("build", "loaded", "expected"),
    [
        ("succeeded", 100, 7),
        ("failed", 100, None),
        (None, 100, None),
        ("succeeded", 0, None),
    ],
)
def test_a_run_says_what_of_its_loads_was_rejected(
    desk: Desk, build: str | None, loaded: int, expected: int | None
) -> None:
    """Where it loaded, built and scanned: else the numbers are of other loads, or of none."""
    desk.clock.moment = datetime.now(timezone.utc)
    rate = verdict_of("clicks.quarantine_rate", dataset="monitoring.quarantine_rates")
    desk.scan(rate.with_counts(7.0, 100.0), verdict_of("crm.quarantine_rate").with_counts(3.0, 9.0))
    ((run_id,),) = desk.rows("select run_id from monitoring.runs")
    with connect(desk.target) as connection:
        for pipeline, stage, status, written in (
            ("clicks", "load", "succeeded", loaded),
            ("dbt", "build", build, None),
        ):
            if status is not None:
                connection.execute(
                    "insert into monitoring.pipeline_logs (run_id, pipeline_name, stage,"
                    " layer, status, rows_written) values (%s, %s, %s, 'bronze', %s, %s)",
                    (run_id, pipeline, stage, status, written),
                )
        connection.commit()
    (run,) = api(desk, "/api/runs")
    said = page(desk, "/")

    assert expected == run["rows_rejected"]
    assert (expected is not None) is (">rejected</th>" in said)
    assert (expected is not None) is ('<td class="num wide">7</td>' in said)


def test_the_window_can_be_chosen(desk: Desk) -> None:
    """`days=` cuts the history."""
    for _ in range(3):
        desk.scan(orders())
        desk.clock.move(days=10)
    (check,) = api(desk, f"/api/dataset/{DATASET}", days="15")["checks_of_it"]

    assert 1 == len(check["history"])


def test_a_volume_has_a_chart_and_a_table(desk: Desk) -> None:
    """Alarms with their cause; buckets that nobody judged are drawn, too."""
    desk.settings["volumes"] = {DATASET: {"time": "ordered_at"}}
    desk.scan(orders(layer=Layer.GOLD))
    put_volume(desk, DATASET, [100.0] * 20 + [10.0], judged=5)
    said = page(desk, f"/dataset/{DATASET}")
    (volume,) = api(desk, f"/api/dataset/{DATASET}")["volumes"]

    counted = f"rows taken into <code>{DATASET}</code>, per day of <code>ordered_at</code>."
    assert counted in said
    assert counted in write(desk)[1]
    assert "</svg>rows taken, per day</li>" in said
    assert 'class="band"' in said
    assert 1 == said.count('<path class="alarm" d="M7')  # the other one is in the legend
    assert ["anomalous", *["usual"] * 4, *[None] * 9] == [
        each["state"] for each in volume["latest"]
    ]


def test_an_incident_says_what_to_do(desk: Desk) -> None:
    """The same text as its alert."""
    desk.scan(
        orders(Status.FAIL, attributes={"matters": "Revenue is too low.", "do": "ask the shop"})
    )
    said = page(desk, "/incidents/1")
    found = api(desk, "/api/incidents/1")

    assert "Revenue is too low." in said
    assert "ask the shop" in said
    assert ["opened"] == [each["event"] for each in found["events"]]
    assert [1] == [each["incident_id"] for each in api(desk, "/api/incidents")]


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({"owner": "Finance"}, ("Finance", False)),
        ({}, ("Web", True)),
    ],
)
def test_dataset_and_incident_have_one_owner(
    desk: Desk, meta: dict[str, str], expected: tuple[str, bool]
) -> None:
    """Of a check that names nobody: the dataset's own, else that of a reader, marked as one."""
    model = {"resource_type": "model", "schema": "facts", "name": "fact_orders", "meta": meta}
    board = {"resource_type": "exposure", "name": "board", "owner": {"name": "Web"},
             "depends_on": {"nodes": ["model.shop.fact_orders"]}}  # fmt: skip
    manifest = {
        "nodes": {"model.shop.fact_orders": model},
        "exposures": {"exposure.shop.board": board},
    }
    (desk.root / "target").mkdir()
    (desk.root / "target" / "manifest.json").write_text(json.dumps(manifest))
    desk.scan(orders(Status.FAIL), verdict_of("b", dataset="facts.nobodys"))
    (incident,) = (each for each in api(desk, "/api/incidents") if each["dataset"] == DATASET)
    number = incident["incident_id"]
    found = [*api(desk, "/api/datasets", q="orders"), api(desk, f"/api/incidents/{number}")]
    mark = ' <span class="note">(of the report that reads it)</span>'
    said = expected[0] + (mark if expected[1] else "")

    assert [expected] * 2 == [(each["owner"], each["owner_is_reader"]) for each in found]
    assert 2 == page(desk, "/").count(
        f'<td class="wide">{said}</td>'
    )  # the incident and the dataset
    for path in (f"/dataset/{DATASET}", f"/incidents/{number}"):
        assert f" · {said}" in page(desk, path)
    assert ">nobody named<" in page(desk, "/")
    assert "· no owner named" in page(desk, "/dataset/facts.nobodys")


@pytest.mark.parametrize("path", ["/dataset/nope", "/incidents/99", "/incidents/x", "/dataset/"])
def test_what_is_not_there_is_said(desk: Desk, path: str) -> None:
    """404, as a page and as JSON."""
    desk.scan(orders())

    assert 404 == answer(desk, path).status
    assert 404 == answer(desk, path.replace("/", "/api/", 1)).status


def test_a_name_with_slashes_and_blanks_has_a_page(desk: Desk) -> None:
    """Whatever somebody calls a dataset."""
    name = "odd.a/b c%20ä?#"
    desk.scan(verdict_of("a", dataset=name))

    assert f'href="/dataset/{quote(name, safe="")}"' in page(desk, "/")
    assert 200 == answer(desk, f"/dataset/{name}").status


# -------------------------------------------------------------------- markup stays text


def test_markup_stays_text_everywhere(desk: Desk) -> None:
    """Names, messages, owners, segments, causes; and no address but the web's becomes a link."""
    desk.scan(nasty())
    put_volume(desk, nasty().dataset, [100.0] * 5, judged=3)
    texts = [page(desk, path) for path in ("/", f"/dataset/{nasty().dataset}", "/incidents/1")]
    texts.append(write(desk)[1])

    for text in texts:
        assert escape(NASTY[:20]) in text
        assert "<script>alert" not in text
        assert "<img" not in text
        assert 'href="javascript' not in text
        assert 2 == text.count("<script>") + text.count("</script>")


# -------------------------------------------------------------------- the report


def test_the_report_is_one_file_with_everything(desk: Desk) -> None:
    """Details of each dataset and incident under anchors that are there; nothing from elsewhere."""
    desk.scan(orders(Status.FAIL), verdict_of("b", Status.PASS, dataset="x.y"))
    written, text = write(desk)

    assert desk.root / "target" / "rampart_report.html" == written.path
    assert (2, 2) == (written.datasets, written.detailed)
    assert len(text.encode()) == written.size
    for anchor in ("d0", "d1", "i1"):
        assert f'id="{anchor}"' in text
        assert f'href="#{anchor}"' in text
    assert "src=" not in text
    assert 'href="/' not in text


def test_details_of_green_datasets_give_way(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the budget only what is not green has details, and the page says so."""
    monkeypatch.setattr(report, "BUDGET", 90_000)
    green = [verdict_of(f"g{n}", Status.PASS, dataset=f"x.t{n:02}") for n in range(30)]
    desk.scan(orders(Status.FAIL), *green)
    written, text = write(desk)

    assert (31, 1) == (written.datasets, written.detailed)
    assert "only those that are not green have details here" in text
    assert 'href="#d0"' in text
    assert 'href="#d1"' not in text
    assert 'id="d1"' not in text


def test_the_worst_come_first_when_much_is_not_green(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that nobody can open helps nobody."""
    monkeypatch.setattr(report, "MOST", 10_000)
    desk.scan(*(verdict_of(f"r{n}", dataset=f"x.t{n:02}") for n in range(30)))
    written, text = write(desk)

    assert 1 < written.detailed < 30
    assert f"{30 - written.detailed} more are not green" in text


def test_a_report_that_fails_leaves_the_old_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written whole or not at all, and nothing half done lies around."""
    desk.scan(orders())
    written, before = write(desk)

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report, "_whole", broken)
    with pytest.raises(UsageError, match=r"cannot be written \(No space left"):
        write(desk)

    assert before == written.path.read_text()
    assert [written.path] == list(written.path.parent.iterdir())


def test_a_folder_in_the_way_is_one_line(desk: Desk) -> None:
    """Not a traceback."""
    desk.scan(orders())
    (desk.root / "out.html").mkdir()

    with pytest.raises(UsageError, match=r"out\.html: the report cannot be written"):
        write(desk, Path("out.html"))


def test_a_run_writes_the_report_at_its_end(desk: Desk) -> None:
    """After the run has ended, so that it is in it; `off` writes none; a failure is no verdict."""
    from monitors.monitor import DataMonitor
    from monitors.verdict import Verdict

    desk.scan(orders())
    verdict = Verdict("run")
    monitor = DataMonitor(desk.config, now=desk.clock)
    path = desk.root / "target" / "rampart_report.html"

    assert str(path) == monitor._reported(verdict).report
    assert path.is_file()
    for setting, expected in ((False, ""), ("off", ""), (".", "not written: ")):
        desk.settings["run"] = {"report": setting}
        found = DataMonitor(desk.config, now=desk.clock)._reported(verdict)

        assert found.report.startswith(expected)
        assert bool(expected) is bool(found.report)
        assert verdict.exit_code == found.exit_code


# -------------------------------------------------------------------- least privilege


def test_the_reader_may_read_every_page(desk: Desk) -> None:
    """rampart_reader selects; nothing else is needed, and nothing else happens."""
    desk.scan(orders(Status.FAIL))
    with connect(desk.target) as connection:
        grant_roles(connection, {})
    reader = replace(desk.target, user="rampart_reader")
    before = _counts(desk)

    for path in (
        "/",
        f"/dataset/{DATASET}",
        "/incidents/1",
        "/api/status",
        "/api/runs",
        "/api/muted",
    ):
        assert 200 == answer(desk, path, reader).status
    assert make_report(desk.config, reader, desk.clock()).detailed == 1
    assert before == _counts(desk)


def test_a_ledger_that_nobody_granted_takes_only_its_part_away(desk: Desk) -> None:
    """The rest of the page stands."""
    desk.scan(verdict_of("clicks.rows", dataset="clicks_raw.events"))
    put_feed(desk)
    with connect(desk.target) as connection:
        grant_roles(connection, {})
        connection.execute("create view quarantine.ledger as select 1 as nothing")
        connection.commit()
    reader = replace(desk.target, user="rampart_reader")

    for target in (desk.target, reader):
        assert 200 == answer(desk, "/dataset/clicks_raw.events", target).status


def test_reasons_are_split_by_day(desk: Desk) -> None:
    """With the rows of each day, drawn and as a table; nothing from before the window."""
    desk.scan(verdict_of("clicks.rows", dataset="clicks_raw.events"))
    put_feed(desk)
    put_ledger(
        desk,
        ("no_client", "open", 1), ("no_client", "open", 1), ("no_client", "discarded", 3),
        ("no_amount", "open", 3), ("old", "open", 120),
    )  # fmt: skip
    said = page(desk, "/dataset/clicks_raw.events")
    (found,) = api(desk, "/api/dataset/clicks_raw.events")["quarantine"]

    assert [
        ("no_client", 3, 2, {"2026-02-27": 1, "2026-03-01": 2}),
        ("no_amount", 1, 1, {"2026-02-27": 1}),
    ] == [(r["rules"], r["rows"], r["rows_open"], r["per_day"]) for r in found["reasons"]]
    assert "rows per day from 2026-02-27 to 2026-03-02, on 2 days; most on 2026-03-01: 2" in said
    assert "2026-02-27</th><td>1</td><td>1</td></tr>" in said
    assert "2 days with rejected rows, as a table" in said
    assert "most on 2026-03-01: 2" in write(desk)[1]


def test_a_slow_ledger_is_said_to_be_unread(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not shown as if nothing were rejected; the rest of page and report stands."""
    desk.scan(verdict_of("clicks.rows", dataset="clicks_raw.events"))
    put_feed(desk)
    with connect(desk.target) as connection:
        connection.execute(
            "create view quarantine.ledger as select 'clicks' as feed, 'r' as rules,"
            " 'open' as decision, now() as loaded_at from pg_sleep(20)"
        )
        connection.commit()
    monkeypatch.setattr(pages, "PATIENCE", 300)
    with connect(desk.target, autocommit=True) as connection:
        view = facts_of(connection, "dev", desk.clock()).dataset("clicks_raw.events")
    _, text = write(desk)

    assert "could not be read in time" in text
    assert "clicks.rows" in text
    assert view is not None
    assert [True] == [each.is_unread for each in view.quarantine]


def _counts(desk: Desk) -> list[tuple[object, ...]]:
    return desk.rows(
        "select (select count(*) from monitoring.runs),"
        " (select count(*) from monitoring.data_quality_metrics)"
    )
