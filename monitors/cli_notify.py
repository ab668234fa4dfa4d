"""`rampart notify`: send what is due."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from monitors.cli_common import settings
from monitors.errors import ExitCode

if TYPE_CHECKING:
    from monitors.commands.notify import Sent


@click.command()
@click.option("--watch", is_flag=True, help="Go on until interrupted.")
@click.option(
    "--every", type=click.FloatRange(0.1), default=15.0, show_default=True,
    help="With --watch: seconds between two looks.",
)  # fmt: skip
@click.option("--retry-parked", is_flag=True, help="Also what a channel refused for good.")
@click.option("--json", "as_json", is_flag=True, help="What was sent as JSON on stdout.")
def notify(watch: bool, every: float, retry_parked: bool, as_json: bool) -> int:
    """Send what is due: alerts, retries, digests, ended snoozes.

    `scan` and `run` do so at their end; between them, start this every few minutes or with --watch.
    """
    from datetime import timedelta

    from monitors.commands.notify import Notifier

    notifier = Notifier(settings.config())
    if watch:
        if retry_parked:
            _say(notifier.notify(retry_parked=True), as_json)
        notifier.watch(timedelta(seconds=every), lambda sent: _say(sent, as_json))
        return ExitCode.OK
    sent = notifier.notify(retry_parked=retry_parked)
    _say(sent, as_json)
    return sent.exit_code


def _say(sent: Sent, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        click.echo(json.dumps({**asdict(sent), "exit_code": int(sent.exit_code)}))
    else:
        parts = [f"{sent.sent} sent"]
        parts += [f"{sent.failed} failed, tried again later"] if sent.failed else []
        parts += [f"{sent.parked} parked"] if sent.parked else []
        parts += [f"still hanging: {', '.join(sent.unfinished)}"] if sent.unfinished else []
        click.echo("; ".join(parts))
    for line in sent.alerts:
        click.echo(line, err=True)
