"""`rampart export`: files to a landing place, each whole or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitors.cli_common import settings
from monitors.errors import ConfigError

if TYPE_CHECKING:
    from monitors.commands.export import ExportOutcome, ExportsOutcome
    from monitors.config import Config


@click.command()
@click.argument("what", nargs=-1, metavar="[NAME | SOURCE... FOLDER]")
@click.option("--overwrite", is_flag=True, help="Replace files that it did not write itself, too.")
@click.option("--json", "as_json", is_flag=True, help="The outcome as JSON on stdout.")
def export(what: tuple[str, ...], overwrite: bool, as_json: bool) -> int:
    """Copy files to a landing place: checked, flushed, renamed, and never half there.

    NAME is one of `exports:` of rampart.yml; without arguments all of them. Or name files and the
    FOLDER that they go to; then no rampart.yml is needed.
    """
    from monitors.commands.export import export_files, plan_configured, plan_named

    if len(what) > 1:
        config = _config_if_any()
        plans = plan_named([Path(each) for each in what[:-1]], Path(what[-1]))
    else:
        _refuse_lone_file(what)
        config = settings.config()
        plans = plan_configured(config, what)
    if overwrite:
        plans = [replace(plan, overwrite=True) for plan in plans]
    outcome = export_files(plans, config)
    click.echo(_as_json(outcome) if as_json else _summary(outcome), nl=False)
    for line in outcome.alerts:
        click.echo(line, err=True)
    if outcome.not_recorded:
        waits = "the record of this run waits for the warehouse"
        said = waits if outcome.waits else "this run is not recorded"
        click.echo(f"rampart: {said}: {outcome.not_recorded}", err=True)
    return outcome.exit_code


def _refuse_lone_file(what: tuple[str, ...]) -> None:
    """A file where the name of an export should be: the folder that it goes to was forgotten."""
    if not what or not ("/" in what[0] or Path(what[0]).exists()):
        return
    config = _config_if_any()
    if config is None or what[0] not in config.exports:
        raise click.UsageError(f"`{what[0]}`: name the folder that it goes to, too")


def _config_if_any() -> Config | None:
    """A rampart.yml that is there must be sound; one that is not there is not needed."""
    from monitors.config import FILE_NAME

    path = settings.config_path or Path(FILE_NAME)
    if not path.exists() and settings.config_path is None:
        return None
    if not path.exists():
        raise ConfigError(f"{path}: cannot be read (No such file or directory)")
    return settings.config()


def _summary(outcome: ExportsOutcome) -> str:
    lines = [f"exported {each.name}: {_told(each)}" for each in outcome.exports]
    lines.append(f"run {outcome.run_id}, exit code {int(outcome.exit_code)}")
    return "\n".join(lines) + "\n"


def _told(each: ExportOutcome) -> str:
    if each.is_absent:
        return "no file"
    size = sum(file.bytes for file in each.copied)
    parts = [f"{len(each.copied):,} copied, {size:,} bytes"]
    if there := len(each.files) - len(each.copied):
        parts.append(f"{there:,} there already")
    if each.failed:
        parts.append(f"{len(each.failed):,} failed")
    if each.cut_short:
        parts.append("not finished")
    return ", ".join(parts)


def _as_json(outcome: ExportsOutcome) -> str:
    found = {
        "run_id": outcome.run_id,
        "exit_code": int(outcome.exit_code),
        "exports": [
            {
                "name": each.name,
                "files": [
                    {
                        "target": str(file.target),
                        "bytes": file.bytes,
                        "sha256": file.sha256,
                        "copied": file.copied,
                    }
                    for file in each.files
                ],
                "failed": list(each.failed),
                "cut_short": each.cut_short[1] if each.cut_short else None,
            }
            for each in outcome.exports
        ],
        "alerts": outcome.alerts,
        "not_recorded": outcome.not_recorded,
        "waits": outcome.waits,
    }
    return json.dumps(found, indent=2) + "\n"
