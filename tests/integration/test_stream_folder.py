"""`rampart consume` from a growing folder, and what holds for streams of every source."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from monitors.commands.consume import Acceptance, Consumed, Consumers, Until
from monitors.config import load_config
from monitors.errors import RampartError
from monitors.warehouse.target import Target
from tests.streams import NOW, Site, message, wait_until


@pytest.fixture
def site(tmp_path: Path, warehouse: Target, use: Callable[[Target], None]) -> Iterator[Site]:
    use(warehouse)
    (tmp_path / "in").mkdir()
    made = Site(tmp_path, warehouse, folder={"path": "in/**/*.jsonl"})
    yield made
    made.close()


def append(site: Site, name: str, *lines: str | bytes, end: bytes = b"\n") -> None:
    path = site.folder / "in" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        for line in lines:
            file.write((line.encode() if isinstance(line, str) else line) + end)


def consume(site: Site, accept: Acceptance | None = None, **settings: Any) -> Consumed:
    """Until the end of the folder, in this process."""
    return Consumers(site.write(**settings)).consume(until=Until(once=True), accept=accept)


# -------------------------------------------------------------------- the folder


def test_new_files_and_files_that_grow_by_whole_lines(site: Site) -> None:
    """A last line without its end waits; blank lines, a BOM and line ends of Windows are none."""
    append(site, "a.jsonl", b"\xef\xbb\xbf" + message(1).encode(), message(2) + "\r", "", " \r")
    append(site, "a.jsonl", message(3)[:7], end=b"")
    append(site, "deep/er/b.jsonl", message(4))
    append(site, "c.jsonl.part", message(99))
    assert consume(site).records == 3
    append(site, "a.jsonl", message(3)[7:], message(5))
    assert consume(site).records == 2
    assert consume(site).records == 0

    site.assert_exactly_once([1, 2, 3, 4, 5])
    size = (site.folder / "in" / "a.jsonl").stat().st_size
    assert site.ask(
        "select next_offset from monitoring.stream_offsets order by 1 desc limit 1"
    ) == [(size,)]


def test_few_files_and_few_records_make_a_batch(site: Site) -> None:
    """max_files_per_trigger and max_records_per_batch bound what one transaction takes."""
    for number in range(5):
        append(site, f"{number}.jsonl", message(number))
    append(site, "z.jsonl", *(message(n) for n in range(10, 20)))
    done = consume(site, max_files_per_trigger=2, max_records_per_batch=4)

    site.assert_exactly_once([*range(5), *range(10, 20)])
    counts = [row[0] for row in site.ask("select records from monitoring.deliveries")]
    assert done.batches == len(counts) >= 5
    assert max(counts) <= 4
    files = site.ask("select max(n) from (select count(*) as n from monitoring.stream_batches"
                     " group by delivery_id) c")  # fmt: skip
    assert files == [(2,)]


def test_an_oversized_line_is_a_dead_letter_once_it_has_an_end(site: Site) -> None:
    """Its beginning is kept, its length is told, and memory holds no more than that."""
    huge = "x" * 9_000_000
    append(site, "a.jsonl", message(1), huge, end=b"\n")
    append(site, "a.jsonl", huge, end=b"")
    assert consume(site, max_record_bytes=100).dead_letters == 1
    append(site, "a.jsonl", "y", message(2))
    done = consume(site)

    assert (done.rows, done.dead_letters) == (1, 1)
    site.assert_exactly_once([1, 2], dead=2)
    assert site.ask("select length(content), content_bytes from monitoring.dead_letters"
                    " order by dead_letter_id") == [(100, 9_000_000), (100, 9_000_001)]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.write_text(message(7) + "\n"), "it was cut, or made anew"),
        (lambda path: path.write_text("x" + path.read_text()), "this is another file"),
    ],
)
def test_a_file_that_was_cut_or_replaced_is_a_loss(
    site: Site, change: Callable[[Path], Any], said: str
) -> None:
    """Its offset means nothing any more: it stops, and goes on from its beginning when told."""
    append(site, "a.jsonl", message(1), message(2), message(3))
    consume(site)
    change(site.folder / "in" / "a.jsonl")
    done = consume(site)

    assert done.exit_code == 1
    assert (
        "!! ALERT: STREAM DATA LOSS !! - web: partition a.jsonl: next is offset" in done.alerts[0]
    )
    assert said in done.alerts[0]
    assert site.numbers() == [1, 2, 3]
    done = consume(site, accept=Acceptance("kim", "rotated by hand"))
    assert (done.exit_code, done.losses_accepted) == (0, 1)


def test_what_is_put_back_after_an_accepted_loss_is_taken(site: Site) -> None:
    """The same bytes at the same offsets, once more: another delivery, and none of it is late."""
    lines = [message(number, NOW + number) for number in range(500)]
    append(site, "a.jsonl", *lines)
    consume(site, max_records_per_batch=200)
    path = site.folder / "in" / "a.jsonl"
    kept = path.read_bytes()
    for times in (1, 2):
        path.write_bytes(b"")
        assert consume(site).exit_code == 1
        assert consume(site, accept=Acceptance("kim", "rotated by hand")).exit_code == 0
        path.write_bytes(kept)
        done = consume(site, max_records_per_batch=200)

        assert (done.exit_code, done.rows, done.dead_letters) == (0, 500, 0)
        names = {row[0] for row in site.ask("select name from monitoring.deliveries")}
        assert any(name.endswith(f", anew {times}") for name in names)


def test_a_folder_that_is_not_there_is_no_end(site: Site) -> None:
    """Nothing to read and nothing to be read are two things."""
    (site.folder / "in").rmdir()
    code, _out, err = site.run("consume", "--once")

    assert code == 1
    assert "!! ALERT: STREAM FAILURE !! - web: " in err
    assert "there is no such folder" in err


def test_csv_lines(site: Site) -> None:
    """A line is a record of the declared columns; the event time is one of them."""
    append(site, "a.csv", '1,2026-01-01T10:00:00Z,"a,""b"', "2,2026-01-01 09:30,c")
    append(site, "a.csv", "3,2026-01-01T10:00:00+02:00,", "4,2026-01-01", 'x"y,,', "5,soon,")
    done = consume(
        site, folder={"path": "in/*.csv"}, format="csv", columns=["n", "at", "text"],
        event_time="at", event_time_format="iso8601",
    )  # fmt: skip

    assert (done.rows, done.dead_letters) == (2, 4)
    assert site.ask("select n, at, text from web_raw.events order by n") == [
        ("1", "2026-01-01T10:00:00Z", 'a,"b'),
        ("2", "2026-01-01 09:30", "c"),
    ]
    reasons = [reason for _partition, _offset, reason in site.letters()]
    assert reasons[0].startswith("too late: 2026-01-01 08:00:00 is 2:00:00 behind")
    assert reasons[1] == "2 fields where the header has 3"
    assert reasons[3] == "no event time: `at` is `soon`, no iso8601"


# -------------------------------------------------------------------- every source


def test_a_message_is_the_payload_as_it_came(site: Site) -> None:
    """Whatever JSON can say, the text is the message."""
    text = '{"n": 1, "t": "1790000000", "a": "é漢😀\\n\\"\\u00e9", "b": [1.0, 1e999, '
    append(site, "a.jsonl", text + "9" * 5000 + "]}")
    consume(site)

    assert site.ask("select payload::text from web_raw.events") == [(text + "9" * 5000 + "]}",)]


def test_a_record_that_only_postgres_refuses_is_a_dead_letter(site: Site) -> None:
    """It is found among a thousand good ones, and none of those is lost."""
    deep = '{"n": 1, "t": 1790000000, "x": ' + "[" * 7000 + "]" * 7000 + "}"
    append(site, "a.jsonl", *(message(n) for n in range(700)), deep)
    append(site, "a.jsonl", *(message(n) for n in range(700, 2500)))
    consume(site)

    (letter,) = site.letters()
    assert "Postgres refuses" in letter[2] or "nested too deeply" in letter[2]
    site.assert_exactly_once(range(2500), dead=1)


def test_the_watermark_survives_and_the_future_does_not_move_it(site: Site) -> None:
    """Late is late to the next consumer, too; a clock that runs ahead makes nobody late."""
    now = time.time()
    append(site, "a.jsonl", message(1, now + 10**8), message(2, now - 3000))
    append(site, "b.jsonl", message(3, NOW), message(4, NOW - 3600), message(5, NOW - 3601))
    assert (consume(site).dead_letters) == 1
    append(site, "b.jsonl", message(6, NOW - 4000))
    append(site, "new.jsonl", message(7, NOW - 9000))
    done = consume(site)

    assert (done.rows, done.dead_letters) == (1, 1), "each file has a watermark of its own"
    append(site, "backlog.jsonl", message(8, NOW), message(9, now + 10**8), message(10, NOW))
    append(site, "a.jsonl", message(11, now + 10**8))
    assert consume(site).dead_letters == 0, "a wrong clock makes nothing of a backlog late"
    site.assert_exactly_once([1, 2, 3, 4, 7, 8, 9, 10, 11], dead=2)


def test_a_checkpoint_belongs_to_one_stream(site: Site) -> None:
    """Its offsets mean nothing to another one."""
    consume(site)
    path = site.folder / "rampart.yml"
    path.write_text(path.read_text().replace("  web:", "  app:"))

    with pytest.raises(RampartError, match="checkpoint `web` belongs to the stream `web`"):
        Consumers(load_config(path)).consume(until=Until(once=True))


def test_dead_letters_in_a_folder(site: Site) -> None:
    """One file per batch beside the table, whole, and written later when it could not be."""
    folder = site.folder / "dead" / "web"
    folder.parent.write_text("in the way")
    append(site, "a.jsonl", "{broken", b"\xff", message(1))
    done = consume(site, dlq_path="dead/web")
    assert done.exit_code == 1
    assert "dead letters cannot be written to" in done.alerts[0]
    folder.parent.unlink()
    assert consume(site).exit_code == 0

    (path,) = folder.iterdir()
    first, second = map(json.loads, path.read_text().splitlines())
    assert (first["content"], first["partition"], first["offset"]) == ("{broken", "a.jsonl", 0)
    assert second["content_base64"] == "/w=="
    path.unlink()
    consume(site)
    assert list(folder.iterdir()) == [], "what somebody took away is not written again"


def test_two_consumers_that_read_the_same_commit_it_once(site: Site) -> None:
    """Who is second finds the offsets moved, drops its batch and goes on behind it."""
    site.write(max_records_per_batch=40)
    numbers = range(6000)
    for start in range(0, len(numbers), 1000):
        append(site, f"{start}.jsonl", *(message(n) for n in numbers[start : start + 1000]))
    both = [site.start("consume", "--until-idle", "1") for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:  # a full pipe would hold one of them up in mid-batch
        said = list(pool.map(lambda each: each.communicate(timeout=60)[1], both))

    assert [each.returncode for each in both] == [0, 0], said
    assert "batch dropped: another consumer took it" in "".join(said)
    assert "stage failed" not in "".join(said), "with two consumers that is no failure"
    site.assert_exactly_once(numbers)


@pytest.mark.parametrize(
    "times", [10, pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
def test_kill_9_loses_and_repeats_nothing(site: Site, times: int) -> None:
    """Killed at random points, while the folder grows by half lines."""
    site.write(max_records_per_batch=10, trigger_interval="0.1 seconds")
    chance = random.Random(times)
    numbers = range(600 * times)
    lines = "".join((message(n) if n % 50 else "{broken") + "\n" for n in numbers).encode()
    stop = threading.Event()

    def grow() -> None:
        for start in range(0, len(lines), 4001):
            append(site, "a.jsonl", lines[start : start + 4001], end=b"")
            stop.wait(0.01)

    writer = threading.Thread(target=grow)
    writer.start()
    killed = 0
    for _ in range(times):
        killed += site.kill_after(chance.randrange(5, 200), chance.random() / 20, "consume")
    stop.set()
    writer.join()
    code, _out, err = site.run("consume", "--once")

    assert killed == times
    assert code == 0, err
    site.assert_exactly_once([n for n in numbers if n % 50], dead=len(numbers) // 50)
    assert site.ask("select count(*) from monitoring.stream_heartbeats") != [(0,)], "killed ones"


def test_the_warehouse_goes_away_and_comes_back(site: Site) -> None:
    """Every connection is cut in the middle, twice: the position is kept, nothing is repeated."""
    site.write(max_records_per_batch=50)
    append(site, "a.jsonl", *(message(n) for n in range(8000)))
    process = site.start("consume", "--until-idle", "2")
    for enough in (200, 1200):
        wait_until(lambda enough=enough: site.count() >= enough)
        site.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    _out, err = process.communicate(timeout=60)

    assert process.returncode == 0, err
    assert "warehouse away" in err
    site.assert_exactly_once(range(8000))


def test_a_commit_of_which_nobody_knows_the_outcome_is_looked_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection dies after the commit and before its answer: the batch is not repeated."""
    from monitors.commands import consume as module

    real, cut = module.take_batch, []

    def then_cut(store: Any, *arguments: Any) -> Any:
        taken = real(store, *arguments)
        if not cut:
            cut.append(True)
            store.connection.commit()
            store.connection.close()
        return taken

    monkeypatch.setattr(module, "take_batch", then_cut)
    append(site, "a.jsonl", *(message(n) for n in range(100)))
    done = consume(site, max_records_per_batch=30)

    assert done.exit_code == 0
    assert cut == [True]
    site.assert_exactly_once(range(100))


