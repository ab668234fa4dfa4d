"""Scans that are killed: `python -m tests.crashing ROOT CHANNEL_VARIABLE KILLS SEED`.

Imports once and forks a child per kill. Each child records red checks and sends alerts about them
until it dies by SIGKILL: at the n-th step of scan -> commit -> claim -> send -> mark, or at a
moment that nobody chose. The last child is left alone, and sends what is left.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

import psycopg

from monitors import log
from monitors.alert.channels.webhook import Webhook
from monitors.commands import notify
from monitors.store.incidents import Incidents
from monitors.store.outbox import Outbox
from monitors.store.postgres import Store
from monitors.warehouse.connection import resolve_target
from tests.alerting import MORNING, Clock, Desk, verdict_of
from tests.steps import strike_at

STEPS: list[tuple[type, str]] = [
    (Store, "add_results"),
    (Incidents, "change"),
    (Outbox, "add"),
    (psycopg.Connection, "commit"),
    (Outbox, "claim"),
    (Webhook, "send"),
    (Outbox, "mark_sent"),
]


def main() -> None:
    root, variable, kills, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
    log.configure(level="error")
    chance = random.Random(seed)
    channel = {"type": "webhook", "url": {"env": variable}, "timeout": "1 second"}
    target = resolve_target(root)
    for number in range(kills + 1):
        # five minutes later: what the one before had claimed is free again
        clock = Clock(MORNING + timedelta(minutes=5 * number))
        desk = Desk(target, root, {"channels": {"oncall": channel}}, clock)
        is_last = number == kills
        pid = os.fork()
        if pid == 0:
            at_step = chance.randrange(1, 60) if number % 2 and not is_last else None
            os._exit(_child(desk, number, at_step, is_last))
        if not is_last and number % 2 == 0:
            time.sleep(chance.uniform(0.02, 0.4))
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if is_last and status != 0:
            raise SystemExit(f"the last child ended with {status}")


def _child(desk: Desk, number: int, at_step: int | None, is_last: bool) -> int:
    if at_step is not None:
        strike_at(at_step, _die, STEPS)
    if is_last:
        while desk.notify().sent:
            pass
        return 0
    for scan in range(100):
        name = f"c{number}_{scan}"
        desk.clock.move(seconds=1)
        desk.scan(verdict_of(f"shop.{name}", dataset=f"facts.{name}"))
    return 0


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    notify.BUDGET = timedelta(minutes=1)
    main()
