"""`rampart consume` from a topic: every message once, a row or a dead letter, whatever dies.

A group of its own for each consumer saves the wait for the member before it to be given up: where
to go on stands in the warehouse. What does not depend on Kafka is tested with a folder.
"""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from monitors.commands.consume import Acceptance, Consumed, Consumers, Until
from monitors.errors import ConfigError, RampartError
from monitors.warehouse.target import Target
from tests.brokers import Brokers
from tests.streams import NOW, Site, message, wait_until

_numbers = count(1)


@pytest.fixture(scope="module")
def brokers() -> Iterator[Brokers]:
    with Brokers() as running:
        yield running


@pytest.fixture
def topic() -> str:
    return f"events-{next(_numbers)}"


@pytest.fixture
def site(
    tmp_path: Path,
    warehouse: Target,
    brokers: Brokers,
    topic: str,
    use: Callable[[Target], None],
) -> Iterator[Site]:
    use(warehouse)
    kafka = {"brokers": brokers.address, "topic": topic, "group": topic}
    made = Site(tmp_path, warehouse, kafka=kafka)
    yield made
    made.close()


def new_group(site: Site) -> None:
    site.write(kafka=site.stream["kafka"] | {"group": f"group-{next(_numbers)}"})


def consume(site: Site, accept: Acceptance | None = None, **settings: Any) -> Consumed:
    """Until the end of the topic, in this process."""
    new_group(site)
    return Consumers(site.write(**settings)).consume(until=Until(once=True), accept=accept)


def test_each_message_is_a_row_or_a_dead_letter_with_its_reason(
    site: Site, brokers: Brokers, topic: str
) -> None:
    """Poison of every kind stands between good messages, and none of it stops them."""
    poison: list[tuple[str | bytes | None, str]] = [
        ("{broken", "broken JSON"),
        ("[1]", "not a JSON object"),
        (b'{"n": 1, "t": 1, "x": "\xff"}', "not valid utf-8 at byte"),
        ('{"n": 1, "t": 1790000000, "x": "\\u0000"}', "NUL character"),
        ('{"n": 1, "t": NaN}', "broken JSON: NaN"),
        (None, "empty"),
        ("", "empty"),
        ('{"n": 1}', "no event time: there is no `t`"),
        ('{"n": 1, "t": "soon"}', "no event time: `t` is `soon`"),
        (message(1, NOW - 3601), "too late"),
        (message(1, x="y" * 2000), "oversized: 2,0"),
        ("[" * 100_000, "oversized"),
    ]
    for partition in range(2):
        late = message(partition * 100 + 1, NOW - 3599)
        brokers.write(topic, [message(partition * 100)], partition)
        brokers.write(topic, [value for value, _ in poison], partition)
        brokers.write(topic, [late, message(partition * 100 + 2)], partition)
    done = consume(site, max_record_bytes=1000)

    assert (30, 6, 24, 0) == (done.records, done.rows, done.dead_letters, done.exit_code)
    site.assert_exactly_once([0, 1, 2, 100, 101, 102], dead=24)
    found = site.letters()
    for partition in range(2):
        for at, (_value, reason) in enumerate(poison, start=1):
            assert found[partition * 12 + at - 1][:2] == (str(partition), at)
            assert found[partition * 12 + at - 1][2].startswith(reason)
    kept = site.ask(
        "select content, content_bytes from monitoring.dead_letters order by dead_letter_id"
    )
    assert kept[0] == (b"{broken", 7)
    assert b"\xff" in kept[2][0]
    assert (len(kept[11][0]), kept[11][1]) == (1000, 100_000)
    assert site.ask("select extracted_at_from, extract(epoch from extracted_at)::int"
                    " from monitoring.deliveries") == [("event time", NOW)]  # fmt: skip


