import csv
import gzip
import json
import statistics
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from hashlib import sha256
from itertools import groupby

import pytest

from monitors.arrival.sample import write_sample

LAST_DAY = date(2026, 11, 19)
KNOWN_EVENTS = [
    "session_start",
    "page_view",
    "view_item",
    "add_to_cart",
    "begin_checkout",
    "purchase",
]
EVENT_KEYS = [
    "event_name",
    "event_timestamp",
    "client_id",
    "session_id",
    "page_location",
    "traffic_source",
]
PURCHASE_KEYS = [*EVENT_KEYS, "transaction_id", "revenue", "currency"]
USER_COLUMNS = "user_id Name Email Division Audit_Phase__c IsActive IsDeleted LastModifiedDate"
AIR_HEADER = "No,year,month,day,hour,PM2.5,PM10,SO2,NO2,CO,O3,TEMP,PRES,DEWP,RAIN,wd,WSPM,station"
AIR_VALUES = AIR_HEADER.split(",")[5:-1]


def day(before_last):
    return LAST_DAY - timedelta(days=before_last)


def raw_lines(directory, before_last, suffix=""):
    path = directory / "clickstream" / f"events_{day(before_last)}{suffix}.jsonl.gz"
    return gzip.decompress(path.read_bytes()).split(b"\n")[:-1]


def readable(lines):
    events, broken = [], []
    for line in lines:
        try:
            events.append(json.loads(line.decode()))
        except ValueError:  # UnicodeDecodeError is one too
            broken.append(line)
    return events, broken


def without_client(events):
    return [event for event in events if not event.get("client_id")]


def identity(event):
    return (
        event.get("client_id"),
        event["session_id"],
        event["event_name"],
        event["event_timestamp"],
        event["page_location"],
        event.get("transaction_id"),
    )


@dataclass
class EventDay:
    """What the tests ask of a history day; its parsed events would fill 100 MB."""

    lines: list[bytes]

    def __post_init__(self):
        events, self.broken = readable(self.lines)
        purchases = [event for event in events if event["event_name"] == "purchase"]
        self.events = len(events)
        self.distinct_events = len({identity(event) for event in events})
        self.without_client = len(without_client(events))
        self.purchases = len(purchases)
        self.without_revenue = sum(event.get("revenue") is None for event in purchases)
        self.odd_values = (
            sum(event["event_name"] not in KNOWN_EVENTS for event in events),
            sum(event["event_timestamp"] >= 4_070_908_800e6 for event in events),
            sum((event.get("revenue") or 0) < 0 for event in events),
        )


def extract(directory, before_last):
    moment = day(before_last - 1).strftime("%Y%m%d") + "T000000Z"
    return users_of(directory / "salesforce" / f"sf_user_full_{moment}.csv")


def users_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def picture(rows):
    return {row["user_id"]: (row["Division"], row["Audit_Phase__c"]) for row in rows}


def hours(directory, station, before_last):
    path = directory / "air_quality" / f"PRSA_Data_{station}_{day(before_last):%Y%m%d}.csv"
    header, *rows = path.read_text().splitlines()
    assert header == AIR_HEADER
    return [dict(zip(header.split(","), row.split(","), strict=False)) for row in rows]


