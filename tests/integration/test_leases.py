"""Lease documents end to end: whatever arrives in whatever order, each is in the mart once, in its
highest revision, with the owner's version of its day.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from monitors import DataMonitor
from monitors.arrival.loader import load_file
from monitors.commands.runner import new_run_id
from monitors.config import load_config
from monitors.store.postgres import RunContext, Store
from monitors.warehouse.connection import connect
from monitors.warehouse.dbt import environment
from monitors.warehouse.target import Target
from tests.conftest import Server, copy_project

DAY = date(2024, 1, 1)
UNKNOWN = ("unknown", None)
TEST = "assert_each_lease_document_is_there_once_with_the_owner_of_its_day"
FACT = "facts.fact_lease_documents"
CONTENT = (
    "document_id, revision, status, is_withdrawn, withdrawn_at, document_date, owner_id, owner_key,"
    " owner_resolution, rent_amount, sent_at, flagged_by"
)


@dataclass(frozen=True)
class Extract:
    """A picture of the register: {user: division} at so many hours after DAY."""

    hour: int
    users: dict[str, str]
    kind: str = "full"

    @property
    def moment(self) -> datetime:
        return datetime.combine(DAY, datetime.min.time(), timezone.utc) + timedelta(hours=self.hour)

    def write(self, landing: Path) -> Path:
        """As Salesforce sends it."""
        name = "sf_user_partial" if self.kind == "partial" else "sf_user_full"
        path = landing / "salesforce" / f"{name}_{self.moment:%Y%m%dT%H%M%SZ}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = ["user_id,Name,Email,Division,Audit_Phase__c,IsActive,IsDeleted,LastModifiedDate"]
        lines += [f"{user},,,{division},,true,false," for user, division in self.users.items()]
        path.write_text("\n".join(lines) + "\n")
        return path


@dataclass(frozen=True)
class Document:
    """One arrival of a document; `sent` is a second that no other arrival has."""

    number: str
    day: int
    owner: str
    sent: int = 0
    revision: int = 1
    status: str = "signed"
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def moment(self) -> datetime:
        start = datetime.combine(DAY, datetime.min.time(), timezone.utc)
        return start + timedelta(days=60, seconds=self.sent)

    @property
    def name(self) -> str:
        return f"{self.sent % 3}/{self.number}_{self.moment:%Y%m%dT%H%M%SZ}.json"

    def text(self) -> str:
        withdrawn_at = f"{self.moment:%Y-%m-%dT%H:%M:%SZ}" if self.status == "withdrawn" else None
        body = {
            "document_id": self.number, "revision": self.revision, "status": self.status,
            "document_date": str(DAY + timedelta(days=self.day)),
            "owner": {"user_id": self.owner}, "rent": {"amount": 100 + self.revision},
            "period": {"starts_on": "2024-02-01", "ends_on": "2025-01-31"},
            "withdrawn_at": withdrawn_at, **self.more,
        }  # fmt: skip
        return json.dumps(body, indent=1)

    def write(self, landing: Path) -> Path:
        path = landing / "leases" / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.text())
        return path


class Desk:
    """A project, its warehouse, and dbt in this process, which saves seconds a build."""

    def __init__(self, project: Path, target: Target) -> None:
        from dbt.cli.main import dbtRunner

        self.project, self.target = project, target
        self.landing = project / "landing"
        # profiles are written and raw tables made by the first command
        DataMonitor(project).load("leases")
        os.environ |= environment(target, project)
        self.config = load_config(project)
        self.options = ["--project-dir", str(project), "--quiet", "--cache-selected-only",
                        "--log-level-file", "none", "--no-write-json"]  # fmt: skip
        self.runner = dbtRunner(manifest=dbtRunner().invoke(["parse", *self.options]).result)
        self.dbt("run")

    def dbt(self, *arguments: str) -> None:
        done = self.runner.invoke([*arguments, *self.options])
        assert done.success, [each.message for each in done.result or []]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with connect(self.target) as connection:
            return connection.execute(sql.encode()).fetchall()

    def empty(self) -> None:
        """Nothing has arrived; all models stand, with nothing in them."""
        shutil.rmtree(self.landing, ignore_errors=True)
        with connect(self.target) as connection:
            connection.execute(
                "truncate leases_raw.documents, salesforce_raw.sf_user, quarantine.decisions,"
                " monitoring.deliveries, staging.int_lease_documents_judged,"
                f" staging.int_sf_users_judged, salesforce_curated.dim_sf_user_scd, {FACT} cascade"
            )

    def deliver(self, *arrivals: Extract | Document) -> None:
        """Arrivals are loaded in this order; then a build."""
        with connect(self.target) as connection:
            store = Store(connection, RunContext(new_run_id(datetime.now(timezone.utc)), "ci"))
            store.start_run("load")
            for arrival in arrivals:
                feed = "sf_user" if isinstance(arrival, Extract) else "leases"
                path = arrival.write(self.landing)
                load_file(store, feed, self.config.feed(feed), path, name=path.name,
                          thresholds=self.config.thresholds)  # fmt: skip
            connection.commit()
        self.build()

    def build(self) -> None:
        self.dbt("run", "--select", "+fact_lease_documents")

    def refresh(self) -> None:
        self.dbt("run", "--full-refresh", "--select", "+fact_lease_documents")

    def counts(self) -> list[tuple[Any, ...]]:
        """What became of the documents: taken, superseded, rejected, dead, unaccounted."""
        # a full refresh before took the view along
        self.dbt("run", "--select", "violations", "ledger", "conservation")
        return self.rows(
            "select sum(taken), sum(superseded), sum(rejected), sum(dead_letters),"
            " sum(abs(unaccounted)) from monitoring.conservation where feed = 'leases'"
        )

    def fact(self, columns: str = "to_jsonb(f)::text") -> list[tuple[Any, ...]]:
        return self.rows(f"select {columns} from {FACT} f order by document_id")

    def owners(self) -> dict[str, tuple[Any, ...]]:
        """{document: (owner's division, resolution)}, by an inner join to the dimension."""
        found = self.rows(
            f"select document_id, division, owner_resolution from {FACT}"
            " join salesforce_curated.dim_sf_user_scd on owner_key = sf_user_key"
        )
        assert len(found) == len(self.fact()), "the join neither multiplies nor loses a document"
        return {row[0]: row[1:] for row in found}


@pytest.fixture(scope="module")
def desk_of_module(
    embedded_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Desk]:
    patch = pytest.MonkeyPatch()
    target = embedded_server.new_database()
    project = copy_project(tmp_path_factory.mktemp("leases") / "project")
    before = dict(os.environ)
    for name, value in target.environment().items():
        patch.setenv(name, value)
    # these registers are tiny: who leaves is soon a fifth of them
    config = project / "rampart.yml"
    config.write_text(config.read_text().replace(", breaker: 0.2", ""))
    for described in (project / "models").rglob("*.yml"):
        described.write_text(described.read_text().split("unit_tests:")[0])
    yield Desk(project, target)
    patch.undo()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def desk(desk_of_module: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name, value in environment(desk_of_module.target, desk_of_module.project).items():
        monkeypatch.setenv(name, value)
    desk_of_module.empty()
    return desk_of_module


# -------------------------------------------------------------------- which arrival counts

REGISTER = Extract(0, {"u1": "North", "u2": "South"})
STORY = (
    Document("d1", 3, "u1", sent=1),
    Document("d2", 3, "u2", sent=2),
    Document("d1", 3, "u1", sent=3),  # sent again
    Document("d1", 3, "u1", sent=5, revision=3),
    Document("d1", 3, "u2", sent=4, revision=2),  # overtaken
    Document("d2", 3, "u2", sent=6, revision=2, status="withdrawn"),
    Document("d2", 3, "u2", sent=7, revision=1),  # overtaken by its withdrawal
    Document("d3", 3, "u1", sent=8, revision=2),
    Document("d3", 3, "u2", sent=9, revision=2),  # corrected without a new number
)


def test_the_highest_revision_counts_and_of_equal_ones_the_last_sent(desk: Desk) -> None:
    """Re-sent is no change; a correction replaces; a withdrawn document stays, with its moment."""
    desk.deliver(REGISTER, *STORY[:2])
    before = desk.fact(CONTENT.replace(" sent_at,", ""))
    desk.deliver(STORY[2])
    assert before == desk.fact(CONTENT.replace(" sent_at,", "")), "sent again"

    desk.deliver(*STORY[3:5])
    desk.deliver(*STORY[5:8])
    desk.deliver(*STORY[8:])

    withdrawn = datetime(2024, 3, 1, 0, 0, 6, tzinfo=timezone.utc)
    columns = "document_id, revision, is_withdrawn, withdrawn_at, owner_id, rent_amount"
    assert desk.fact(columns) == [
        ("d1", 3, False, None, "u1", 103),
        ("d2", 2, True, withdrawn, "u2", 102),
        ("d3", 2, False, None, "u2", 102),
    ]
    assert [(3, 6, 0, 0, 0)] == desk.counts()


def test_the_order_of_arrival_does_not_matter(desk: Desk) -> None:
    """Any order, in two builds, gives the same documents."""
    outcomes = []
    for seed in range(2):
        desk.empty()
        arrivals = [REGISTER, *STORY]
        random.Random(seed).shuffle(arrivals)
        desk.deliver(*arrivals[:4])
        desk.deliver(*arrivals[4:])
        outcomes.append(desk.fact(CONTENT))

    assert outcomes[0] == outcomes[1]


def test_loading_and_building_again_changes_nothing(desk: Desk) -> None:
    """The same files are loaded once; a build with nothing new writes no row."""
    for arrival in (REGISTER, *STORY):
        arrival.write(desk.landing)
    assert len(STORY) + 2 == sum(e.rows for e in DataMonitor(desk.project).load().loads)
    desk.build()
    before = desk.fact("to_jsonb(f)::text, ctid::text, xmin::text")
    assert 0 == sum(each.rows for each in DataMonitor(desk.project).load().loads)
    desk.build()

    assert before == desk.fact("to_jsonb(f)::text, ctid::text, xmin::text")


def test_a_file_that_holds_no_document_is_accounted_for(desk: Desk) -> None:
    """One dead letter; the documents beside it are taken, and the load is not red."""
    (desk.landing / "leases").mkdir(parents=True)
    (desk.landing / "leases" / "torn_20240301T000000Z.json").write_text('{"document_id": "d9",')
    STORY[0].write(desk.landing)
    verdict = DataMonitor(desk.project).load("leases")
    desk.deliver(REGISTER)

    assert (0, ()) == (verdict.exit_code, verdict.alerts)
    assert [(1, 0, 0, 1, 0)] == desk.counts()


# -------------------------------------------------------------------- whose version


def test_the_owner_is_the_version_at_the_end_of_the_day(desk: Desk) -> None:
    """A change at noon of the day counts, one at the midnight that ends it does not."""
    desk.deliver(
        Extract(24, {"u1": "North"}),
        Extract(60, {"u1": "South"}, "partial"),  # day 2, noon
        Extract(96, {"u1": "East"}),  # the midnight that ends day 3
        *(Document(f"d{day}", day, "u1", sent=day) for day in range(6)),
        Document("d9", 3, "nobody", sent=9),
    )

    assert desk.owners() == {
        "d0": (None, "before_first_version"),
        "d1": ("North", "resolved"),
        "d2": ("South", "resolved"),
        "d3": ("South", "resolved"),
        "d4": ("East", "resolved"),
        "d5": ("East", "resolved"),
        "d9": (None, "unknown_owner"),
    }


def test_a_late_extract_resolves_the_documents_of_moved_versions_anew(desk: Desk) -> None:
    """Exactly theirs: no other row of the mart is written."""
    desk.deliver(
        Extract(0, {"u1": "North", "u2": "West"}),
        Extract(120, {"u1": "South", "u2": "West", "u3": "New"}),
        *(Document(f"u1d{day}", day, "u1", sent=day) for day in range(7)),
        *(Document(f"u2d{day}", day, "u2", sent=20 + day) for day in range(7)),
        Document("u3d1", 1, "u3", sent=40),
        Document("u4d1", 1, "u4", sent=41),
    )
    before = dict(desk.fact("document_id, concat(owner_key, xmin, ctid)"))
    # from day 2 on South, which was known from day 5 on only: the version begins earlier
    desk.deliver(Extract(48, {"u1": "South", "u2": "West"}))
    after = dict(desk.fact("document_id, concat(owner_key, xmin, ctid)"))

    assert {f"u1d{day}" for day in range(2, 7)} == {d for d in after if after[d] != before[d]}
    assert [("North", "resolved")] * 2 + [("South", "resolved")] * 5 == [
        desk.owners()[f"u1d{day}"] for day in range(7)
    ]
    assert ("before_first_version", "unknown_owner") == (
        desk.owners()["u3d1"][1],
        desk.owners()["u4d1"][1],
    )
    # a version is split, and one whom nobody knew turns up
    desk.deliver(Extract(84, {"u2": "Split"}, "partial"), Extract(0, {"u4": "Old"}, "partial"))
    assert {"West", "Split"} == {desk.owners()[f"u2d{day}"][0] for day in range(7)}
    assert ("Old", "resolved") == desk.owners()["u4d1"]
    before_refresh = desk.fact()
    desk.refresh()
    assert before_refresh == desk.fact()
    desk.dbt("test", "--select", "fact_lease_documents", "dim_sf_user_scd", TEST)


def test_an_owner_who_turns_up_later_is_known_from_then_on_only(desk: Desk) -> None:
    """unknown_owner becomes before_first_version, although the extract is the younger one."""
    desk.deliver(Extract(0, {"u1": "North"}), Document("d1", 1, "u2"))
    assert (None, "unknown_owner") == desk.owners()["d1"]
    desk.deliver(Extract(120, {"u1": "North", "u2": "New"}))

    assert (None, "before_first_version") == desk.owners()["d1"]


def test_the_dimension_may_be_built_without_the_fact(desk: Desk) -> None:
    """What the fact did not see when it arrived it sees at its next build, a full refresh too."""
    desk.deliver(Extract(0, {"u1": "North"}), Document("d1", 5, "u1"))
    for hour, division in ((48, "South"), (72, "East")):
        Extract(hour, {"u1": division}).write(desk.landing)
        DataMonitor(desk.project).load("sf_user")
        desk.dbt("run", "--select", "+dim_sf_user_scd")
    desk.build()
    assert ("East", "resolved") == desk.owners()["d1"]

    # rules of another day: a full refresh of the dimension alone, then a build of it with nothing
    desk.rows("update staging.int_sf_users_judged set division = 'Moved', rejected_by = case"
              " when extracted_at < '2024-01-02' then 'x' end returning 1")  # fmt: skip
    desk.dbt("run", "--full-refresh", "--select", "dim_sf_user_scd")
    desk.dbt("run", "--select", "dim_sf_user_scd")
    desk.build()
    assert ("Moved", "resolved") == desk.owners()["d1"]


def test_nobody_may_be_called_unknown(desk: Desk) -> None:
    """A user of that name is rejected, and a document of such an owner is not resolved by it."""
    desk.deliver(Extract(0, {"u1": "North", "(unknown)": "X"}), Document("d1", 5, "(unknown)"))
    desk.deliver(Extract(48, {"u1": "South", "(unknown)": "X"}), Extract(96, {"u1": "South"}))

    assert {"d1": (None, "unknown_owner")} == desk.owners()
    assert [("unknown", True, True)] == desk.rows(
        "select sf_user_key, is_current, is_deleted from salesforce_curated.dim_sf_user_scd"
        " where user_id = '(unknown)'"
    )


def test_the_claim_about_the_join_can_fail(desk: Desk) -> None:
    """A lost document, one too many, and a wrong version are each found by the dbt test."""
    desk.deliver(REGISTER, *STORY)
    (found,) = desk.runner.invoke(["test", "--select", TEST, *desk.options]).result
    assert "pass" == found.status
    sql = found.node.compiled_code
    for spoil in (
        f"delete from {FACT} where document_id = 'd1'",
        "delete from staging.int_lease_documents_judged where document_id = 'd2'",
        f"update {FACT} set owner_key = 'unknown' where document_id = 'd3'",
        f"update {FACT} set owner_key = 'nowhere' where document_id = 'd3'",
        f"update {FACT} set owner_resolution = 'unknown_owner' where document_id = 'd3'",
    ):
        with connect(desk.target) as connection:
            connection.execute(spoil.encode())
            assert connection.execute(sql.encode()).fetchall(), spoil


# -------------------------------------------------------------------- decisions


def test_a_document_that_is_let_through_is_taken(desk: Desk) -> None:
    """Half a gzip is refused even when the document in it is whole; a person may say that it is."""
    desk.deliver(REGISTER, STORY[0])
    better = replace(STORY[0], sent=3, revision=2)
    path = desk.landing / "leases" / f"{better.name}.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(better.text().encode())[:-4])
    refused = DataMonitor(desk.project).load("leases")
    desk.build()
    assert any("DELIVERY REFUSED" in line for line in refused.alerts)
    assert [(1,)] == desk.fact("revision")

    monitor = DataMonitor(desk.project)
    monitor.let_through("leases", f"{better.name}.gz", by="ada", why="only its end is missing")
    desk.build()
    assert [(2,)] == desk.fact("revision")


def test_a_replayed_document_takes_its_place_and_no_more(desk: Desk) -> None:
    """Two that were misread are let in; the one that was overtaken meanwhile changes nothing."""
    misread = {"owner": {"user": "u1"}}
    desk.deliver(
        REGISTER,
        Document("d1", 1, "u1", sent=1),
        Document("d1", 2, "u1", sent=2, revision=2, more=misread),
        Document("d2", 1, "u2", sent=3, revision=1, more=misread),
        Document("d2", 1, "u2", sent=4, revision=2),
    )
    assert [("d1", 1), ("d2", 2)] == desk.fact("document_id, revision")
    with connect(desk.target) as connection:
        connection.execute(
            "update leases_raw.documents"
            " set payload = cast(replace(payload::text, '\"user\"', '\"user_id\"') as json)"
        )
        connection.execute(
            "insert into quarantine.decisions"
            " (source, delivery_id, source_row, batch_id, decision, decided_by, why)"
            " select 'leases', _delivery_id, 1, 1, 'replayed', 'eve', 'mended'"
            " from staging.int_lease_documents_judged where rejected_by is not null"
        )
    desk.build()
    once = desk.fact()

    assert [("d1", 2, 1), ("d2", 2, None)] == desk.fact("document_id, revision, _replay_id")
    assert [(2, 2, 0, 0, 0)] == desk.counts()
    desk.build()
    assert once == desk.fact()
    desk.refresh()
    assert once == desk.fact()


# -------------------------------------------------------------------- anything at all

USERS = [f"u{number}" for number in range(4)]
extracts = st.builds(
    Extract,
    hour=st.integers(0, 12).map(lambda half: 12 * half),
    users=st.dictionaries(st.sampled_from(USERS), st.sampled_from(["North", "South"])),
    kind=st.sampled_from(["full", "full", "partial"]),
)
documents = st.builds(
    Document,
    number=st.sampled_from([f"d{number}" for number in range(8)]),
    day=st.integers(0, 7),
    owner=st.sampled_from([*USERS, "nobody", ""]),
    revision=st.integers(1, 3),
    status=st.sampled_from(["signed", "signed", "withdrawn"]),
)
worlds = st.tuples(
    st.lists(extracts, max_size=6, unique_by=lambda each: (each.hour, each.kind)),
    st.lists(documents, min_size=4, max_size=16),
)


def expected(arrived: list[Extract | Document]) -> dict[str, tuple[Any, ...]]:
    """{document: (revision, status, division, resolution)} as a person would find it on paper."""
    pictures = sorted(
        (each for each in arrived if isinstance(each, Extract)), key=lambda each: each.moment
    )
    best: dict[str, Document] = {}
    for each in arrived:
        if isinstance(each, Document) and each.owner:
            held = best.get(each.number)
            if held is None or (each.revision, each.sent) > (held.revision, held.sent):
                best[each.number] = each
    found = {}
    for number, document in best.items():
        ended = datetime.combine(DAY, datetime.min.time(), timezone.utc) + timedelta(
            days=document.day + 1
        )
        said = [each.users[document.owner] for each in pictures
                if each.moment < ended and document.owner in each.users]  # fmt: skip
        known = any(document.owner in each.users for each in pictures)
        division, resolution = (
            (said[-1], "resolved")
            if said
            else (None, "before_first_version" if known else "unknown_owner")
        )
        found[number] = (document.revision, document.status, division, resolution)
    return found


def check(desk: Desk, world: tuple[list[Extract], list[Document]], seed: int) -> None:
    """In any order, in any batches: after every build the mart is what paper says."""
    chance = random.Random(seed)
    desk.empty()
    arrivals: list[Extract | Document] = list(world[0])
    arrivals += [replace(each, sent=number) for number, each in enumerate(world[1])]
    chance.shuffle(arrivals)
    done = 0
    while done < len(arrivals):
        size = chance.randint(1, len(arrivals))
        desk.deliver(*arrivals[done : done + size])
        done += size
        owners = desk.owners()
        told = desk.fact("document_id, revision, status")
        found = {row[0]: (*row[1:], *owners[row[0]]) for row in told}
        assert expected(arrivals[:done]) == found
    before = desk.fact()
    desk.refresh()
    assert before == desk.fact(), "a full refresh gives the same rows"


def property_of(examples: int) -> Any:
    return settings(
        max_examples=examples, deadline=None, derandomize=True, database=None,
        phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip


@property_of(3)
@given(world=worlds, seed=st.integers(0, 1000))
def test_the_mart_is_what_paper_says(
    desk: Desk, world: tuple[list[Extract], list[Document]], seed: int
) -> None:
    """Random extracts and documents: none lost or doubled, each with the owner of its day."""
    check(desk, world, seed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@property_of(40)
@given(world=worlds, seed=st.integers(0, 1000))
def test_the_mart_is_what_paper_says_at_length(
    desk: Desk, world: tuple[list[Extract], list[Document]], seed: int
) -> None:
    """The same with many more examples."""
    check(desk, world, seed)
