"""`rampart consume`: a stream into raw."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import click

from monitors.cli_common import settings
from monitors.errors import ExitCode

if TYPE_CHECKING:
    from monitors.commands.consume import Consumed

STOPS = {signal.SIGTERM: ExitCode.TERMINATED, signal.SIGINT: ExitCode.INTERRUPTED}


class _Stop:
    """A signal lets the batch be finished; a second one does not wait for it."""

    def __init__(self) -> None:
        self.code: int | None = ExitCode.TERMINATED if settings.asked_to_end else None
        for number in STOPS:
            signal.signal(number, self._take)

    def __call__(self) -> int | None:
        return self.code

    def _take(self, number: int, _frame: Any) -> None:
        code = int(STOPS[signal.Signals(number)])
        if self.code is not None:
            raise SystemExit(code)
        self.code = code


@click.command()
@click.argument("stream", required=False)
@click.option("--once", is_flag=True, help="End where the stream ended when it was reached.")
@click.option(
    "--until-idle", type=click.FloatRange(min=0), metavar="SECONDS",
    help="End when no message has come for so long.",
)  # fmt: skip
@click.option("--accept-loss", is_flag=True, help="Go on although messages are gone; needs --why.")
@click.option("--why", default="", help="Why the loss is accepted; it is recorded.")
@click.option("--by", help="Who accepts it; the account on this machine by default.")
@click.option("--json", "as_json", is_flag=True, help="The outcome as JSON on stdout.")
def consume(
    stream: str | None,
    once: bool,
    until_idle: float | None,
    accept_loss: bool,
    why: str,
    by: str | None,
    as_json: bool,
) -> int:
    """Read STREAM (the only one, when none is named) into raw until SIGTERM or SIGINT.

    Each batch is committed with its offsets: exactly once, whatever dies.
    """
    from monitors.commands.consume import Acceptance, Consumers, Until
    from monitors.commands.quarantine import user_name

    accept = Acceptance(by or user_name(), why) if accept_loss else None
    consumers = Consumers(settings.config())
    until = Until(once=once, idle=until_idle, stop=_Stop())
    done = consumers.consume(stream, until=until, accept=accept)
    click.echo(_as_json(done) if as_json else _summary(done))
    for line in done.alerts:
        click.echo(line, err=True)
    return done.exit_code


def _summary(done: Consumed) -> str:
    batches = f"{done.batches:,} {'batch' if done.batches == 1 else 'batches'}"
    lines = [f"consumed {done.stream}: {done.records:,} messages in {batches}"]
    if done.dead_letters:
        lines[0] += f", {done.dead_letters:,} dead letters"
        lines.append(f"         rampart deadletters list --feed {done.stream}")
    if done.losses_accepted:
        lines.append(f"         losses accepted: {done.losses_accepted}")
    return "\n".join([*lines, f"run {done.run_id}, exit code {int(done.exit_code)}"])


def _as_json(done: Consumed) -> str:
    from dataclasses import asdict

    return json.dumps(asdict(done) | {"exit_code": int(done.exit_code)}, indent=2)
