"""`rampart backtest`: what the checks would have done over the history that is stored."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from monitors.cli_common import settings
from monitors.errors import ExitCode, UsageError

_A_MONTH = {"day": 365.25 / 12, "week": 365.25 / 12 / 7, "month": 1.0, "year": 1 / 12}


@click.command()
@click.argument("checks", nargs=-1, metavar="[CHECK]...")
@click.option(
    "--inject", "-i", multiple=True, metavar="FAULT",
    help="drop=50%, outage, duplicate or late, put in at every usual start; repeatable.",
)  # fmt: skip
@click.option(
    "--max-alarms", metavar="N/month",
    help="End with 1 when a check raises more on its clean history. Also /week, /day, /year.",
)  # fmt: skip
@click.option(
    "--threshold", metavar="TEXT",
    help="Replay the only CHECK at another one: `<= 0.04`, or a volume's sensitivity.",
)  # fmt: skip
@click.option(
    "--days", type=click.IntRange(1),
    help="Look at the verdicts of the last days only; all by default.",
)  # fmt: skip
@click.option(
    "--within", type=click.IntRange(1, 48), default=2, show_default=True,
    help="In how many buckets or runs a fault must be found.",
)  # fmt: skip
@click.option(
    "--samples", type=click.IntRange(1), default=200, show_default=True,
    help="Starts of a fault that are tried, by chance, where there are more.",
)  # fmt: skip
@click.option("--seed", default=7, show_default=True, help="The same seed gives the same report.")
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False),
    help="Write a picture there: one file that asks nobody.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The report as JSON on stdout.")
def backtest(
    checks: tuple[str, ...],
    inject: tuple[str, ...],
    max_alarms: str | None,
    threshold: str | None,
    days: int | None,
    within: int,
    samples: int,
    seed: int,
    html: Path | None,
    as_json: bool,
) -> int:
    """What CHECK, or all, would have done: alarms a month, injected faults found, what to change.

    CHECK is a check id, a suite, or a dataset. Nothing is written or changed.
    """
    from monitors.alert.lines import alert_line
    from monitors.commands.backtest import Backtester
    from monitors.scan.backtest import Settings
    from monitors.scan.inject import parse_injection
    from monitors.show.backtest_page import page_of
    from monitors.show.backtest_text import rate_text, text_of

    asked = Settings(
        injections=tuple(dict.fromkeys(parse_injection(each) for each in inject)),
        most_per_month=1.0 if max_alarms is None else per_month(max_alarms),
        within=within,
        samples=samples,
        seed=seed,
        days=days,
    )
    report = Backtester(settings.config()).backtest(checks, asked, threshold=threshold)
    found = report.as_object()
    if html is not None:
        _write(html, page_of(found))
    click.echo(
        json.dumps(found, separators=(",", ":")) + "\n" if as_json else text_of(found), nl=False
    )
    if html is not None and not as_json:
        click.echo(f"picture {html}")
    if max_alarms is None:
        return ExitCode.OK
    for each in report.exceeded:
        rate = each.rate.per_month if each.rate else 0.0
        why = f"{each.check.check_id} raises {rate_text(rate)} a month on its clean history"
        click.echo(alert_line("alarm budget exceeded", f"{why}, allowed {max_alarms}"), err=True)
    return ExitCode.RED if report.exceeded else ExitCode.OK


def per_month(text: str) -> float:
    """`2/month`, `1/week`, `0.5/day`, `3/year` as alarms per month. Raises UsageError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:/|per|a)\s*(day|week|month|year)\s*", text)
    if found is None:
        raise UsageError(
            f"--max-alarms: found `{text}`, allowed is a number per day, week, month or year,"
            " like 2/month"
        )
    return float(found[1]) * _A_MONTH[found[2]]


def _write(path: Path, page: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--html: {path} cannot be written ({error.strerror})") from None
