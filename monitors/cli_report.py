"""`rampart report`: a page for people, made from what is stored."""

from __future__ import annotations

from pathlib import Path

import click

from monitors.cli_common import settings
from monitors.errors import ExitCode, UsageError


@click.command()
@click.option("--elementary", is_flag=True, help="Elementary's report of the builds, as one file.")
@click.option(
    "--file", type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write it; target/elementary_report.html by default.",
)  # fmt: skip
def report(elementary: bool, file: Path | None) -> ExitCode:
    """Write a report and say where it is."""
    if not elementary:
        raise UsageError("report: say which one; there is `rampart report --elementary`")
    from monitors.show.elementary import make_report
    from monitors.warehouse.connection import resolve_target

    root = settings.config().root
    click.echo(make_report(resolve_target(root), root, file))
    return ExitCode.OK
