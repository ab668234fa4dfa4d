"""What every command shares: the options before its name, and how an outcome is reported."""

from __future__ import annotations

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

    def config(self) -> Config:
        from monitors.config import load_config

        return load_config(self.config_path)

    def monitor(self, **options: Any) -> DataMonitor:
        from monitors.monitor import DataMonitor

        return DataMonitor(self.config(), **options)


settings = Settings()


def report_verdict(verdict: Verdict, as_json: bool) -> int:
    """The outcome on stdout, alert lines on stderr, the exit code for the scheduler."""
    from monitors import screen

    click.echo(screen.as_json(verdict) if as_json else screen.summary(verdict), nl=False)
    for line in verdict.alerts:
        click.echo(line, err=True)
    return verdict.exit_code
