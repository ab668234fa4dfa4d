"""`rampart landing`: what lies where the feeds land, and what the checks say of it."""

from __future__ import annotations

import click

from monitors.cli_common import settings


@click.command()
@click.argument("feed", required=False)
@click.option("--json", "as_json", is_flag=True, help="The results as JSON on stdout.")
def landing(feed: str | None, as_json: bool) -> int:
    """The landing checks of FEED, or of all, without loading anything and without a record."""
    from monitors import screen

    verdict = settings.monitor().landing(feed)
    click.echo(screen.as_json(verdict) if as_json else screen.each_result(verdict), nl=False)
    for line in verdict.alerts:
        click.echo(line, err=True)
    return verdict.exit_code
