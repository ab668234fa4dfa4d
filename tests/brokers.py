"""A Kafka cluster on loopback: librdkafka's mock brokers, in a process of their own.

They speak the real protocol, groups and retention (about 5 MB per partition) included. Run as a
module it serves until its stdin closes; the first line of stdout is its address.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable

from confluent_kafka import Producer

PARTITIONS = 4
"""What a topic of the mock cluster has."""


class Brokers:
    """Start and stop the cluster, and write to its topics."""

    def __enter__(self) -> Brokers:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.brokers"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()
        self._producer = Producer({"bootstrap.servers": self.address, "linger.ms": 5})
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def write(
        self, topic: str, values: Iterable[str | bytes | None], partition: int | None = None
    ) -> None:
        """Each value as one message; spread over the partitions when none is named."""
        for number, value in enumerate(values):
            where = number % PARTITIONS if partition is None else partition
            key = b"tombstone" if value is None else None
            while True:
                try:
                    self._producer.produce(topic, value, key, partition=where)
                    break
                except BufferError:
                    self._producer.poll(0.05)
            self._producer.poll(0)
        assert self._producer.flush(30) == 0


def _serve() -> None:
    producer = Producer({"bootstrap.servers": "", "test.mock.num.brokers": 1})
    brokers = producer.list_topics(timeout=10).brokers.values()
    print(",".join(f"{each.host}:{each.port}" for each in brokers), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _serve()
