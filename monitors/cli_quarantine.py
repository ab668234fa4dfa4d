"""`rampart quarantine`: rejected rows, and what people decide about them."""

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
    settings,
)
from monitors.errors import ExitCode

if TYPE_CHECKING:
    from monitors.commands.quarantine import Decided, Quarantine, Row
    from monitors.store.decisions import LedgerGroup, Outcome, Selection

Command = TypeVar("Command", bound=Callable[..., Any])


def _choosing(command: Command) -> Command:
    """The options that choose rows of the ledger."""
    for option in (
        click.option("--row", type=int, help="Only the row of this number; needs --delivery."),
        click.option("--delivery", type=int, help="Only rows of this delivery."),
        click.option("--rule", help="Only rows that broke this rule."),
        click.option("--feed", help="Only rows of this feed."),
    ):
        command = option(command)
    return command


@click.group()
def quarantine() -> None:
    """The ledger of rejected rows: list, show, replay, discard."""


@quarantine.command("list")
@_choosing
@click.option(
    "--decision", type=click.Choice(["open", "replayed", "discarded", "all"]), default="open",
    show_default=True, help="Which rows, by what was decided about them.",
)  # fmt: skip
@as_json_option
def list_rows(
    feed: str | None,
    rule: str | None,
    delivery: int | None,
    row: int | None,
    decision: str,
    as_json: bool,
) -> ExitCode:
    """Count rejected rows by feed, rule and delivery."""
    chosen = _selection(feed, rule, delivery, row)
    found = _desk().groups(chosen, None if decision == "all" else decision)
    if as_json:
        from dataclasses import asdict

        click.echo(json_text([asdict(each) for each in found]))
        return ExitCode.OK
    click.echo("\n".join(_table(found, decision)))
    return ExitCode.OK


@quarantine.command()
@click.argument("feed")
@click.argument("delivery", type=int)
@click.argument("row", type=int)
@as_json_option
def show(feed: str, delivery: int, row: int, as_json: bool) -> ExitCode:
    """One row as it arrived, the rules it breaks, and what was decided about it."""
    found = _desk().show(feed, delivery, row)
    if as_json:
        from dataclasses import asdict

        click.echo(json_text(asdict(found)))
        return ExitCode.OK
    click.echo("\n".join(_row_lines(found)))
    return ExitCode.OK


