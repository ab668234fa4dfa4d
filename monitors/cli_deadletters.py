"""`rampart deadletters`: what could not be read as a row, and what people decide about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from monitors.cli_common import (
    as_json_option,
    by_option,
    columns,
    dry_run_option,
    json_text,
    printable,
    settings,
)
from monitors.errors import ExitCode

if TYPE_CHECKING:
    from monitors.commands.deadletters import DeadLetterOffice, LettersDecided
    from monitors.store.dead_letters import Letter, LetterGroup, LetterSelection

Command = TypeVar("Command", bound=Callable[..., Any])

SHOWN_CHARACTERS = 4000
"""How much of one is printed; `--json` has all that is kept."""


def _choosing(command: Command) -> Command:
    """The options that choose dead letters."""
    for option in (
        click.option("--letter", type=int, help="Only the one of this number."),
        click.option("--reason", help="Only those whose reason begins like this: `too late`."),
        click.option("--delivery", type=int, help="Only those of this delivery."),
        click.option("--feed", help="Only those of this feed or stream."),
    ):
        command = option(command)
    return command


@click.group()
def deadletters() -> None:
    """What could not be read as a row: list, show, replay, discard."""


@deadletters.command("list")
@_choosing
@click.option(
    "--decision", type=click.Choice(["open", "replayed", "discarded", "all"]), default="open",
    show_default=True, help="Which, by what was decided about them.",
)  # fmt: skip
@as_json_option
def list_letters(decision: str, as_json: bool, **chosen: Any) -> ExitCode:
    """Count dead letters by feed, delivery and kind of reason."""
    found = _office().groups(_selection(**chosen), None if decision == "all" else decision)
    if as_json:
        from dataclasses import asdict

        click.echo(json_text([asdict(each) for each in found]))
        return ExitCode.OK
    click.echo("\n".join(_table(found, decision)))
    return ExitCode.OK


@deadletters.command()
@click.argument("letter", type=int)
@as_json_option
def show(letter: int, as_json: bool) -> ExitCode:
    """One dead letter: where it stood, why it is no row, its text."""
    office = _office()
    found, text = office.show(letter)
    if as_json:
        from dataclasses import asdict

        click.echo(json_text(asdict(found) | {"content": text}))
        return ExitCode.OK
    click.echo("\n".join(_letter_lines(found, text, office.why_no_replay(found.feed))))
    return ExitCode.OK


@deadletters.command()
@_choosing
@click.option("--why", default="can be read by the settings of today", show_default=True)
@by_option
@dry_run_option
@as_json_option
def replay(why: str, by: str | None, dry_run: bool, as_json: bool, **chosen: Any) -> int:
    """Load those that are rows by the settings of now, as a delivery of their own."""
    done = _office().replay(_selection(**chosen), why=why, by=by, dry_run=dry_run)
    _report(done, as_json)
    return done.exit_code


@deadletters.command()
@_choosing
@click.option("--why", required=True, help="The reason; it is recorded.")
@by_option
@dry_run_option
@as_json_option
def discard(why: str, by: str | None, dry_run: bool, as_json: bool, **chosen: Any) -> int:
    """Give them up for good; they still count as dead letters of their delivery."""
    done = _office().discard(_selection(**chosen), why=why, by=by, dry_run=dry_run)
    _report(done, as_json)
    return done.exit_code


# -------------------------------------------------------------------- the pieces


def _office() -> DeadLetterOffice:
    from monitors.commands.deadletters import DeadLetterOffice

    return DeadLetterOffice(settings.config())


def _selection(**chosen: Any) -> LetterSelection:
    from monitors.store.dead_letters import LetterSelection

    return LetterSelection(**chosen)


def _table(found: list[LetterGroup], decision: str) -> list[str]:
    if not found:
        return [f"no {'' if decision == 'all' else decision + ' '}dead letter matches"]
    header = ("feed", "delivery", "reason", "letters", "decision", "since (UTC)", "file or batch")
    rows = [
        (
            each.feed,
            str(each.delivery_id),
            printable(each.reason),
            f"{each.letters:,}",
            each.decision,
            f"{each.since:%Y-%m-%d %H:%M}",
            each.name,
        )
        for each in found
    ]
    lines = columns([header, *rows], right={1, 3})
    return [*lines, "", f"one of them:  rampart deadletters show {found[0].example}"]


def _letter_lines(letter: Letter, text: str, no_replay: str | None) -> list[str]:
    where = f"record {letter.source_row}, line {letter.line}"
    if letter.source_partition is not None:
        where = f"partition {letter.source_partition}, offset {letter.source_offset}"
    lines = [
        f"dead letter {letter.dead_letter_id} of {letter.feed}, {letter.name}: {where}",
        f"  recorded  {letter.recorded_at:%Y-%m-%d %H:%M} UTC, delivery {letter.delivery_id}",
        f"  why       {printable(letter.reason)}",
    ]
    if letter.decision is not None and letter.decided_at is not None:
        became = f", delivery {letter.replay_delivery_id}" if letter.replay_delivery_id else ""
        lines.append(
            f"  decided   {letter.decision}{became}: {letter.decided_at:%Y-%m-%d %H:%M} UTC"
            f" by {letter.decided_by}: {letter.why}"
        )
    kept = "" if len(letter.content) == letter.content_bytes else ", its beginning is kept"
    lines += ["", f"{letter.content_bytes:,} bytes{kept}", printable(text[:SHOWN_CHARACTERS])]
    if letter.decision is None:
        replay = f"rampart deadletters replay --letter {letter.dead_letter_id} --dry-run"
        lines += [
            "",
            "next",
            f"  {no_replay or replay}",
            f'  rampart deadletters discard --letter {letter.dead_letter_id} --why "..."',
        ]
    return lines


def _report(done: LettersDecided, as_json: bool) -> None:
    if as_json:
        from dataclasses import asdict

        click.echo(json_text(asdict(done) | {"exit_code": int(done.exit_code)}))
        return
    would = "would be " if done.dry_run else ""
    for each in done.outcomes:
        said = each.outcome if each.outcome == "stays" else f"{would}{each.outcome}"
        click.echo(f"{said:<9} {each.feed}: {each.letters:,}, {printable(each.why)}")
    if not done.outcomes:
        click.echo("no open dead letter matches")
    elif done.count("replayed") and not done.dry_run:
        click.echo("they are in raw as a delivery of their own: `rampart build` takes them on")
