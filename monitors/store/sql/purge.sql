-- roll_counters --
-- What the purged stages had counted goes on counting.
insert into monitoring.counter_totals (environment, metric, labels, value)
select counters.environment, counters.metric, counters.labels, counters.value
from monitoring.stage_counters(%(before)s) as counters
on conflict (environment, metric, labels) do update set
    value = counter_totals.value + excluded.value

-- purge_logs --
-- Stages that began before a moment, after `roll_counters` for the same moment. One that never
-- finished was killed, and counts nowhere.
delete from monitoring.pipeline_logs as logs
where logs.started_at < %(before)s

-- purge_verdicts --
-- Verdicts before a moment. The latest of each check stays, however old: it says what was known.
delete from monitoring.data_quality_metrics as metrics
where
    metrics.execution_timestamp < %(before)s
    and exists (
        select 1
        from monitoring.data_quality_metrics as later
        where
            later.check_id = metrics.check_id
            and later.segment = metrics.segment
            and later.environment = metrics.environment
            and later.execution_timestamp > metrics.execution_timestamp
    )

-- purge_values --
-- Measured values before a moment; buckets that the volume model still looks at stay.
delete from monitoring.metric_values as metric_values
where
    metric_values.data_timestamp
    < case metric_values.origin when 'bucket' then least(%(before)s, %(buckets_before)s) else %(before)s end

-- purge_judgements --
-- Judged buckets before a moment.
delete from monitoring.volume_judgements as judgements
where judgements.bucket_start < %(before)s

-- purge_dead_letters --
-- Records that could not be read, before a moment: their number stays with the delivery.
delete from monitoring.dead_letters as letters
where letters.recorded_at < %(before)s

-- tables_of_runs --
-- Every table that points at a run.
select
    format('%%I.%%I', namespaces.nspname, tables.relname) as table_name,
    attributes.attname as column_name
from pg_constraint as constraints
inner join pg_class as tables
    on constraints.conrelid = tables.oid
inner join pg_namespace as namespaces
    on tables.relnamespace = namespaces.oid
inner join pg_attribute as attributes
    on tables.oid = attributes.attrelid and attributes.attnum = constraints.conkey[1]
where constraints.contype = 'f' and constraints.confrelid = 'monitoring.runs'::regclass
order by 1, 2

-- purge_runs --
-- Runs before a moment to which nothing points any more. {still_named} is made of tables_of_runs.
delete from monitoring.runs as runs
where runs.started_at < %(before)s and runs.ended_at is not null {still_named}
