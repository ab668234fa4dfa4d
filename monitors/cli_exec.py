"""`rampart exec`: any job, watched."""

from __future__ import annotations

import shlex
from datetime import timedelta
from typing import Any

import click

from monitors.cli_common import settings


def _duration(_context: Any, _option: Any, value: str | None) -> timedelta | None:
    """`90 seconds`, `2 hours`, as in rampart.yml."""
    if value is None:
        return None
    from pydantic import TypeAdapter, ValidationError

    from monitors.config_types import Duration

    try:
        found: timedelta = TypeAdapter(Duration).validate_python(value)
    except ValidationError:
        said = f"found `{value}`, allowed is a duration like `2 hours`"
        raise click.BadParameter(said) from None
    return found


def _named(_context: Any, _option: Any, value: str) -> str:
    if not value.strip():
        raise click.BadParameter(f"found `{value}`, allowed is a name")
    return value


@click.command("exec", context_settings={"ignore_unknown_options": True})
@click.option("--pipeline", required=True, callback=_named, help="Under which name it is recorded.")
@click.option(
    "--stage", default="job", show_default=True, callback=_named, help="Which step of it this is."
)
@click.option(
    "--layer", type=click.Choice(["bronze", "silver", "gold"]), default="gold", show_default=True
)
@click.option("--timeout", callback=_duration, help="Stop it after so long, e.g. `2 hours`.")
@click.option(
    "--grace", callback=_duration, default="10 seconds", show_default=True,
    help="How long it may take to stop before it is killed.",
)  # fmt: skip
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(
    pipeline: str,
    stage: str,
    layer: str,
    timeout: timedelta | None,
    grace: timedelta,
    command: tuple[str, ...],
) -> int:
    """Run COMMAND (after `--`) as a recorded run; its exit code is ours, 124 after a time-out.

    What it counts it prints as JSON lines: {"rampart": {"rows_written": 10}}.
    """
    from monitors.commands.jobs import Jobs

    outcome = Jobs(settings.config()).exec(
        command, pipeline=pipeline, stage=stage, layer=layer, timeout=timeout, grace=grace
    )
    for line in outcome.alerts:
        click.echo(line, err=True)
    if outcome.not_recorded:
        said = f"{shlex.quote(pipeline)}: the record of this run is not in the warehouse"
        click.echo(f"rampart: {said}: {outcome.not_recorded}", err=True)
    return outcome.exit_code
