"""A Kafka cluster (librdkafka's mock brokers) and its producer, in a process of their own.

Run by bench.streams as `python -m bench.stream_source TOPIC GROUP MESSAGES`; the address is its
first line. The brokers keep about 5 MB per partition: the producer stays that little ahead of what
the group says it has committed.
"""

from __future__ import annotations

import json
import random
import sys
from time import sleep, time

from confluent_kafka import Consumer, Producer, TopicPartition

PARTITIONS = 4
BYTES = 300
AHEAD = 60_000
"""Messages per partition; packed, they fit what the brokers keep."""
STEP = 2_000


def main(topic: str, group: str, messages: int) -> None:
    producer = Producer({"bootstrap.servers": "", "test.mock.num.brokers": 1, "linger.ms": 5,
                         "compression.type": "lz4", "batch.num.messages": 10_000})  # fmt: skip
    found = producer.list_topics(topic, timeout=10).brokers.values()
    address = ",".join(f"{each.host}:{each.port}" for each in found)
    print(address, flush=True)
    watcher = Consumer({"bootstrap.servers": address, "group.id": group})
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    values = values_of_300_bytes()
    written = [0] * PARTITIONS
    taken = [0] * PARTITIONS
    while sum(written) < messages:
        if min(w - t for w, t in zip(written, taken, strict=True)) > AHEAD - STEP:
            sleep(0.02)
            for each in watcher.committed(partitions, timeout=10):
                taken[each.partition] = max(0, each.offset)
            continue
        for partition in range(PARTITIONS):
            for number in range(STEP):
                producer.produce(topic, values[number % len(values)], partition=partition)
            written[partition] += STEP
            producer.flush()
    producer.flush()
    sys.stdin.read()


def values_of_300_bytes() -> list[bytes]:
    """Like events of a web shop, some of them with an escape in their text."""
    draw = random.Random(7)
    made = []
    for number in range(STEP):
        event = {
            "event_id": draw.getrandbits(60),
            "event_timestamp": int(time()) + number % 60,
            "client_id": f"c{draw.randrange(10**6)}",
            "page": f"/shop/{draw.randrange(10**4)}",
            "title": "Käse" if number % 100 == 0 else "Bread",
            "items": [1, 2.5, None],
        }
        text = json.dumps(event)
        made.append(json.dumps(event | {"pad": "x" * (BYTES - len(text) - 10)}).encode())
    return made


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