def contents(directory):
    return {
        str(path.relative_to(directory)): sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("sample")


@pytest.fixture(scope="module")
def summary(directory):
    return write_sample(directory, last_day=LAST_DAY)


@pytest.fixture(scope="module")
def last_events(directory, summary):
    events, broken = readable(raw_lines(directory, 0))
    assert not broken
    return events


@pytest.fixture(scope="module")
def history(directory, summary):
    return {before_last: EventDay(raw_lines(directory, before_last)) for before_last in range(1, 9)}


@pytest.fixture(scope="module")
def arrivals(directory, summary):
    paths = [
        p.relative_to(directory).as_posix()
        for p in (*summary.history, *summary.today)
        if "leases" in p.parts
    ]
    return {path: (directory / path).read_text() for path in paths}


@pytest.fixture(scope="module")
def documents(arrivals):
    found = []
    for text in arrivals.values():
        try:
            found.append(json.loads(text))
        except ValueError:
            continue
    assert len(found) == len(arrivals) - 1, "one file is cut off"
    return found


class TestClickstreamOnTheLastDay:
    def test_has_the_known_counts(self, last_events):
        missing = without_client(last_events)
        assert (len(missing), len(last_events)) == (2_908, 49_966)
        assert {event.get("client_id", "absent") for event in missing} == {"absent", None, ""}

    def test_has_no_duplicate(self, directory, last_events):
        assert len({identity(event) for event in last_events}) == 49_966
        assert len(set(raw_lines(directory, 0))) == 49_966

    def test_has_nothing_else_wrong(self, last_events):
        midnight = datetime(2026, 11, 19, tzinfo=timezone.utc).timestamp() * 1_000_000
        for event in last_events:
            buys = event["event_name"] == "purchase"
            keys = PURCHASE_KEYS if buys else EVENT_KEYS
            assert [key for key in keys if key in event or key != "client_id"] == list(event)
            assert event["event_name"] in KNOWN_EVENTS
            assert midnight <= event["event_timestamp"] < midnight + 86_400e6
            assert type(event["event_timestamp"]) is int
            assert type(event["session_id"]) is str
            assert event["page_location"].startswith("https://shop.example/")
            assert all(event["traffic_source"][key] for key in ("source", "medium", "campaign"))
        purchases = [event for event in last_events if event["event_name"] == "purchase"]
        assert all(event["revenue"] > 0 and event["currency"] == "EUR" for event in purchases)
        orders = sorted(event["transaction_id"] for event in purchases)
        assert orders == [f"T-20261119-{nth:06d}" for nth in range(1, len(purchases) + 1)]

    def test_comes_in_sessions(self, last_events):
        sessions = {}
        for event in last_events:
            sessions.setdefault(event["session_id"], []).append(event)
        buying = 0
        for events in sessions.values():
            names = [event["event_name"] for event in events]
            times = [event["event_timestamp"] for event in events]
            assert names.index("session_start") == 0
            assert names.count("session_start") == 1
            assert times == sorted(set(times))
            if "purchase" in names:
                buying += 1
                assert not without_client(events)
        assert 0.015 < buying / len(sessions) < 0.025

    def test_lies_within_the_usual_volume(self, history):
        week = [len(history[before_last].lines) for before_last in range(1, 8)]
        spread = statistics.stdev(week)
        assert 0.02 < spread / statistics.mean(week) < 0.06
        assert abs(49_966 - statistics.mean(week)) < spread

    @pytest.mark.parametrize("weekday", range(7))
    def test_lies_there_on_any_weekday_and_seed(self, tmp_path, weekday):
        last_day = LAST_DAY + timedelta(days=weekday)
        write_sample(tmp_path, last_day=last_day, days=8, seed=weekday, scale=0.02)
        week = []
        for before_last in range(1, 8):
            name = f"events_{last_day - timedelta(days=before_last)}.jsonl.gz"
            packed = (tmp_path / "clickstream" / name).read_bytes()
            week.append(gzip.decompress(packed).count(b"\n") / 0.02)
        assert abs(49_966 - statistics.mean(week)) < statistics.stdev(week)


class TestClickstreamHistory:
    def test_has_its_usual_size_and_few_events_without_client(self, history):
        for events in history.values():
            assert 46_000 <= len(events.lines) <= 53_000
            assert 0.0025 < events.without_client / events.events < 0.0035

    def test_lacks_revenue_on_few_purchases(self, history):
        assert all(events.without_revenue / events.purchases < 0.008 for events in history.values())
        lacking = sum(events.without_revenue for events in history.values())
        assert 0.003 < lacking / sum(events.purchases for events in history.values()) < 0.008

    def test_repeats_a_few_lines_exactly_among_them_a_purchase(self, history):
        for events in history.values():
            counts = Counter(events.lines)
            twice = [line for line, count in counts.items() if count == 2]
            assert 1 <= len(twice) <= 5
            assert max(counts.values()) == 2
            assert sum(b'"purchase"' in line for line in twice) == 1
            assert events.distinct_events == events.events - len(twice)

    def test_has_four_broken_lines_on_one_day(self, history):
        assert {at: len(events.broken) for at, events in history.items() if events.broken} == {2: 4}
        broken = history[2].broken
        assert sum(b"\x00" in line for line in broken) == 1
        assert sum(not line.startswith(b"{") for line in broken) == 1
        assert sum(line.startswith(b"{") and not line.endswith(b"}") for line in broken) == 1
        with pytest.raises(UnicodeDecodeError):
            b"\n".join(broken).decode()

    def test_has_odd_values_on_one_day(self, history):
        for before_last, events in history.items():
            assert events.odd_values == ((3, 2, 1) if before_last == 4 else (0, 0, 0))

    def test_has_one_file_sent_twice(self, directory, summary):
        names = [path.name for path in summary.history]
        assert [name for name in names if "resent" in name] == [f"events_{day(6)}_resent.jsonl.gz"]
        at = names.index(f"events_{day(6)}_resent.jsonl.gz")
        assert names[at - 1] == f"events_{day(6)}.jsonl.gz"
        assert summary.history[at].read_bytes() == summary.history[at - 1].read_bytes()


class TestSalesforce:
    def test_changes_a_little_every_day(self, directory, summary):
        for before_last in range(8):
            now = picture(extract(directory, before_last))
            before = picture(extract(directory, before_last + 1))
            changed = {user for user in now.keys() & before.keys() if now[user] != before[user]}
            # The faults of a day stand out too: 005A0000013000 twice, 005A0000013140 in Phase 9.
            changed -= {"005A0000013000", "005A0000013140"}
            assert 0.01 <= len(changed) / len(now) <= 0.03
            assert len(now.keys() - before.keys()) <= 4
        assert len(extract(directory, 0)) > len(extract(directory, 8)) == 180

    def test_users_leave_come_back_and_are_flagged(self, directory, summary):
        present = {
            user: [at for at in range(8, -1, -1) if user in picture(extract(directory, at))]
            for user in ("005A0000012440", "005A0000012580", "005A0000012720", "005A0000012860")
        }
        assert present == {
            "005A0000012440": [8, 7],
            "005A0000012580": [8, 7, 6, 3, 2, 1, 0],
            "005A0000012720": [8, 7, 6, 5, 4],
            "005A0000012860": list(range(8, -1, -1)),
        }
        for before_last in range(9):
            rows = extract(directory, before_last)
            flagged = [row["user_id"] for row in rows if row["IsDeleted"] == "true"]
            assert flagged == (["005A0000012860"] if before_last <= 4 else [])

    def test_has_bad_rows_in_one_extract(self, directory, summary):
        for before_last in range(9):
            rows = extract(directory, before_last)
            divisions = [row["Division"] for row in rows if row["user_id"] == "005A0000013000"]
            counts = Counter(row["user_id"] for row in rows)
            twice = [user for user, count in counts.items() if count > 1]
            phases = [row["user_id"] for row in rows if row["Audit_Phase__c"] == "Phase 9"]
            if before_last == 5:
                assert (twice, len(set(divisions))) == (["005A0000013000"], 2)
                assert (counts[""], phases) == (1, ["005A0000013140"])
            else:
                assert (twice, counts[""], phases) == ([], 0, [])

    def test_has_one_extract_with_a_column_more(self, directory, summary):
        extra = {at: list(extract(directory, at)[0])[8:] for at in range(9)}
        assert {at: columns for at, columns in extra.items() if columns} == {4: ["Region__c"]}
        assert list(extract(directory, 0)[0]) == USER_COLUMNS.split()

    def test_has_names_that_are_hard_to_read(self, directory, summary):
        for before_last in range(9):
            names = {row["Name"] for row in extract(directory, before_last)}
            hard = {"<b>O'Neil</b> & Söhne", 'Meyer, "Kiki" Anna', "Jean\nLuc Moreau"}
            assert hard <= names

    @pytest.mark.parametrize("before_last", [6, 2])
    def test_has_partial_extracts_that_the_next_full_one_confirms(
        self, directory, summary, before_last
    ):
        name = f"sf_user_partial_{day(before_last):%Y%m%d}T120000Z.csv"
        rows = users_of(directory / "salesforce" / name)
        partial = picture(rows)
        before = picture(extract(directory, before_last + 1))
        after = picture(extract(directory, before_last))
        assert len(partial) == len(rows) == 5
        assert all(before[user] != partial[user] for user in partial)
        assert sum(after[user] == partial[user] for user in partial) == 4
        noon = f"{day(before_last)}T12"
        assert all(f"{day(before_last)}T00" < row["LastModifiedDate"] < noon for row in rows)

    def test_knows_no_change_from_after_its_moment(self, directory, summary):
        for before_last in range(9):
            midnight = str(day(before_last - 1))
            rows = extract(directory, before_last)
            assert max(row["LastModifiedDate"] for row in rows) < midnight


class TestAirQuality:
    STATIONS = ("Altmarkt", "Lindenhof", "Nordhafen", "Seeufer")
    FAULTY = ((6, "Lindenhof"), (5, "Altmarkt"), (2, "Nordhafen"), (2, "Seeufer"))

    @pytest.mark.parametrize("station", STATIONS)
    def test_is_clean_where_no_fault_is_planted(self, directory, summary, station):
        for before_last in range(9):
            rows = hours(directory, station, before_last)
            if (before_last, station) in self.FAULTY:
                continue
            assert [int(row["hour"]) for row in rows] == list(range(24))
            values = [row[column] for row in rows for column in AIR_VALUES]
            assert 0.01 <= values.count("NA") / len(values) <= 0.02
            for row in rows:
                written = [row["year"], row["month"], row["day"], row["station"]]
                today = day(before_last)
                assert written == [str(today.year), str(today.month), str(today.day), station]
                for column in set(AIR_VALUES) - {"wd"}:
                    assert row[column] == "NA" or float(row[column]) > -30 or before_last == 6

    @pytest.mark.parametrize("station", STATIONS)
    def test_stands_still_only_where_planted(self, directory, summary, station):
        longest = {}
        for column in AIR_VALUES:
            run = [
                row.get(column)
                for before_last in range(8, -1, -1)
                for row in hours(directory, station, before_last)
                if row.get(column) != "NA"
            ]
            longest[column] = max(len(list(same)) for _, same in groupby(run))
        if station == "Altmarkt":
            frozen = [row["O3"] for row in hours(directory, station, 3)][6:16]
            assert frozen == ["41"] * 10
            assert 10 <= longest.pop("O3") <= 12
        assert max(longest.values()) < 8

    def test_last_day_is_clean(self, directory, summary):
        for station in self.STATIONS:
            for row in hours(directory, station, 0):
                known = {name: float(row[name]) for name in AIR_VALUES[:6] if row[name] != "NA"}
                assert known.get("PM2.5", 0) <= known.get("PM10", 999)
                assert all(0 <= value < 5_000 for value in known.values())
                assert known.get("PM10", 0) < 900
                assert known.get("SO2", 0) < 400

    def test_has_its_faults(self, directory, summary):
        assert hours(directory, "Altmarkt", 6)[9]["CO"] == "-200"
        assert [row["hour"] for row in hours(directory, "Lindenhof", 6)][-2:] == ["22", "24"]
        assert Counter(map(str, hours(directory, "Altmarkt", 5))).most_common(1)[0][1] == 3
        inverted = [
            int(row["hour"])
            for row in hours(directory, "Seeufer", 5)
            if "NA" not in (row["PM2.5"], row["PM10"]) and float(row["PM2.5"]) > float(row["PM10"])
        ]
        assert inverted == [3, 4, 17]
        capped = [row["hour"] for row in hours(directory, "Lindenhof", 4) if row["PM10"] == "999"]
        assert capped == ["8", "9", "10", "11"]
        assert hours(directory, "Nordhafen", 4)[13]["SO2"] == "500"
        assert hours(directory, "Nordhafen", 2)[7]["NO2"] == "n/a?"

    def test_has_a_file_cut_off_in_a_row(self, directory, summary):
        path = directory / "air_quality" / f"PRSA_Data_Seeufer_{day(2):%Y%m%d}.csv"
        *whole, last = path.read_text().split("\n")
        assert {line.count(",") for line in whole} == {17}
        assert 5 < last.count(",") < 17


class TestLeases:
    """What the documents of the last day of arrival say; a name's moment is when it was sent."""

    def test_documents_span_lines_and_days(self, arrivals, documents):
        assert all(text.count("\n") > 5 for text in arrivals.values())
        assert {path.split("/")[1] for path in arrivals} == {f"{day(n)}" for n in range(8)}
        assert len({each["document_id"] for each in documents}) > 200

    def test_some_are_corrected_and_some_withdrawn(self, documents):
        revisions = Counter(each["revision"] for each in documents)
        assert revisions[1] > 190
        assert revisions[2] >= 10
        withdrawn = [each for each in documents if each["status"] == "withdrawn"]
        assert 2 <= len(withdrawn) <= 8
        assert all(each["withdrawn_at"] and each["revision"] > 1 for each in withdrawn)

    def test_one_revision_is_overtaken(self, arrivals, documents):
        story = [e["revision"] for e in documents if e["document_id"] == "LD-S00021"]
        assert story == [1, 3, 2]
        names = [path for path in arrivals if "LD-S00021" in path]
        assert names[2] < names[1]

    def test_one_is_sent_twice(self, arrivals):
        first, second = (text for path, text in arrivals.items() if "LD-S00006" in path)
        assert first == second

    def test_owners_are_in_every_extract_but_one(self, directory, documents):
        owners = {(each["owner"] or {}).get("user_id") for each in documents} - {None}
        known = [{row["user_id"] for row in extract(directory, n)} for n in (8, 6, 5, 1)]
        assert [{"005A9999999999"}] * 4 == [owners - each for each in known]

    def test_dates_begin_after_the_first_extract_but_one(self, documents):
        dates = sorted(each["document_date"] for each in documents)
        assert (f"{day(38)}", f"{day(7)}", f"{day(0)}") == (dates[1], dates[2], dates[-1])
        assert "02-31" in dates[0]


class TestWriteSample:
    def test_lists_every_file_once_in_order_of_arrival(self, directory, summary):
        paths = [*summary.history, *summary.today]
        assert sorted(paths) == sorted(path for path in directory.rglob("*") if path.is_file())
        leases = [path for path in paths if "leases" in path.parts]
        assert len(summary.history) - len([p for p in leases if p in summary.history]) == 51
        assert 200 < len(leases) < 300
        assert [path.name for path in summary.today if path not in leases] == [
            "sf_user_full_20261120T000000Z.csv",
            "events_2026-11-19.jsonl.gz",
            *(f"PRSA_Data_{station}_20261119.csv" for station in TestAirQuality.STATIONS),
        ]
        events = [path.name for path in paths if path.parent.name == "clickstream"]
        assert events == sorted(events)

    def test_says_what_is_planted_where(self, directory, summary):
        named = [sentence.split(": ")[0] for sentence in summary.planted]
        assert len(named) == 1 + 4 + 8 + 2 + 9 + 9
        assert all((directory / name).is_file() for name in named[1:])
        known = "clickstream/events_2026-11-19.jsonl.gz: 2,908 of 49,966 events have no client_id"
        assert any(sentence.startswith(known) for sentence in summary.planted)

    def test_writes_the_same_bytes_again_and_replaces(self, directory, summary, tmp_path):
        old = tmp_path / "clickstream" / f"events_{LAST_DAY}.jsonl.gz"
        old.parent.mkdir()
        old.write_text("old")
        write_sample(tmp_path, last_day=LAST_DAY)
        assert contents(tmp_path) == contents(directory)

    def test_another_seed_writes_other_bytes_with_the_known_counts(self, summary, tmp_path):
        other = write_sample(tmp_path, last_day=LAST_DAY, seed=8, days=1)
        assert other.history == ()
        assert other.today[1].read_bytes() != summary.today[1].read_bytes()
        events, broken = readable(raw_lines(tmp_path, 0))
        assert (len(without_client(events)), len(events), broken) == (2_908, 49_966, [])

    @pytest.mark.parametrize("scale", [0.0001, 0.05])
    def test_scale_shrinks_the_history_and_keeps_the_last_day(
        self, directory, summary, tmp_path, scale
    ):
        small = write_sample(tmp_path, last_day=LAST_DAY, scale=scale)
        assert small.planted == summary.planted
        assert [path.read_bytes() for path in small.today] == [
            path.read_bytes() for path in summary.today
        ]
        for before_last in range(1, 9):
            assert len(raw_lines(tmp_path, before_last)) < 3_000
        assert len(readable(raw_lines(tmp_path, 2))[1]) == 4
        assert EventDay(raw_lines(tmp_path, 4)).odd_values == (3, 2, 1)

    @pytest.mark.parametrize("days", [1, 3, 7, 12])
    def test_plants_what_there_are_days_for(self, tmp_path, days):
        summary = write_sample(tmp_path, last_day=LAST_DAY, days=days, scale=0.01)
        named = [sentence.split(": ")[0] for sentence in summary.planted]
        files = [name for name in named if "every day" not in name]
        assert all((tmp_path / name).is_file() for name in files)
        assert len(named) == len(files) + (days > 1)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"days": 0}, "days=0"),
            ({"scale": 0}, "scale=0"),
            ({"scale": float("nan")}, "scale=nan"),
            ({"last_day": date.max}, "9999-12-31"),
            ({"days": 800_000}, "800000 days"),
        ],
    )
    def test_refuses_what_cannot_be_written(self, tmp_path, arguments, message):
        with pytest.raises(ValueError, match=message):
            write_sample(tmp_path, **{"last_day": LAST_DAY, **arguments})
        assert list(tmp_path.iterdir()) == []

    def test_leaves_nothing_half_written(self, tmp_path):
        (tmp_path / "salesforce" / "sf_user_full_20261120T000000Z.csv").mkdir(parents=True)
        with pytest.raises(OSError, match="sf_user_full"):
            write_sample(tmp_path, last_day=LAST_DAY, days=1)
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
