"""`rampart report`: a page for people, made from what is stored."""

from __future__ import annotations

from pathlib import Path

import click

from monitors.cli_common import settings
from monitors.errors import ExitCode


@click.command()
@click.option(
    "--out", "--file", type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write it; target/rampart_report.html by default"
    " (target/elementary_report.html with --elementary).",
)  # fmt: skip
@click.option(
    "--days", type=click.IntRange(1, 400), default=90, show_default=True,
    help="How far back histories and charts go.",
)  # fmt: skip
@click.option("--elementary", is_flag=True, help="Elementary's report of the builds instead.")
def report(out: Path | None, days: int, elementary: bool) -> ExitCode:
    """Write the status page as one file that needs no server, and say where it is."""
    from monitors.warehouse.connection import resolve_target

    config = settings.config()
    target = resolve_target(config.root)
    if elementary:
        from monitors.show.elementary import make_report as make_elementary

        click.echo(make_elementary(target, config.root, out))
        return ExitCode.OK
    from datetime import datetime, timezone

    from monitors.commands.report import make_report

    now = datetime.now(timezone.utc)
    click.echo(make_report(config, target, now, out and out.absolute(), days).line)
    return ExitCode.OK
