"""A purge deletes what is old, and no counter falls, no history the model needs goes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from monitors.cli import cli
from monitors.commands.purge import Cleaner
from monitors.errors import UsageError
from monitors.store.migrate import migrate
from monitors.store.postgres import RunContext, StageCounts, Store
from monitors.store.roles import grant_roles
from monitors.warehouse.connection import Connection, connect
from monitors.warehouse.target import Target

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)
CONFIG = """
feeds:
  users: {table: crm_raw.users, format: csv, path: 'a/*.csv', extract: {kind: full}}
  events: {table: web_raw.events, format: jsonl, path: 'b/*.jsonl'}
retention: {metrics: 100 days, logs: 30 days, dead_letters: 30 days}
"""


@pytest.fixture
def project(tmp_path: Path, warehouse: Target, use: Callable[[Target], None]) -> Path:
    use(warehouse)
    (tmp_path / "rampart.yml").write_text(CONFIG)
    (tmp_path / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    return tmp_path


@pytest.fixture
def filled(project: Path, connection: Connection) -> Connection:
    """More than a year of loads and verdicts, one a day."""
    migrate(connection)
    days = "generate_series(0, 419) as days (n), lateral (select %(now)s - n * interval '1 day')"
    run = "'run-' || lpad(n::text, 3, '0')"
    for statement in (
        "insert into monitoring.runs (run_id, command, environment, started_at, ended_at)"
        f" select {run}, 'run', 'dev', at, at from {days} as moments (at)",
        "insert into monitoring.pipeline_logs (run_id, pipeline_name, stage, layer, status,"
        " started_at, finished_at, rows_read, rows_written, rows_dead_lettered)"
        f" select {run}, 'events', 'load', 'bronze', 'succeeded', at, at, 10, 9, 1"
        f" from {days} as moments (at)",
        "insert into monitoring.data_quality_metrics (run_id, environment, execution_timestamp,"
        " layer, category, suite_name, dataset, check_id, check_name, status, severity, message)"
        f" select {run}, 'dev', at, 'gold', 'business', 'a', 'd', 'a.check', 'a', 'pass', 'low', ''"
        f" from {days} as moments (at)",
        "insert into monitoring.metric_values (environment, metric_id, data_timestamp, value,"
        " origin, dataset, metric_name, run_id)"
        f" select 'dev', origin, at, 1, origin, 'd', 'm', {run}"
        f" from {days} as moments (at), unnest(array['measured', 'bucket']) as origins (origin)",
    ):
        connection.execute(statement.encode(), {"now": NOW})
    connection.commit()
    return connection


def counters(connection: Connection) -> dict[Any, float]:
    rows = connection.execute(
        "select metric, labels::text, value from monitoring.counters where environment = 'dev'"
        " and not labels ? 'le' and labels ->> 'pipeline_name' is distinct from 'purge'"
    ).fetchall()
    return {row[:2]: row[2] for row in rows}


def count(connection: Connection, table: str) -> int:
    row = connection.execute(f"select count(*) from monitoring.{table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def test_counters_stay_and_rows_go(project: Path, filled: Connection) -> None:
    """What was counted before a purge is counted after it, once, also after a second one."""
    before = counters(filled)
    Cleaner(project, now=lambda: NOW).purge()
    Cleaner(project, now=lambda: NOW + DAY).purge()

    assert ("records_processed", '{"layer": "bronze", "status": "read"}') in before
    assert 4200 == before[("records_processed", '{"layer": "bronze", "status": "read"}')]
    assert before == counters(filled)
    assert 30 == count(filled, "pipeline_logs")
    assert 100 == count(filled, "data_quality_metrics")


def test_the_history_that_the_model_needs_stays(project: Path, filled: Connection) -> None:
    """Measured values go by retention, buckets only when the model looks at them no more."""
    Cleaner(project, now=lambda: NOW).purge()
    rows = dict(
        filled.execute(
            "select origin, count(*) from monitoring.metric_values group by 1"
        ).fetchall()
    )

    assert {"measured": 101, "bucket": 366} == rows


def test_a_dead_letter_waits_for_its_decision(project: Path, filled: Connection) -> None:
    """Its bytes are the only copy: an open one stays, however old; a decided one goes."""
    at = NOW - 200 * DAY
    filled.execute(
        "insert into monitoring.deliveries (feed, name, sha256, sequence, extracted_at,"
        " extracted_at_from, kind, records, rows, dead_letters, bytes, run_id, admission,"
        " admitted_by) values ('events', 'a', 'a', 1, %s, 'name', 'events', 3, 0, 3, 9,"
        " 'run-200', 'admitted', 'rampart')",
        (at,),
    )
    filled.execute(
        "insert into monitoring.dead_letters (delivery_id, feed, name, source_row, line, reason,"
        " content, content_bytes, run_id, recorded_at) select delivery_id, feed, name, n, n, 'bad',"
        " 'x', 1, run_id, %s from monitoring.deliveries, generate_series(1, 3) as numbers (n)",
        (at,),
    )
    filled.execute(
        "insert into monitoring.dead_letter_decisions (dead_letter_id, decision, decided_by, why,"
        " run_id) select dead_letter_id, 'discarded', 'kim', 'test data', 'run-200'"
        " from monitoring.dead_letters where source_row = 1"
    )
    filled.commit()
    outcome = Cleaner(project, now=lambda: NOW).purge()
    left = filled.execute("select source_row from monitoring.dead_letters order by 1").fetchall()

    assert [(2,), (3,)] == left
    assert 2 == outcome.open_dead_letters
    assert 1 == next(each.rows for each in outcome.purged if "dead letters" in each.kind)


def test_runs_that_something_points_at_stay(project: Path, filled: Connection) -> None:
    """A delivery of long ago keeps its run."""
    store = Store(filled, RunContext("run-419", "dev"))
    filled.execute(
        "insert into monitoring.deliveries (feed, name, sha256, sequence, extracted_at,"
        " extracted_at_from, kind, records, rows, dead_letters, bytes, run_id, admission,"
        " admitted_by) values ('events', 'a', 'a', 1, %s, 'name', 'events', 1, 1, 0, 1,"
        " 'run-419', 'admitted', 'rampart')",
        (NOW - 419 * DAY,),
    )
    filled.commit()
    Cleaner(project, now=lambda: NOW).purge()
    runs = {row[0] for row in filled.execute("select run_id from monitoring.runs").fetchall()}

    assert store.run.run_id in runs
    assert "run-300" in runs, "its bucket is still needed"
    assert "run-399" not in runs


def test_a_dry_run_deletes_nothing(project: Path, filled: Connection) -> None:
    """It says what would go."""
    before = {name: count(filled, name) for name in ("pipeline_logs", "counter_totals", "runs")}
    filled.rollback()
    done = CliRunner().invoke(cli, ["--config", str(project), "purge", "--dry-run"])

    assert "nothing was deleted" in done.output
    assert before["pipeline_logs"] == count(filled, "pipeline_logs")
    assert before["counter_totals"] == count(filled, "counter_totals")


def test_the_latest_verdict_of_a_check_stays(project: Path, filled: Connection) -> None:
    """However old: it says what was known last."""
    Cleaner(project, now=lambda: NOW + 1000 * DAY).purge()

    assert 1 == count(filled, "data_quality_metrics")


@pytest.mark.parametrize(
    ("feed", "why"), [("users", "SCD2 dimension is built anew"), ("events", "a full refresh")]
)
def test_raw_rows_are_refused_with_the_reason(project: Path, feed: str, why: str) -> None:
    """What a rebuild would need stays."""
    with pytest.raises(UsageError, match=why):
        Cleaner(project).refuse_raw(feed)


def test_who_may_not_delete_is_told(
    project: Path, filled: Connection, warehouse: Target, use: Callable[[Target], None]
) -> None:
    """Least privilege: verdicts are append only for the monitor's role."""
    grant_roles(filled, {"rampart_monitor": "monitor-secret"})
    role = Target(warehouse.host, warehouse.port, "rampart_monitor", warehouse.dbname,
                  "environment", "monitor-secret", "prod")  # fmt: skip
    use(role)
    done = CliRunner().invoke(cli, ["--config", str(project), "purge"])

    assert "purge needs a role that may delete" in str(done.exception)
    with connect(warehouse) as admin:
        assert 420 == count(admin, "data_quality_metrics")