def test_a_warehouse_that_stays_away_ends_it_after_the_declared_time(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2 and one line; the next consumer goes on where this one was."""
    from monitors.commands import consume as module

    def full(*_: Any) -> None:
        raise psycopg.errors.DiskFull("could not extend file: No space left on device")

    append(site, "a.jsonl", *(message(n) for n in range(100)))
    with monkeypatch.context() as patch:
        patch.setattr(module, "take_batch", full)
        done = consume(site, give_up_after="1 second")

    assert done.exit_code == 2
    assert "!! ALERT: STREAM FAILURE !! - web: the warehouse was away for 0:00:01" in done.alerts[0]
    assert "No space left" in done.alerts[0]
    assert consume(site).exit_code == 0
    site.assert_exactly_once(range(100))


# -------------------------------------------------------------------- dead letters as a desk


def test_dead_letters_are_listed_shown_replayed_and_discarded(site: Site) -> None:
    """What is a row by the settings of now moves into raw exactly once; what is not stays."""
    append(site, "a.jsonl", message(1), "{broken", message(2, NOW - 7200), message(3, x="y" * 500),
           '{"n": 4, "at": 1790000000}', '{"n": 5, "mail": "a@b.c", "t": "?"}')  # fmt: skip
    consume(site, max_record_bytes=300, personal=["mail"])
    code, out = site.call("deadletters", "list")
    assert code == 0
    assert [line.split("  ")[0] for line in out.splitlines()[1:5]] == ["web"] * 4
    code, out = site.call("deadletters", "show", "5")
    assert "a@b.c" not in out
    assert '"mail": "***"' in out
    assert "partition a.jsonl, offset" in out

    site.write(max_record_bytes=1000)
    code, out = site.call("deadletters", "replay", "--dry-run", "--json")
    assert json.loads(out)["dry_run"] is True
    assert site.numbers() == [1]
    code, out = site.call("deadletters", "replay", "--by", "kim")
    assert code == 0
    assert "replayed  web: 1, can be read" in out, "the late one; of the oversized a part is kept"
    assert site.numbers() == [1, 2]
    code, out = site.call("deadletters", "replay", "--reason", "too late")
    assert "no open dead letter matches" in out
    assert site.ask(
        "select d.decision, d.decided_by, v.name like 'replay/%', v.rows"
        " from monitoring.dead_letter_decisions d"
        " join monitoring.deliveries v on v.delivery_id = d.replay_delivery_id"
    ) == [("replayed", "kim", True, 1)]

    with pytest.raises(RampartError, match="say which: --feed, --delivery, --reason or --letter"):
        site.call("deadletters", "discard", "--why", "all of it")
    code, out = site.call(
        "deadletters", "discard", "--reason", "broken", "--why", "a test of the sender"
    )
    assert "discarded web: 1" in out
    code, out = site.call("deadletters", "list", "--json")
    assert sum(each["letters"] for each in json.loads(out)) == 3
    site.assert_exactly_once([1, 2], dead=5)


def test_dead_letters_of_a_feed_of_files_can_be_replayed(site: Site) -> None:
    """Those of JSON Lines; a CSV's columns stand in its file."""
    (site.folder / "rampart.yml").write_text(
        "feeds:\n"
        "  lines: {table: web_raw.events, format: jsonl, path: 'in/*.jsonl'}\n"
        "  cells: {table: web_raw.cells, format: csv, path: 'in/*.csv'}\n"
    )
    append(site, "a.jsonl", '{"n": 1}', '{"n": 2}', "{broken", '{"n": 3}')
    append(site, "a.csv", "a,b", "1,2", "3", "4,5")
    assert site.call("load")[0] == 0
    site.execute("update monitoring.dead_letters set content = '{\"n\": 4}', content_bytes = 8"
                 " where feed = 'lines'")  # fmt: skip
    code, out = site.call("deadletters", "replay")

    assert code == 0
    assert "replayed  lines: 1" in out
    assert "stays     cells: 1, its columns stand in the head of its file" in out
    assert site.numbers() == [1, 2, 3, 4]
    (cell,) = site.ask("select dead_letter_id from monitoring.dead_letters where feed = 'cells'")
    _code, shown = site.call("deadletters", "show", str(cell[0]))
    assert "its columns stand in the head of its file" in shown
    assert "deadletters replay" not in shown
    with pytest.raises(RampartError, match=r"`wep` is not in"):
        site.call("deliveries", "list", "wep")
