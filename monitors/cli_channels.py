"""`rampart channels`: where alerts go, and whether they arrive."""

from __future__ import annotations

import json

import click

from monitors.cli_common import settings
from monitors.errors import ExitCode


@click.group()
def channels() -> None:
    """Where alerts go: list the channels, or send one a test message."""


@channels.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
def list_(as_json: bool) -> ExitCode:
    """The channels of rampart.yml, what each of them takes, and what no channel takes."""
    from monitors.commands.channels import faults_of, routing_text, unheard_of

    config = settings.config()
    faults = faults_of(config)
    unheard = unheard_of(config)
    if as_json:
        found = [
            {"name": name, "type": each.type, "takes": routing_text(each), "fault": faults[name]}
            for name, each in config.channels.items()
        ]
        click.echo(json.dumps({"channels": found, "unheard": unheard}, indent=2))
        return ExitCode.OK
    width = max(map(len, config.channels), default=0)
    for name, each in config.channels.items():
        click.echo(f"{name:<{width}}  {each.type:<8}  {faults[name] or routing_text(each)}")
    if not config.channels:
        click.echo("none: `!! ALERT` lines on stderr are all that tells of a red check")
    if unheard:
        click.echo(unheard, err=True)
    return ExitCode.OK


@channels.command()
@click.argument("name")
def test(name: str) -> ExitCode:
    """Send a test message to the channel NAME; 1 and one line when it does not go through."""
    from monitors.commands.channels import send_test

    send_test(settings.config(), name)
    click.echo(f"{name}: sent")
    return ExitCode.OK