def test_offsets_come_from_the_warehouse_and_not_from_the_group(
    site: Site, brokers: Brokers, topic: str
) -> None:
    """A group that has never read it reads nothing twice; each is told afterwards."""
    brokers.write(topic, [message(n) for n in range(40)])
    consume(site)
    group = {"bootstrap.servers": brokers.address, "group.id": site.stream["kafka"]["group"]}
    told = Consumer(group).committed([TopicPartition(topic, 0)], timeout=10)[0].offset
    brokers.write(topic, [message(n) for n in range(40, 44)])
    done = consume(site)

    assert told == 10
    assert done.records == 4
    site.assert_exactly_once(range(44))


def test_a_loss_stops_the_stream_and_is_accepted_by_name(
    site: Site, brokers: Brokers, topic: str
) -> None:
    """The brokers have thrown away what comes next: nothing is skipped until somebody says so. The
    same for a topic that ends before the offset that we have reached."""
    brokers.write(topic, [message(1)], 0)
    brokers.write(topic, [message(100)], 1)
    consume(site)
    brokers.write(topic, [message(n, pad="x" * 200_000) for n in range(2, 62)], 0)
    site.execute("update monitoring.stream_offsets set next_offset = 50 where partition = '1'")
    done = consume(site)

    assert done.exit_code == 1
    assert done.alerts[0].startswith("!! ALERT: STREAM DATA LOSS !! - web: partition 0: next is")
    assert "offset 1, the first one that the broker has is" in done.alerts[0]
    assert "1: next is offset 50, the topic ends at 1: it was cut, or made anew" in done.alerts[0]
    assert site.numbers() == [1, 100]
    assert site.ask(
        "select status, error_type from monitoring.pipeline_logs where status <> 'succeeded'"
    ) == [("failed", "DATA_LOSS")]
    with pytest.raises(RampartError, match="--why"):
        consume(site, accept=Acceptance("kim", " "))
    done = consume(site, accept=Acceptance("kim", "the disk was full"))
    assert (done.exit_code, done.losses_accepted) == (0, 2)
    found = [n for n in site.numbers() if n not in (1, 100)]
    assert found == list(range(found[0], 62))
    assert site.ask(
        "select partition, from_offset, to_offset, accepted_by, why from monitoring.stream_losses"
    ) == [
        ("0", 1, found[0] - 1, "kim", "the disk was full"),
        ("1", 50, 0, "kim", "the disk was full"),
    ]


@pytest.mark.timeout(180)
def test_two_consumers_of_one_group_share_it_and_one_takes_over(
    site: Site, brokers: Brokers, topic: str
) -> None:
    """Partitions move while messages come; killing one of them loses and repeats nothing."""
    kafka = site.stream["kafka"] | {"session_timeout": "4 seconds"}
    site.write(max_records_per_batch=50, kafka=kafka)
    stop = threading.Event()
    produced = count()
    written: list[int] = []

    def produce() -> None:
        while not stop.is_set():
            numbers = [next(produced) for _ in range(40)]
            brokers.write(topic, [message(n) for n in numbers])
            written.extend(numbers)
            time.sleep(0.05)

    writer = threading.Thread(target=produce)
    writer.start()
    both = [site.start("consume"), site.start("consume")]
    try:
        wait_until(
            lambda: (
                site.ask(
                    "select count(distinct pid), sum(partitions) from monitoring.stream_heartbeats"
                    " where partitions > 0 and records > 0"
                )
                == [(2, 4)]
            )
        )
        both[0].kill()
        seen = site.count()
        wait_until(lambda: site.count() > seen + 500)
        stop.set()
        writer.join()
        wait_until(lambda: site.count() == len(written))
        both[1].send_signal(signal.SIGTERM)
        out, err = both[1].communicate(timeout=30)
    finally:
        stop.set()
        for each in both:
            each.kill()
            each.communicate()

    assert both[1].returncode == 143, err
    assert "exit code 143" in out
    site.assert_exactly_once(written)


