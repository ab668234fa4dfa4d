"""`rampart incidents`: what has to be dealt with, and what people say about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from monitors.cli_common import as_json_option, by_option, columns, json_text, settings
from monitors.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from datetime import timedelta

    from monitors.commands.incidents import IncidentDesk, Shown
    from monitors.store.incidents import Incident

Command = TypeVar("Command", bound=Callable[..., Any])


def _deciding(command: Command) -> Command:
    """The options of whoever decides."""
    for option in (
        click.option("--why", default="", help="The reason; it is kept with the incident."),
        by_option,
    ):
        command = option(command)
    return command


@click.group()
def incidents() -> None:
    """What has to be dealt with: list, show, ack, snooze, resolve."""


@incidents.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those resolved within 30 days.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@as_json_option
def list_incidents(everything: bool, limit: int, as_json: bool) -> ExitCode:
    """Incidents that are not resolved, the newest first."""
    from datetime import timedelta

    within = timedelta(days=30) if everything else None
    found = _desk().list(resolved_within=within, limit=limit)
    if as_json:
        click.echo(json_text([_object(each) for each in found]))
        return ExitCode.OK
    click.echo("\n".join(_line(each) for each in found) or "none")
    return ExitCode.OK


@incidents.command()
@click.argument("incident", type=int)
@as_json_option
def show(incident: int, as_json: bool) -> ExitCode:
    """INCIDENT with its text, checks, history, and what channels were told."""
    found = _desk().show(incident)
    click.echo(json_text(_shown_object(found)) if as_json else "\n".join(_shown(found)))
    return ExitCode.OK


@incidents.command()
@click.argument("incident", type=int)
@_deciding
def ack(incident: int, by: str | None, why: str) -> ExitCode:
    """Say that you are on INCIDENT; it stays until its checks recover."""
    _desk().acknowledge(incident, by=by, why=why)
    click.echo(f"incident {incident} is acknowledged")
    return ExitCode.OK


@incidents.command()
@click.argument("incident", type=int)
@click.option("--for", "duration", required=True, help="How long, like `4 hours` or `2 days`.")
@_deciding
def snooze(incident: int, duration: str, by: str | None, why: str) -> ExitCode:
    """Silence INCIDENT for a time; if it still is broken then, channels hear of it again."""
    _desk().snooze(incident, _duration(duration), by=by, why=why)
    click.echo(f"incident {incident} is snoozed for {duration}")
    return ExitCode.OK


@incidents.command()
@click.argument("incident", type=int)
@click.option(
    "--known-bad", is_flag=True, help="Keep its anomalous hours or days out of what is usual."
)
@_deciding
def resolve(incident: int, known_bad: bool, by: str | None, why: str) -> ExitCode:
    """Say that INCIDENT is over; a check of it that is red in the next run reopens it."""
    _desk().resolve(incident, by=by, why=why, known_bad=known_bad)
    click.echo(f"incident {incident} is resolved; `rampart notify` tells the channels")
    return ExitCode.OK


# -------------------------------------------------------------------- the pieces


def _desk() -> IncidentDesk:
    from monitors.commands.incidents import IncidentDesk

    return IncidentDesk(settings.config())


def _duration(text: str) -> timedelta:
    from pydantic import TypeAdapter, ValidationError

    from monitors.config_types import Duration

    try:
        found: timedelta = TypeAdapter(Duration).validate_python(text)
    except ValidationError:
        raise UsageError(f"--for: found `{text}`, allowed is a duration like `4 hours`") from None
    return found


def _line(each: Incident) -> str:
    until = f" until {each.snoozed_until:%Y-%m-%d %H:%M} UTC" if each.snoozed_until else ""
    return (
        f"{each.incident_id:>5}  {each.opened_at:%Y-%m-%d %H:%M}  {each.severity.value:<8}"
        f" {each.state + until:<12}  {each.kind:<22} {each.title}"
    )


def _shown(found: Shown) -> list[str]:
    incident = found.incident
    until = f" until {incident.snoozed_until:%Y-%m-%d %H:%M} UTC" if incident.snoozed_until else ""
    lines = [
        f"incident {incident.incident_id}: {incident.kind}, {incident.severity.value},"
        f" {incident.state}{until}",
        "",
    ]
    if found.message is not None:
        lines += [f"{fact.label:<6} {fact.text}" for fact in found.message.lead]
        for section in found.message.sections:
            lines += ["", f"{section.title}:"]
            lines += [f"  {section.text}"] if section.text else []
            for number, item in enumerate(section.items, start=1):
                lines.append(f"  {f'{number}.' if section.numbered else '-'} {item}")
            if section.table is not None:
                lines += columns([section.table.columns, *section.table.rows], indent="  ")
            lines += [f"  {line}" for line in section.statement.splitlines()]
        lines += [f"{link.label}: {link.url}" for link in found.message.links]
    lines += ["", "Checks:"]
    lines += [
        f"  {'green' if each.recovered_at else 'red':<6} {each.check_id}: {each.message}"
        for each in found.checks
    ]
    lines += ["", "History:"]
    lines += [
        f"  {each.at:%Y-%m-%d %H:%M}  {each.event:<12} {each.done_by}"
        + (f": {each.why}" if each.why else "")
        for each in found.events
    ]
    if found.alerts:
        lines += ["", "Told:"]
        lines += [f"  {_alert_line(each)}" for each in found.alerts]
    return lines


def _alert_line(alert: dict[str, Any]) -> str:
    said = f"{alert['channel']}: {alert['event']} {alert['state']}"
    if alert["state"] == "sent":
        return f"{said} {alert['sent_at']:%Y-%m-%d %H:%M} UTC"
    if alert["state"] in ("pending", "collected"):
        said += f", due {alert['next_try_at']:%Y-%m-%d %H:%M} UTC"
    return f"{said}; {alert['last_error']}" if alert["last_error"] else said


def _object(each: Incident) -> dict[str, Any]:
    from dataclasses import asdict

    found = asdict(each)
    del found["message"]
    return found


def _shown_object(found: Shown) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        **_object(found.incident),
        "message": found.message.as_json() if found.message else None,
        "checks": [asdict(each) for each in found.checks],
        "events": [asdict(each) for each in found.events],
        "alerts": list(found.alerts),
    }
