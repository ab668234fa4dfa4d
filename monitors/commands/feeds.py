"""What a warehouse knows of feeds and streams before anything of them arrives."""

from __future__ import annotations

from monitors.arrival.raw import ensure_table
from monitors.commands.runner import Runner
from monitors.store.postgres import Store


def prepare_feeds(runner: Runner, store: Store) -> None:
    """Settings that SQL reads, and a raw table for every feed, so that dbt can always build."""
    for name, feed in runner.config.arrivals.items():
        store.register_feed(name, feed, runner.config.calendar_of(name))
        ensure_table(store.connection, feed)
    store.connection.commit()
