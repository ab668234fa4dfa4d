"""`rampart deliveries`: what arrived, what was refused, and letting one through by name."""

from __future__ import annotations

import getpass

import click

from monitors.cli_common import as_json_option, json_text, settings
from monitors.errors import ExitCode


@click.group()
def deliveries() -> None:
    """What arrived: list it, or let a refused delivery through."""


@deliveries.command("list")
@click.argument("feed", required=False)
@click.option("--refused", is_flag=True, help="Only those that may not take part.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@as_json_option
def list_(feed: str | None, refused: bool, limit: int, as_json: bool) -> ExitCode:
    """The latest deliveries, of FEED when one is named."""
    found = settings.monitor().deliveries(feed, refused=refused, limit=limit)
    if as_json:
        click.echo(json_text(found))
        return ExitCode.OK
    for each in found:
        why = f"  {each['why']}" if each["why"] else ""
        click.echo(
            f"{each['loaded_at']:%Y-%m-%d %H:%M}  {each['feed']:<14} {each['admission']:<12}"
            f" {each['rows']:>10,} rows  {each['name']}{why}"
        )
    if not found:
        click.echo("none")
    return ExitCode.OK


@deliveries.command("let-through")
@click.argument("feed")
@click.argument("name")
@click.option("--why", required=True, help="The reason; it is kept with the delivery.")
@click.option("--by", default=getpass.getuser, show_default="the user", help="Who decides.")
def let_through(feed: str, name: str, why: str, by: str) -> ExitCode:
    """Let the refused delivery NAME of FEED take part; the next build takes it in."""
    settings.monitor().let_through(feed, name, by=by, why=why)
    click.echo(f"{feed}: {name} takes part; now `rampart build`")
    return ExitCode.OK
