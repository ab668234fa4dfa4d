"""`rampart init`: checks for a dbt project that Rampart has never seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monitors.cli_common import settings
from monitors.errors import ExitCode

if TYPE_CHECKING:
    from monitors.commands.init import File, Proposed


@click.command()
@click.option("--dry-run", is_flag=True, help="Print the files instead of writing them.")
def init(dry_run: bool) -> ExitCode:
    """Propose rampart.yml and checks for the dbt project of this folder.

    Reads the project and the tables of its target, writes only files that are not there yet, and
    says what it guessed. Build the project first: what has no table gets no checks.
    """
    from datetime import datetime, timezone

    from monitors.commands.init import propose_project, write_new

    proposed = propose_project(settings.config_path, datetime.now(timezone.utc))
    if dry_run:
        for file in proposed.files:
            if file.is_new:
                click.echo(f"# ---- {_name(proposed, file)}\n{file.text}")
    else:
        proposed = write_new(proposed)
    for line in report(proposed, dry_run):
        click.echo(line)
    return ExitCode.OK


def report(proposed: Proposed, dry_run: bool = False) -> list[str]:
    """In plain words: what was written, what was guessed and why, what a person should look at."""
    lines = [f"{proposed.root.name} on {proposed.target} (target {proposed.target.name})", ""]
    lines += [_written(proposed, file, dry_run) for file in proposed.files]
    guessed = [
        (each.mart.model, [f"a mart: {each.mart.why}", *each.guesses])
        for each in proposed.proposals
    ]
    lines += _section("What was guessed, and why", guessed)
    looks = [(each.mart.model, list(each.look_at)) for each in proposed.proposals]
    looks += [(name, [why]) for name, why in proposed.left_out.items()]
    looks += [
        (
            each.model,
            [f"{each.dataset} is not in the database: build it, then `rampart init` again"],
        )
        for each in proposed.unbuilt
    ]
    lines += _section("What a person should look at", [*looks, ("rampart", _about(proposed))])
    lines += ["", "Next: rampart doctor; rampart build; rampart scan"]
    return lines


def _written(proposed: Proposed, file: File, dry_run: bool) -> str:
    if not file.is_new:
        return f"left    {_name(proposed, file)}: it was there already"
    done = "would write" if dry_run else "wrote  "
    if file.proposal is None:
        return f"{done} {_name(proposed, file)}"
    checks = file.proposal.checks
    live = sum(each.active for each in checks)
    said = f"{live} check{'s' if live != 1 else ''}"
    if len(checks) > live:
        said += f", {len(checks) - live} commented out"
    return f"{done} {_name(proposed, file)}: {said}"


def _about(proposed: Proposed) -> list[str]:
    """What concerns the whole project."""
    from monitors.warehouse.connection import state_folder
    from monitors.warehouse.package_files import OWN_PACKAGE_VARIABLE, named_packages

    found = []
    if proposed.missing_volumes:
        found.append("rampart.yml lacks these volumes; add them, then uncomment the volume checks:")
        found += [f"    {line}" for line in proposed.missing_volumes]
    if proposed.unwatched:
        found.append(f"rampart.yml reads {', '.join(proposed.unwatched)}: add checks/*.yml to it")
    if proposed.target.is_embedded and not proposed.proposals:
        found.append("no database is configured for this project, so this is the embedded Postgres")
    ignored = proposed.root / ".gitignore"
    text = ignored.read_text(encoding="utf-8", errors="replace") if ignored.is_file() else ""
    if state_folder(proposed.root).is_relative_to(proposed.root) and ".rampart" not in text:
        found.append("`.rampart/`, Rampart's own state, belongs into .gitignore")
    found.append("`matters` and `do` of each check are read at night: say them in your own words")
    if "rampart" not in named_packages(proposed.root):
        found.append(
            "its dbt macros (scd2, judge, ...) come by a line in packages.yml, if you want them:"
            f" - local: \"{{{{ env_var('{OWN_PACKAGE_VARIABLE}') }}}}\""
        )
    return found


def _section(title: str, said: list[tuple[str, list[str]]]) -> list[str]:
    said = [(name, sentences) for name, sentences in said if sentences]
    if not said:
        return []
    width = max(len(name) for name, _ in said)
    lines = ["", title]
    for name, sentences in said:
        lines += [
            f"  {name if number == 0 else '':<{width}}  {sentence}"
            for number, sentence in enumerate(sentences)
        ]
    return lines


def _name(proposed: Proposed, file: File) -> str:
    return file.path.relative_to(proposed.root).as_posix()