def test_sigterm_finishes_the_batch(site: Site, brokers: Brokers, topic: str) -> None:
    """A batch that waits for its trigger is committed, and the exit code is 143."""
    site.write(trigger_interval="1 minute")
    brokers.write(topic, [message(n) for n in range(100)])
    process = site.start("consume")
    assert process.stderr is not None
    stderr = process.stderr
    wait_until(lambda: "partitions assigned" in stderr.readline())
    time.sleep(5)  # the messages are read, and wait
    before = site.count()
    process.send_signal(signal.SIGTERM)
    _out, err = process.communicate(timeout=30)

    assert before == 0
    assert process.returncode == 143, err
    site.assert_exactly_once(range(100))
    assert site.ask("select exit_code from monitoring.runs") == [(143,)]
    assert site.ask("select * from monitoring.stream_heartbeats") == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kill_9_loses_and_repeats_nothing(site: Site, brokers: Brokers, topic: str) -> None:
    """Whenever it dies, the next one goes on where the warehouse stands."""
    times = 40
    site.write(max_records_per_batch=20, trigger_interval="0.1 seconds")
    numbers = range(2000 * times)
    brokers.write(topic, [message(n) if n % 50 else "{broken" for n in numbers])
    chance = random.Random(times)
    killed = 0
    for _ in range(times):
        new_group(site)
        pause = chance.random() / 20
        killed += site.kill_after(chance.randrange(20, 400), pause, "consume", "--once")
    new_group(site)
    code, _out, err = site.run("consume", "--once")

    assert killed > 0
    assert code == 0, err
    site.assert_exactly_once([n for n in numbers if n % 50], dead=len(numbers) // 50)


@pytest.mark.slow
def test_brokers_that_went_away_are_not_the_end_of_the_topic(site: Site, topic: str) -> None:
    """Who ends by itself says that everything was seen; here nobody can say so."""
    with Brokers() as others:
        site.write(kafka=site.stream["kafka"] | {"brokers": others.address})
        others.write(topic, [message(n) for n in range(10)])
        process = site.start("consume", "--until-idle", "4")
        wait_until(lambda: site.count() == 10)
    _out, err = process.communicate(timeout=60)

    assert process.returncode == 1, err
    assert "!! ALERT: STREAM FAILURE !! - web: brokers" in err
    assert site.ask("select status from monitoring.data_quality_metrics"
                    " where check_id = 'job.consume.web'") == [("fail",)]  # fmt: skip


def test_it_says_what_is_wrong_before_it_starts(site: Site) -> None:
    """A stream that nobody declared, a secret that is not set, an address where nobody answers."""
    with pytest.raises(RampartError, match=r"stream `wep` is not in .*; known: web"):
        Consumers(site.write()).consume("wep")
    with pytest.raises(RampartError, match="`web` is a stream, not a feed of files"):
        site.call("load", "web")
    kafka = site.stream["kafka"]
    security = {"protocol": "SASL_SSL", "username": "u", "password": {"env": "NO_SUCH"}}
    with pytest.raises(ConfigError, match=r"password.*NO_SUCH is not set"):
        consume(site, kafka=kafka | {"security": security})

    assert site.ask("select exit_code from monitoring.runs") == [(2,)]


def test_brokers_that_do_not_answer_are_an_alert_and_few_lines(site: Site) -> None:
    """Red, not misconfigured; the client's complaints come once a minute, under a name."""
    site.write(kafka=site.stream["kafka"] | {"brokers": "127.0.0.1:9"})
    process = site.start("consume", "--once")
    _out, err = process.communicate(timeout=60)
    lines = [line for line in err.splitlines() if line.startswith("{") and "Migrations" not in line]

    assert process.returncode == 1, err
    assert err.count("!! ALERT: STREAM FAILURE !! - web: brokers 127.0.0.1:9: ") == 1
    assert len(lines) <= 8, err
    assert all(json.loads(line)["component"] for line in lines)


def test_a_missing_client_says_what_to_install(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is an extra."""
    import sys

    monkeypatch.delitem(sys.modules, "monitors.arrival.stream_kafka", raising=False)
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(ConfigError, match=r"pip install 'rampart\[kafka\]'"):
        consume(site)
