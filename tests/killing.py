"""Commands that are killed: `python -m tests.killing PROJECT FILES POINTS SEED`.

Imports once and forks a child per point, which runs a command of the command line until it, or the
embedded Postgres under it, dies by SIGKILL or an immediate stop: at the n-th step that it takes
on the database, or at a moment that nobody chose. After each point the books must balance and the
same command must simply work; after each round the marts must be those of an undisturbed twin.
Prints one JSON object a point, and exits with 1 when anything was lost.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg

from monitors import cli
from monitors.warehouse.connection import connect, resolve_target, state_folder
from monitors.warehouse.embedded import EmbeddedPostgres
from tests.steps import strike_at

ROUND = [
    *[("load", "command")] * 8, *[("load", "stop")] * 2, *[("load", "postmaster")] * 2,
    *[("build", "command")] * 2, ("build", "stop"), ("build", "postmaster"),
    ("scan", "command"), ("scan", "postmaster"), ("notify", "command"), ("notify", "stop"),
]  # fmt: skip
"""20 points: which command runs, and what is killed under it."""
SHORT = [
    *[("load", "command")] * 2,
    ("load", "stop"),
    ("build", "command"),
    ("scan", "postmaster"),
    ("notify", "command"),
]
STEPS = [
    (psycopg.Connection, "execute"), (psycopg.Connection, "commit"), (psycopg.Copy, "write"),
    (psycopg.Cursor, "execute"), (psycopg.Cursor, "executemany"),
]  # fmt: skip
STEPS_OF = {"load": 250, "scan": 150, "notify": 30}
"""About so many steps a command takes, before and after counted apart."""
MARTS = ("facts.fact_events", "facts.fact_orders", "facts.fact_air_quality_measurements",
         "facts.fact_lease_documents", "salesforce_curated.dim_sf_user_scd",
         "quarantine.violations")  # fmt: skip
LONGEST = {"load": 1.0, "build": 8.0, "scan": 1.5, "notify": 0.3}
"""Seconds that a command takes until one was measured."""
PATIENCE = 120
"""Seconds after which a command that lost its database counts as hanging."""


@dataclass
class Point:
    """One kill and what came of it."""

    number: int
    command: str
    victim: str
    moment: str
    struck: bool = False
    """The command was still at work when its victim died."""
    ended: str = ""
    run: str = ""
    faults: list[str] = field(default_factory=list)


class Project:
    """A project on an embedded Postgres of its own, and the files that have yet to arrive."""

    def __init__(self, root: Path, files: Path, seed: int) -> None:
        self.root = root
        self.files = files
        self.chance = random.Random(seed)
        self.embedded = EmbeddedPostgres(state_folder(root))
        self.took = dict(LONGEST)
        self.output = root / "output.txt"
        self.mark = root / "struck"
        """There once somebody has struck."""

    def begin(self, slices: int) -> list[list[Path]]:
        """An empty warehouse; the files in order of arrival, in slices."""
        self.embedded.reset()
        shutil.rmtree(self.root / "landing", ignore_errors=True)
        shutil.rmtree(self.root / "target", ignore_errors=True)
        names = [Path(name) for name in (self.files / "order.txt").read_text().splitlines()]
        # a required feed that has never a file is red: each begins with the first load
        first = list({name.parts[0]: name for name in reversed(names)}.values())
        rest = [name for name in names if name not in first]
        found = [rest[at::slices] for at in range(slices)]
        return [[*first, *found[0]], *found[1:]]

    def arrive(self, names: list[Path]) -> None:
        for name in names:
            target = self.root / "landing" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.files / name, target)

    def start(self, command: str, at_step: int | None = None, victim: str = "command") -> int:
        """A child that runs a command of the command line, and kills at a step; its pid."""
        pid = os.fork()
        if pid:
            return pid
        try:
            handle = os.open(self.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            if at_step is not None:
                strike_at(at_step, lambda: self.strike(os.getpid(), victim), STEPS)
            sys.argv = ["rampart", "--config", str(self.root), "--log-level", "error", command]
            cli.main()
        except SystemExit as ended:
            os._exit(int(ended.code or 0))
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(99)

    def run(self, command: str) -> int:
        """A command that nobody disturbs; its exit code."""
        began = time.monotonic()
        _, status = os.waitpid(self.start(command), 0)
        self.took[command] = time.monotonic() - began
        return os.waitstatus_to_exitcode(status)

    def strike(self, child: int, victim: str) -> None:
        """Kill the command, or Postgres; `stop` is an immediate one, SIGQUIT as pg_ctl sends it."""
        self.mark.touch()
        if victim == "command":
            os.kill(child, signal.SIGKILL)
            return
        with suppress(OSError, ValueError, IndexError):
            pid = int((self.embedded.data / "postmaster.pid").read_text().splitlines()[0])
            os.kill(pid, signal.SIGQUIT if victim == "stop" else signal.SIGKILL)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with connect(resolve_target(self.root)) as connection:
            return connection.execute(query.encode()).fetchall()

    def has(self, table: str) -> bool:
        return self.rows(f"select to_regclass('{table}')")[0][0] is not None


def disturb(project: Project, point: Point) -> None:
    """Run the command of a point and kill its victim."""
    # a load is short: most moments at which Postgres dies by the clock are after its end
    every = 2 if point.victim == "command" else 4
    project.mark.unlink(missing_ok=True)
    if point.command != "build" and point.number % every:
        step = project.chance.randrange(1, STEPS_OF[point.command])
        point.moment = f"step {step}"
        code = wait(project.start(point.command, step, point.victim))
        point.struck = project.mark.exists()
    else:
        delay = project.chance.uniform(0.1, 0.7) * project.took[point.command]
        point.moment = f"{delay:.2f} s"
        pid = project.start(point.command)
        time.sleep(delay)
        point.struck = is_running(pid)
        project.strike(pid, point.victim)
        code = wait(pid)
    if code is None:
        point.faults.append(f"hangs for {PATIENCE} s after its database has died")
        return
    point.ended = "killed" if code == -signal.SIGKILL else f"exit {code}"
    said = project.output.read_text(errors="replace")
    if "Traceback" in said or code == 99:
        point.faults.append(f"a traceback: {said[-1500:]}")
    if point.victim != "command" and code not in (0, 1, 2):
        point.faults.append(f"exit code {code}")


def is_running(pid: int) -> bool:
    """A child that has ended is a zombie until somebody waits for it."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait(pid: int) -> int | None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def books(project: Project) -> Iterator[str]:
    """What does not balance between deliveries, raw and dead letters: empty when all is well."""
    if not project.has("monitoring.feeds"):
        return
    for feed, table in project.rows("select feed, raw_table from monitoring.feeds"):
        if not project.has(table):
            continue
        yield from (
            f"{feed}, delivery {delivery}: {written} rows counted, {found} in raw"
            for delivery, written, found in project.rows(
                f"select delivery_id, rows, found from (select delivery_id, rows from"
                f" monitoring.deliveries where feed = '{feed}') as said full join (select"
                f" _delivery_id as delivery_id, count(*) as found from {table} group by 1) as raw"
                " using (delivery_id) where coalesce(rows, 0) <> coalesce(found, 0)"
            )
        )
        yield from (
            f"{feed}: row {row} is there twice"
            for row in project.rows(
                f"select _delivery_id, _source_row from {table} group by 1, 2 having count(*) > 1"
            )
        )
    yield from (
        f"delivery {delivery}: {counted} dead letters counted, {found} found"
        for delivery, counted, found in project.rows(
            "select delivery_id, dead_letters, (select count(*) from monitoring.dead_letters as"
            " letters where letters.delivery_id = deliveries.delivery_id) from"
            " monitoring.deliveries"
        )
        if counted != found
    )