def test_stage_metrics_and_error_counts(project: Path, filled: Connection) -> None:
    """Durations, rows, success rate and errors by component, as SQL."""
    store = Store(filled, RunContext("run-000", "dev"))
    log_id = store.start_stage("events", "load", "bronze", "b.jsonl")
    store.finish_stage(
        log_id, "failed", StageCounts(error_type="OSError", error_message="disk full")
    )
    day = filled.execute(
        "select runs, succeeded, failed, success_rate, rows_read from monitoring.stage_metrics"
        " where pipeline_name = 'events' and day = '2026-02-28'"
    ).fetchone()
    errors = filled.execute(
        "select error_type, errors, last_message from monitoring.error_counts"
    ).fetchall()

    assert (1, 1, 0, 100, 10) == day
    assert [("OSError", 1, "disk full")] == errors


def test_what_is_open_or_waits_stays(project: Path, filled: Connection) -> None:
    """An incident of long ago that nobody resolved keeps its verdicts; a resolved one goes."""
    opened = NOW - 300 * DAY
    for state, resolved_at in (("open", None), ("resolved", opened)):
        filled.execute(
            "insert into monitoring.incidents (environment, kind, severity, state, title, topic,"
            " place, dataset, layer, lead_check_id, opened_at, opened_run_id, changed_at,"
            " resolved_at) values ('dev', 'job_failure', 'high', %s, '', '', '', 'd', 'gold',"
            " 'a.check', %s, 'run-300', %s, %s)",
            (state, opened, opened, resolved_at),
        )
    filled.execute(
        "insert into monitoring.incident_checks select incident_id, 'a.check', '', 'd', 'high', '',"
        " 'run-300', opened_at from monitoring.incidents"
    )
    filled.execute(
        "insert into monitoring.outbox (environment, key, event, channel, message, state,"
        " next_try_at, created_at, sent_at) values"
        " ('dev', 'waits', 'opened', 'mail', '{}', 'pending', %(at)s, %(at)s, null),"
        " ('dev', 'sent', 'opened', 'mail', '{}', 'sent', %(at)s, %(at)s, %(at)s)",
        {"at": opened},
    )
    filled.commit()
    Cleaner(project, now=lambda: NOW).purge()

    assert [("open",)] == filled.execute("select state from monitoring.incidents").fetchall()
    assert [("waits",)] == filled.execute("select key from monitoring.outbox").fetchall()
    assert 301 == count(filled, "data_quality_metrics")