@quarantine.command()
@_choosing
@click.option("--why", default="passes the rules of today", show_default=True)
@by_option
@click.option("--discarded", is_flag=True, help="Also rows that somebody discarded.")
@dry_run_option
@as_json_option
def replay(
    feed: str | None,
    rule: str | None,
    delivery: int | None,
    row: int | None,
    why: str,
    by: str | None,
    discarded: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Judge rejected rows by the rules of now; those that pass move into the marts, by a build."""
    chosen = _selection(feed, rule, delivery, row)
    done = _desk().replay(chosen, why=why, by=by, discarded=discarded, dry_run=dry_run)
    if as_json:
        click.echo(json_text(_decided_object(done)))
    else:
        click.echo("\n".join(_replay_lines(done)))
    for line in done.alerts:
        click.echo(line, err=True)
    return done.exit_code


@quarantine.command()
@_choosing
@click.option("--why", required=True, help="The reason; it stands in the ledger.")
@by_option
@dry_run_option
@as_json_option
def discard(
    feed: str | None,
    rule: str | None,
    delivery: int | None,
    row: int | None,
    why: str,
    by: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Keep rejected rows out for good, whatever the rules will say; they count as rejected."""
    chosen = _selection(feed, rule, delivery, row)
    done = _desk().discard(chosen, why=why, by=by, dry_run=dry_run)
    if as_json:
        click.echo(json_text(_decided_object(done)))
        return done.exit_code
    lines = _outcome_lines(done.outcomes, "discarded", "would be discarded" if dry_run else "")
    count = done.count("discarded")
    said = f"{_rows(count)} would be discarded" if dry_run else f"{_rows(count)} discarded"
    click.echo("\n".join([*lines, said]))
    return done.exit_code


# -------------------------------------------------------------------- the pieces


def _desk() -> Quarantine:
    from monitors.commands.quarantine import Quarantine

    return Quarantine(settings.config())


def _selection(
    feed: str | None, rule: str | None, delivery: int | None, row: int | None
) -> Selection:
    from monitors.errors import UsageError
    from monitors.store.decisions import Selection

    if row is not None and delivery is None:
        raise UsageError("--row counts within a delivery: add --delivery")
    return Selection(feed, rule, delivery, row)


def _table(found: list[LedgerGroup], decision: str) -> list[str]:
    which = "" if decision == "all" else f"{decision} "
    if not found:
        return [f"no {which}row in the ledger matches"]
    header = ("feed", "delivery", "rule", "rows", "decision", "since (UTC)", "file")
    lines = [
        (
            each.feed,
            str(each.delivery_id),
            each.rule,
            f"{each.rows:,}",
            each.decision,
            f"{each.since:%Y-%m-%d %H:%M}",
            each.file_name,
        )
        for each in found
    ]
    first = found[0]
    return [
        *columns([header, *lines], right={1, 3}),
        "",
        "one of them:  rampart quarantine show"
        f" {first.feed} {first.delivery_id} {first.example_row}",
        "A row that breaks several rules stands under each of them.",
    ]


def _row_lines(found: Row) -> list[str]:
    where = f"--feed {found.feed} --delivery {found.delivery} --row {found.source_row}"
    lines = [f"{found.feed}, delivery {found.delivery}, row {found.source_row}"]
    if found.ledger:
        first = found.ledger[0]
        lines[0] += f": {first.file_name}, loaded {first.loaded_at:%Y-%m-%d %H:%M} UTC"
    lines += ["", "as it arrived"]
    lines += [f"  {name}: {_value(value)}" for name, value in found.raw.items() if name[0] != "_"]
    if not found.ledger:
        lines += ["", "It is not in the ledger: no rule rejects it."]
    for each in found.ledger:
        cell = f"cell {each.item}: " if each.item else ""
        lines += ["", f"{cell}{each.decision}"]
        lines += [
            f"  {broken.rule}: {broken.why}"
            for broken in found.violations
            if broken.item == each.item and broken.effect == "reject"
        ]
    flags = [broken for broken in found.violations if broken.effect == "flag"]
    if flags:
        lines += ["", "flagged", *(f"  {each.rule}: {each.why}" for each in flags)]
    if found.history:
        lines += ["", "decisions"]
        for decided in found.history:
            cell = f"{decided.item}: " if decided.item else ""
            lines.append(
                f"  {decided.decided_at:%Y-%m-%d %H:%M} UTC  {cell}{decided.decision}"
                f" by {decided.decided_by}: {decided.why}"
            )
    if found.ledger:
        lines += [
            "",
            "next",
            f"  rampart quarantine replay {where} --dry-run    would it pass now?",
            f'  rampart quarantine discard {where} --why "..."',
            "  or have the file corrected and load it again",
        ]
    return lines


def _replay_lines(done: Decided) -> list[str]:
    lines = _outcome_lines(done.outcomes, "passes", "passes now")
    lines += _outcome_lines(done.outcomes, "stays", "stays")
    lines += _outcome_lines(done.outcomes, "waits", "waits for a build")
    passing, staying, waiting = (done.count(each) for each in ("passes", "stays", "waits"))
    told = f"{_rows(staying)} stay in the ledger"
    if done.dry_run:
        return [*lines, f"{_rows(passing)} would move into the marts, {told}"]
    if done.build_exit_code is None:
        return [*lines, f"nothing moves: no row passes the rules of now; {told}"]
    built = "with failures" if done.build_exit_code else "without a failure"
    lines.append(f"built    {built}")
    if waiting:
        lines.append(f"{_rows(waiting)} of an earlier replay were waiting for this build")
    moved = _rows(done.decided - done.left)
    if done.build_exit_code:
        lines.append(
            f"{moved} left the ledger, {told}. What a failed model should hold of them is in"
        )
        lines.append(
            "no mart until it is built: mend it (logs/dbt.log says why), then `rampart build`;"
        )
        lines.append(
            "where a column's type or `not_null` changed, with `--full-refresh --select MODEL`"
        )
    else:
        lines.append(f"{moved} moved into the marts, {told}; of repeats a mart keeps one")
    if done.left:
        lines.append(f"{_rows(done.left)} replayed and still rejected: the build failed, or a rule"
                     " changed meanwhile; the next build takes what passes")  # fmt: skip
    return [*lines, f"run {done.run_id}, exit code {int(done.exit_code)}"]


def _outcome_lines(outcomes: tuple[Outcome, ...], outcome: str, said: str) -> list[str]:
    chosen = [each for each in outcomes if each.outcome == outcome]
    return columns(
        [(said or each.outcome, each.feed, each.rules, f"{each.rows:,}") for each in chosen],
        right={3},
    )


def _decided_object(done: Decided) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "run_id": done.run_id,
        "exit_code": int(done.exit_code),
        "dry_run": done.dry_run,
        "decided": done.decided,
        "still_rejected": done.left,
        "build_exit_code": done.build_exit_code,
        "outcomes": [asdict(each) for each in done.outcomes],
        "alerts": list(done.alerts),
    }


def _rows(count: int) -> str:
    return f"{count:,} {'row' if count == 1 else 'rows'}"


def _value(value: object) -> str:
    return "(nothing)" if value is None else str(value).replace("\n", "\\n")
