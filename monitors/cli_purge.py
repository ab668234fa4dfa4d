"""`rampart purge`: delete what retention says nobody needs any more."""

from __future__ import annotations

from dataclasses import asdict

import click

from monitors.cli_common import as_json_option, json_text, settings
from monitors.errors import ExitCode


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would go; delete nothing.")
@click.option("--raw", metavar="FEED", help="Say why the raw rows of a feed stay.")
@as_json_option
def purge(dry_run: bool, raw: str | None, as_json: bool) -> ExitCode:
    """Delete verdicts, logs and decided dead letters older than `retention:` of rampart.yml.

    What counters need is rolled up first. Raw rows, rejected rows, open dead letters, decisions,
    deliveries and the history that the volume model needs stay.
    """
    from monitors.commands.purge import Cleaner

    cleaner = Cleaner(settings.config())
    if raw is not None:
        cleaner.refuse_raw(raw)
    outcome = cleaner.purge(dry_run=dry_run)
    if as_json:
        click.echo(json_text(asdict(outcome)))
        return ExitCode.OK
    for each in outcome.purged:
        click.echo(f"{each.rows:>10,} {each.kind} older than {each.before:%Y-%m-%d %H:%M} UTC")
    if outcome.open_dead_letters:
        click.echo(
            f"{outcome.open_dead_letters:>10,} open dead letters that are as old stay until"
            " somebody decides: rampart deadletters list"
        )
    click.echo("would go; nothing was deleted" if dry_run else "deleted")
    return ExitCode.OK
