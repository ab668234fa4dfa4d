"""`rampart landing`, and the look that every load begins with: what lies where the feeds land."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from monitors.alert.lines import result_line
from monitors.arrival.landing import Look, look
from monitors.arrival.storage import fits, list_place
from monitors.commands.runner import Runner
from monitors.config import Config
from monitors.config_feeds import place_of
from monitors.errors import ExitCode
from monitors.scan.register import with_mutes
from monitors.store.history import History
from monitors.store.landing import LandingHistory
from monitors.store.migrate import migrate
from monitors.verdict import Verdict
from monitors.warehouse.connection import Connection, connect


def look_at(runner: Runner, connection: Connection, name: str) -> Look:
    """Look at the landing place of a feed; writes nothing."""
    config, now = runner.config, runner.now()
    feed = config.feed(name)
    seen = look(
        name,
        feed,
        list_place(feed.path, config.root, mounted=feed.landing.mount),
        LandingHistory(connection, name),
        now,
        calendar=config.calendar_of(name),
        is_claimed=_claimed_by_others(config, name),
    )
    mutes = History(connection, config.environment).mutes(now)
    return replace(seen, results=tuple(with_mutes(seen.results, mutes)))


def show_landing(runner: Runner, names: Sequence[str]) -> Verdict:
    """The landing checks of feeds without loading; nothing is recorded."""
    with connect(runner.target) as connection:
        migrate(connection)
        looks = [look_at(runner, connection, name) for name in names]
        connection.rollback()
    results = tuple(result for each in looks for result in each.results)
    alerts = tuple(result_line(each) for each in results if each.is_red)
    code = ExitCode.RED if alerts else ExitCode.OK
    return Verdict(runner.run_id, code, results=results, alerts=alerts)


def _claimed_by_others(config: Config, name: str) -> Callable[[str], bool]:
    """Whether a name in the place of one feed is meant by the path of another one."""
    here = _absolute(config, place_of(config.feed(name).path)[0])
    others = [
        (_absolute(config, folder), pattern)
        for other, feed in config.feeds.items()
        if other != name
        for folder, pattern in (place_of(feed.path),)
    ]

    def is_claimed(file: str) -> bool:
        full = f"{here}/{file}"
        return any(
            full.startswith(f"{folder}/") and fits(full.removeprefix(f"{folder}/"), pattern)
            for folder, pattern in others
        )

    return is_claimed


def _absolute(config: Config, folder: str) -> str:
    return folder if "://" in folder else os.path.normpath(config.root / folder)
