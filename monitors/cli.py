"""The command line. Only this module prints and exits; each command is one composition.

Results go to stdout (`--json` for machines), logs and alert lines to stderr.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import click

from monitors import (
    cli_backtest,
    cli_channels,
    cli_checks,
    cli_consume,
    cli_db,
    cli_deadletters,
    cli_deliveries,
    cli_exec,
    cli_export,
    cli_incidents,
    cli_init,
    cli_landing,
    cli_notify,
    cli_purge,
    cli_quarantine,
    cli_report,
    cli_serve,
)
from monitors.cli_common import report_verdict, settings
from monitors.errors import ExitCode, RampartError, WarehouseFailed, first_line

EPILOG = (
    "Exit codes: 0 everything holds, 1 something is red or a job failed, 2 the command could not"
    " start (configuration, connection, usage), 130 and 143 after SIGINT and SIGTERM."
)


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path), envvar="RAMPART_CONFIG",
    help="rampart.yml, or the folder it is in.  [env: RAMPART_CONFIG]",
)  # fmt: skip
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default=None,
    envvar="RAMPART_LOG_LEVEL",
    help="What goes to stderr; info where stderr is no terminal.  [env: RAMPART_LOG_LEVEL]",
)  # fmt: skip
@click.option(
    "--log-file", type=click.Path(path_type=Path, dir_okay=False), envvar="RAMPART_LOG_FILE",
    help="Also log there as JSON lines; turns over at 10 MB.  [env: RAMPART_LOG_FILE]",
)  # fmt: skip
@click.option("--traceback", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="rampart")
def cli(
    config_path: Path | None, log_level: str | None, log_file: Path | None, traceback: bool
) -> None:
    """Rampart watches a Postgres warehouse that dbt builds."""
    from monitors import log

    settings.config_path = config_path
    settings.log_level = log_level or ("warning" if sys.stderr.isatty() else "info")
    settings.log_file = log_file
    settings.traceback = traceback
    log.configure(level=settings.log_level, log_file=log_file)


# -------------------------------------------------------------------- the daily work


@cli.command()
@click.option("--keep", is_flag=True, help="Keep what an earlier demo left, instead of afresh.")
def demo(keep: bool) -> ExitCode:
    """Sample data, load, build, scan on the embedded Postgres: nothing to configure.

    Ends with 0 when it ran, and says which exit code the scan gave.
    """
    from monitors import log
    from monitors.demo import LOG_FILE, run_demo

    # The story on the screen is enough; everything else is in its log.
    quiet = settings.log_file or LOG_FILE
    log.configure(level="error", log_file=quiet, file_level="info")
    run_demo(keep=keep, say=click.echo)
    return ExitCode.OK


@cli.command()
@click.argument("feed", required=False)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="The outcome as JSON on stdout.")
def load(feed: str | None, paths: tuple[Path, ...], as_json: bool) -> int:
    """Load files of FEED (all feeds when none is named) into raw.

    Without PATHS the feed's own landing place is read; what was loaded before is skipped.
    """
    from monitors.screen import load_progress

    with load_progress() as progress:
        verdict = settings.monitor().load(feed, paths, progress)
    return report_verdict(verdict, as_json)


@cli.command()
@click.option("--select", "-s", multiple=True, help="dbt's node selection.")
@click.option("--full-refresh", is_flag=True, help="Build everything anew from raw.")
@click.option("--json", "as_json", is_flag=True, help="The outcome as JSON on stdout.")
def build(select: tuple[str, ...], full_refresh: bool, as_json: bool) -> int:
    """`dbt build`, recorded."""
    verdict = settings.monitor(quiet_dbt=as_json).build(select, full_refresh=full_refresh)
    return report_verdict(verdict, as_json)


@cli.command()
@click.option(
    "--select", "-s", multiple=True,
    help="Only checks of this id, suite, dataset, layer or category.",
)  # fmt: skip
@click.option(
    "--soda-results", type=click.Path(path_type=Path),
    help="Take in what `soda scan -srf FILE` wrote, instead of running the checks.",
)  # fmt: skip
@click.option(
    "--dbt-target", type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The folder with the artifacts of dbt's last build, when it is not the project's target.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The verdicts as JSON on stdout.")
def scan(
    select: tuple[str, ...], soda_results: Path | None, dbt_target: Path | None, as_json: bool
) -> int:
    """Run the checks and write every verdict into monitoring.data_quality_metrics."""
    verdict = settings.monitor().scan(select, soda_results=soda_results, dbt_target=dbt_target)
    return report_verdict(verdict, as_json)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="The outcome as JSON on stdout.")
def run(as_json: bool) -> int:
    """Load, build and scan as one run; then what `run: then:` names, unless it is critical."""
    from monitors.screen import load_progress

    with load_progress() as progress:
        verdict = settings.monitor().run(progress)
    return report_verdict(verdict, as_json)


@cli.command()
@click.option("--select", "-s", multiple=True, help="dbt's node selection.")
@click.option("--json", "as_json", is_flag=True, help="The verdicts as JSON on stdout.")
def audit(select: tuple[str, ...], as_json: bool) -> int:
    """Every dbt test over whole tables: a build tests what is new. Weekly is often enough."""
    return report_verdict(settings.monitor().audit(select), as_json)


# -------------------------------------------------------------------- around it


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("landing"))
@click.option("--last-day", help="The newest day, YYYY-MM-DD; yesterday (UTC) by default.")
@click.option("--days", type=click.IntRange(1), default=9, show_default=True)
@click.option("--seed", default=7, show_default=True, help="The same seed gives the same bytes.")
def sample(folder: Path, last_day: str | None, days: int, seed: int) -> ExitCode:
    """Write sample files for every feed, with the faults a warehouse meets."""
    from monitors.arrival.sample import write_sample
    from monitors.demo import day_of

    summary = write_sample(folder, last_day=day_of(last_day), days=days, seed=seed)
    click.echo(f"{len(summary.history) + len(summary.today)} files in {folder}; planted in them:")
    for sentence in summary.planted:
        click.echo(f"  {sentence}")
    return ExitCode.OK


@cli.command()
@click.option("--offline", is_flag=True, help="Do not ask the hub; use the stand-ins.")
def deps(offline: bool) -> ExitCode:
    """Bring the dbt packages: from the hub, or Rampart's own stand-ins without it."""
    from monitors.warehouse.packages import install_packages

    click.echo(install_packages(settings.config().root, offline=offline).message)
    return ExitCode.OK