def open_runs(project: Project) -> list[str]:
    if not project.has("monitoring.runs"):
        return []
    query = "select command from monitoring.runs where ended_at is null order by run_id"
    return [row[0] for row in project.rows(query)]


def play(project: Project, points: list[Point]) -> None:
    """One round: files arrive, commands are killed, and the next ones simply work."""
    loads = [point for point in points if point.command == "load"]
    slices = project.begin(len(loads))
    project.chance.shuffle(points)
    known_open = 0
    for point in points:
        if point.command == "load":
            project.arrive(slices.pop(0))
        disturb(project, point)
        still_open = open_runs(project)[known_open:]
        known_open += len(still_open)
        point.run = "open" if still_open else "-"
        if any(command != point.command for command in still_open) or len(still_open) > 1:
            point.faults.append(f"runs are left open: {still_open}")
        point.faults += books(project)
        code = project.run(point.command)
        if code not in ((0,) if point.command in ("load", "build", "notify") else (0, 1)):
            said = project.output.read_text(errors="replace")[-1500:]
            point.faults.append(f"the next {point.command} gave {code}: {said}")
        point.faults += books(project)
        print(json.dumps(asdict(point)), flush=True)


def finish(project: Project) -> dict[str, str]:
    """Build, scan and send undisturbed; {mart: its content}, and what does not add up."""
    code = project.run("build")
    found = {"build": "" if code == 0 else f"exit code {code}"}
    project.run("scan")
    project.run("notify")
    lost = project.rows("select * from monitoring.conservation where unaccounted <> 0")
    found["unaccounted"] = str(lost) if lost else ""
    for mart in MARTS:
        # numbers of deliveries have gaps where a load died: their names stand for them
        found[mart] = project.rows(
            "select md5(string_agg(line, e'\\n' order by line)) || ' of ' || count(*) from (select"
            " (to_jsonb(mart) - '_delivery_id' - 'delivery_id' || jsonb_build_object('name',"
            " deliveries.name))::text as line from"
            f" {mart} as mart left join monitoring.deliveries on deliveries.delivery_id ="
            " cast(coalesce(to_jsonb(mart) ->> '_delivery_id', to_jsonb(mart) ->> 'delivery_id')"
            " as bigint)) as lines"
        )[0][0]
    sent = project.rows("select key from monitoring.outbox where state = 'sent'")
    waiting = project.rows("select key from monitoring.outbox where state <> 'sent'")
    found["outbox"] = f"{len(waiting)} wait" if waiting else ""
    print(json.dumps({"sent": [key for (key,) in sent]}), flush=True)
    return found


def main() -> None:
    root, files = Path(sys.argv[1]), Path(sys.argv[2])
    count, seed = int(sys.argv[3]), int(sys.argv[4])
    project = Project(root, files, seed)
    pattern = ROUND if count >= len(ROUND) else SHORT
    failed = False
    numbers = iter(range(1, count + 1))
    left = count
    twins: dict[int, dict[str, str]] = {}
    while left > 0:
        kinds = pattern[: min(left, len(pattern))]
        left -= len(kinds)
        loads = sum(command == "load" for command, _ in kinds)
        if loads not in twins:
            for names in project.begin(loads):
                project.arrive(names)
                project.run("load")
            twins[loads] = finish(project)
        points = [Point(next(numbers), command, victim, "") for command, victim in kinds]
        play(project, points)
        found = finish(project)
        wrong = {
            name: [twins[loads][name], value]
            for name, value in found.items()
            if value != twins[loads][name] or (value and " of " not in value)
        }
        failed |= bool(wrong) or any(point.faults for point in points)
        print(json.dumps({"round": len(points), "differs": wrong}), flush=True)
    project.embedded.reset()
    raise SystemExit(int(failed))


if __name__ == "__main__":
    main()
