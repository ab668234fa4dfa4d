-- put_run --
-- A run as it is known now: begun, or ended. What was known before is never taken back.
insert into monitoring.runs (
    run_id, command, environment, started_at, ended_at, exit_code, versions, git_revision
)
values (
    %(run_id)s, %(command)s, %(environment)s, %(started_at)s, %(ended_at)s, %(exit_code)s,
    %(versions)s, %(git_revision)s
)
on conflict (run_id) do update set
    ended_at = coalesce(excluded.ended_at, runs.ended_at),
    exit_code = coalesce(excluded.exit_code, runs.exit_code)

-- put_stage --
-- A stage of it in the same way; call it after put_run, which holds the run's row.
with finished as (
    update monitoring.pipeline_logs
    set
        status = %(status)s,
        finished_at = %(finished_at)s,
        rows_read = %(rows_read)s,
        rows_written = %(rows_written)s,
        rows_created = %(rows_created)s,
        rows_updated = %(rows_updated)s,
        rows_deleted = %(rows_deleted)s,
        rows_rejected = %(rows_rejected)s,
        rows_dead_lettered = %(rows_dead_lettered)s,
        error_type = %(error_type)s,
        error_message = %(error_message)s
    where
        run_id = %(run_id)s
        and pipeline_name = %(pipeline_name)s
        and stage = %(stage)s
        and source is not distinct from %(source)s::text
        and finished_at is null
        and %(finished_at)s::timestamptz is not null
)

insert into monitoring.pipeline_logs (
    run_id, pipeline_name, stage, layer, status, started_at, finished_at, rows_read, rows_written,
    rows_created, rows_updated, rows_deleted, rows_rejected, rows_dead_lettered, source, error_type,
    error_message
)
select
    %(run_id)s, %(pipeline_name)s, %(stage)s, %(layer)s, %(status)s, %(started_at)s,
    %(finished_at)s, %(rows_read)s, %(rows_written)s, %(rows_created)s, %(rows_updated)s,
    %(rows_deleted)s, %(rows_rejected)s, %(rows_dead_lettered)s, %(source)s, %(error_type)s,
    %(error_message)s
where not exists (
    select 1
    from monitoring.pipeline_logs
    where
        run_id = %(run_id)s
        and pipeline_name = %(pipeline_name)s
        and stage = %(stage)s
        and source is not distinct from %(source)s::text
)
