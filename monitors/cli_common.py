"""What every command shares: the options before its name, and how an outcome is reported."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from monitors.config import Config
    from monitors.monitor import DataMonitor, Verdict


class Settings:
    """The options that every command shares."""

    config_path: Path | None = None
    log_level: str = "warning"
    log_file: Path | None = None
    traceback: bool = False
    asked_to_end: bool = False
    """SIGTERM has come: a SystemExit that falls into a destructor or a callback is lost."""

    def config(self) -> Config:
        from monitors.config import load_config

        return load_config(self.config_path)

    def monitor(self, **options: Any) -> DataMonitor:
        from monitors.monitor import DataMonitor

        return DataMonitor(self.config(), **options)


settings = Settings()

as_json_option = click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would happen; decide not.")
by_option = click.option("--by", help="Who decides; the account on this machine by default.")


def json_text(value: object) -> str:
    """An object for machines; what JSON does not know is text."""
    return json.dumps(value, default=str, indent=2)


def columns(
    rows: Sequence[Sequence[str]], *, right: Collection[int] = (), indent: str = ""
) -> list[str]:
    """Rows of cells as aligned lines; the columns of these numbers to the right."""
    if not rows:
        return []
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        indent
        + "  ".join(
            text.rjust(width) if at in right else text.ljust(width)
            for at, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def printable(text: str) -> str:
    """Nothing that a terminal obeys."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def report_verdict(verdict: Verdict, as_json: bool) -> int:
    """The outcome on stdout, alert lines on stderr, the exit code for the scheduler."""
    from monitors import screen

    click.echo(screen.as_json(verdict) if as_json else screen.summary(verdict), nl=False)
    for line in verdict.alerts:
        click.echo(line, err=True)
    return verdict.exit_code