@cli.command()
def env() -> ExitCode:
    """Variables for plain `dbt`, `soda` and `psql`:  eval "$(rampart env)"."""
    import shlex

    from monitors.warehouse.connection import resolve_target
    from monitors.warehouse.dbt import environment

    root = settings.config().root
    target = resolve_target(root)
    psql = {
        "PGHOST": target.host, "PGPORT": str(target.port), "PGUSER": target.user,
        "PGDATABASE": target.dbname, "PGPASSWORD": target.password,
    }  # fmt: skip
    for name, value in {**environment(target, root), **psql}.items():
        click.echo(f"export {name}={shlex.quote(value)}")
    return ExitCode.OK


@cli.command()
def doctor() -> int:
    """Say what is wrong with this set-up and how to mend it."""
    from monitors.doctor import examine

    findings = examine(settings.config_path)
    for finding in findings:
        click.echo(finding.line)
    return ExitCode.OK if all(finding.is_fine for finding in findings) else ExitCode.UNUSABLE


def main() -> None:
    """Run the command; every foreseen error is one line on stderr and a defined exit code."""
    signal.signal(signal.SIGTERM, _on_sigterm)
    try:
        code = cli.main(standalone_mode=False, prog_name="rampart")
        sys.stdout.flush()
    except click.exceptions.Abort:
        code = ExitCode.INTERRUPTED
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = ExitCode.UNUSABLE
    except RampartError as error:
        if settings.traceback:
            raise
        code = _foreseen(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.OK
    except Exception as error:
        if settings.traceback:
            raise
        code = _unforeseen(error)
    raise SystemExit(int(code or 0))


def _foreseen(error: RampartError) -> int:
    """One line; a job that its warehouse let down is an alert."""
    from monitors.log import masked

    if isinstance(error, WarehouseFailed) and error.exit_code == ExitCode.RED:
        from monitors.alert.lines import alert_line

        click.echo(masked(alert_line("warehouse failure", str(error))), err=True)
    else:
        click.echo(masked(f"rampart: {error}"), err=True)
    return error.exit_code


def _unforeseen(error: Exception) -> int:
    """One line for what nobody foresaw; the database's own words when it was the database."""
    from monitors.log import get_logger, masked

    get_logger("Cli").debug("unforeseen error", exc_info=error)
    text = masked(" ".join(str(error).split()))
    if "psycopg" in sys.modules:
        import psycopg

        from monitors.warehouse.trouble import said_of

        if isinstance(error, psycopg.Error):
            if said := said_of(error):
                return _foreseen(WarehouseFailed(said))
            text = masked(first_line(error))
    click.echo(
        f"rampart: {type(error).__name__}: {text} (add --traceback before the command for more)",
        err=True,
    )
    return ExitCode.RED


def _on_sigterm(_number: int, _frame: Any) -> None:
    settings.asked_to_end = True
    raise SystemExit(int(ExitCode.TERMINATED))


cli.add_command(cli_backtest.backtest)
cli.add_command(cli_channels.channels)
cli.add_command(cli_checks.checks)
cli.add_command(cli_checks.periods)
cli.add_command(cli_checks.volumes)
cli.add_command(cli_consume.consume)
cli.add_command(cli_db.db)
cli.add_command(cli_deadletters.deadletters)
cli.add_command(cli_deliveries.deliveries)
cli.add_command(cli_exec.exec_)
cli.add_command(cli_export.export)
cli.add_command(cli_incidents.incidents)
cli.add_command(cli_init.init)
cli.add_command(cli_landing.landing)
cli.add_command(cli_notify.notify)
cli.add_command(cli_purge.purge)
cli.add_command(cli_quarantine.quarantine)
cli.add_command(cli_report.report)
cli.add_command(cli_serve.serve)

if __name__ == "__main__":
    main()
