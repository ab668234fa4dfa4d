"""`rampart checks | periods | volumes`: what is expected, muted, known as bad, and counted."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from monitors.cli_common import as_json_option, json_text, report_verdict, settings
from monitors.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from monitors.commands.checks import Desk, ExpectedCheck
    from monitors.store.volumes import VolumeVerdict

by_option = click.option(
    "--by", default=getpass.getuser, show_default="the user", help="Who decides."
)
why_option = click.option("--why", required=True, help="The reason; it is kept.")


@click.group()
def checks() -> None:
    """The register of checks: list them, mute one until a date."""


@checks.command("list")
@click.option("--muted", is_flag=True, help="Only muted ones.")
@as_json_option
def list_checks(muted: bool, as_json: bool) -> ExitCode:
    """Every check that is expected to report, and what it said last."""
    found = [each for each in _desk().checks() if each.mute or not muted]
    return _show(found, [_check_line(each) for each in found], as_json)


@checks.command()
@click.argument("check_id")
@click.option("--until", required=True, help="A day (2026-12-01), a moment, or a span (3 days).")
@why_option
@by_option
def mute(check_id: str, until: str, why: str, by: str) -> ExitCode:
    """Let CHECK_ID run and be shown without turning a scan red, until a date."""
    moment = _moment(until, "--until")
    _desk().mute(check_id, moment, why, by)
    click.echo(f"{check_id} is muted until {moment:%Y-%m-%d %H:%M} UTC; it still runs")
    return ExitCode.OK


@checks.command()
@click.argument("check_id")
@by_option
def unmute(check_id: str, by: str) -> ExitCode:
    """Let CHECK_ID count again at once."""
    was_muted = _desk().unmute(check_id, by)
    click.echo(f"{check_id} {'counts again' if was_muted else 'was not muted'}")
    return ExitCode.OK


@click.group()
def periods() -> None:
    """Known-bad periods: what came in them says nothing about what is usual."""


@periods.command("list")
@click.argument("dataset", required=False)
@as_json_option
def list_periods(dataset: str | None, as_json: bool) -> ExitCode:
    """Periods in force, of DATASET and of all."""
    found = _desk().periods(dataset)
    lines = [
        f"{each.period_id:>4}  {each.starts_at:%Y-%m-%d %H:%M} to {each.ends_at:%Y-%m-%d %H:%M}"
        f"  {each.dataset or 'every dataset'}: {each.why} ({each.named_by})"
        for each in found
    ]
    return _show(found, lines, as_json)


@periods.command()
@click.option("--since", required=True, help="A day or a moment, in UTC.")
@click.option("--until", required=True, help="A day or a moment, in UTC: the first that is good.")
@click.option("--dataset", help="One of `volumes:`; every dataset when none is named.")
@why_option
@by_option
def add(since: str, until: str, dataset: str | None, why: str, by: str) -> ExitCode:
    """Name a period; from the next scan on it stays out of what is usual."""
    number = _desk().add_period(
        _moment(since, "--since"), _moment(until, "--until"), why, by, dataset
    )
    click.echo(f"period {number}: {dataset or 'every dataset'}, {since} to {until}")
    return ExitCode.OK


@periods.command()
@click.argument("number", type=int)
@by_option
def withdraw(number: int, by: str) -> ExitCode:
    """Let the period of this number count again as usual."""
    _desk().withdraw_period(number, by)
    click.echo(f"period {number} counts again as usual")
    return ExitCode.OK


@click.group()
def volumes() -> None:
    """Rows per hour or day: what is usual and what came."""


@volumes.command("list")
@click.argument("dataset", required=False)
@as_json_option
def list_volumes(dataset: str | None, as_json: bool) -> ExitCode:
    """What the latest complete buckets of each series say."""
    found = _desk().volumes(dataset)
    return _show(found, [_volume_line(each) for each in found], as_json)


@volumes.command()
@click.argument("dataset")
@as_json_option
def recount(dataset: str, as_json: bool) -> int:
    """Count every bucket of DATASET anew, as after a reload of old data."""
    return report_verdict(settings.monitor().recount(dataset), as_json)


# -------------------------------------------------------------------- the pieces


def _desk() -> Desk:
    from monitors.commands.checks import Desk

    return Desk(settings.config())


def _show(found: Sequence[Any], lines: list[str], as_json: bool) -> ExitCode:
    if as_json:
        objects = [asdict(each) for each in found]
        click.echo(json_text(objects))
    else:
        click.echo("\n".join(lines) or "none")
    return ExitCode.OK


def _check_line(each: ExpectedCheck) -> str:
    status = each.latest.status if each.latest else "not yet run"
    said = f"  {each.latest.message}" if each.latest else ""
    muted = f"  muted until {each.mute.muted_until:%Y-%m-%d}: {each.mute.why}" if each.mute else ""
    return f"{status:<11} {each.check_id}{said}{muted}"


def _volume_line(each: VolumeVerdict) -> str:
    name = f"{each.dataset} [{each.segment}]" if each.segment else each.dataset
    return f"{each.state:<12} {name}: {each.cause}"


def _moment(text: str, option: str) -> datetime:
    """A day, a moment, or a span from now; UTC unless it says otherwise."""
    from monitors.config_types import duration_of

    span = duration_of(text)
    if span is not None:
        return datetime.now(timezone.utc) + span
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise UsageError(
            f"{option}: found `{text}`, allowed is a day like 2026-12-01, a moment like"
            " 2026-12-01T06:00, or a span like `3 days`"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
