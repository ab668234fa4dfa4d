-- Counters that only rise: a purge rolls what it deletes into totals, and readers see the sum.

create table monitoring.counter_totals (
    environment text not null,
    metric text not null,
    labels jsonb not null,
    value double precision not null,
    primary key (environment, metric, labels)
);
comment on table monitoring.counter_totals is 'One row per counter and its labels: what purged rows of pipeline_logs had counted.';

-- Of the finished stages that began before a moment: records by layer and status, runs by pipeline
-- and status, durations as the cumulative buckets of a histogram, in seconds.
create function monitoring.stage_counters(before timestamptz)
returns table (environment text, metric text, labels jsonb, value double precision)
language sql stable
set search_path = pg_catalog
as $$
with

stages as (
    select
        runs.environment,
        logs.pipeline_name,
        logs.layer,
        logs.status,
        logs.rows_read,
        logs.rows_written,
        logs.rows_rejected,
        logs.rows_dead_lettered,
        extract(epoch from logs.finished_at - logs.started_at) as seconds
    from monitoring.pipeline_logs as logs
    inner join monitoring.runs as runs
        on logs.run_id = runs.run_id
    where logs.finished_at is not null and logs.started_at < before
),

records as (
    select
        stages.environment,
        'records_processed' as metric,
        jsonb_build_object('layer', stages.layer, 'status', counted.status) as labels,
        sum(counted.rows) as value
    from stages
    cross join lateral (
        values
            ('read', stages.rows_read),
            ('written', stages.rows_written),
            ('rejected', stages.rows_rejected),
            ('dead_lettered', stages.rows_dead_lettered)
    ) as counted (status, rows)
    where counted.rows is not null
    group by stages.environment, stages.layer, counted.status
),

runs_by_status as (
    select
        stages.environment,
        'runs' as metric,
        jsonb_build_object('pipeline_name', stages.pipeline_name, 'status', stages.status) as labels,
        count(*) as value
    from stages
    group by stages.environment, stages.pipeline_name, stages.status
),

durations as (
    select
        stages.environment,
        'duration_bucket' as metric,
        jsonb_build_object('pipeline_name', stages.pipeline_name, 'le', limits.le) as labels,
        count(*) filter (where limits.le = '+Inf' or stages.seconds <= limits.seconds) as value
    from stages
    cross join (
        values
            ('1', 1), ('5', 5), ('10', 10), ('30', 30), ('60', 60), ('120', 120), ('300', 300),
            ('600', 600), ('1800', 1800), ('3600', 3600), ('7200', 7200), ('+Inf', null)
    ) as limits (le, seconds)
    where stages.status <> 'skipped'
    group by stages.environment, stages.pipeline_name, limits.le
),

duration_sums as (
    select
        stages.environment,
        'duration_sum' as metric,
        jsonb_build_object('pipeline_name', stages.pipeline_name) as labels,
        sum(stages.seconds) as value
    from stages
    where stages.status <> 'skipped'
    group by stages.environment, stages.pipeline_name
)

select * from records
union all
select * from runs_by_status
union all
select * from durations
union all
select * from duration_sums
$$;

create view monitoring.counters as
with

every as (
    select totals.environment, totals.metric, totals.labels, totals.value
    from monitoring.counter_totals as totals
    union all
    select live.environment, live.metric, live.labels, live.value
    from monitoring.stage_counters('infinity') as live
)

select every.environment, every.metric, every.labels, sum(every.value) as value
from every
group by every.environment, every.metric, every.labels;
comment on view monitoring.counters is 'One row per counter and its labels: records_processed (layer, status), runs (pipeline_name, status), duration_bucket (pipeline_name, le in seconds) and duration_sum (pipeline_name). It only rises, also over a purge.';

create view monitoring.stage_metrics as
select
    runs.environment,
    logs.pipeline_name,
    logs.stage,
    logs.layer,
    cast(logs.started_at at time zone 'UTC' as date) as day,
    count(*) as runs,
    count(*) filter (where logs.status = 'succeeded') as succeeded,
    count(*) filter (where logs.status = 'failed') as failed,
    count(*) filter (where logs.status = 'skipped') as skipped,
    count(*) filter (where logs.status = 'started') as unfinished,
    100.0 * count(*) filter (where logs.status = 'succeeded')
    / nullif(count(*) filter (where logs.status <> 'skipped'), 0) as success_rate,
    avg(extract(epoch from logs.finished_at - logs.started_at)) as mean_seconds,
    percentile_cont(0.95) within group (
        order by extract(epoch from logs.finished_at - logs.started_at)
    ) as p95_seconds,
    sum(logs.rows_read) as rows_read,
    sum(logs.rows_written) as rows_written,
    sum(logs.rows_rejected) as rows_rejected,
    sum(logs.rows_dead_lettered) as rows_dead_lettered
from monitoring.pipeline_logs as logs
inner join monitoring.runs as runs
    on logs.run_id = runs.run_id
group by 1, 2, 3, 4, 5;
comment on view monitoring.stage_metrics is 'One row per environment, pipeline, stage, layer and UTC day: how often it ran and how it ended, how long it took, what it counted. success_rate, 0 to 100: succeeded of those not skipped.';

create view monitoring.error_counts as
select
    runs.environment,
    logs.pipeline_name,
    logs.stage,
    coalesce(logs.error_type, 'unknown') as error_type,
    cast(logs.started_at at time zone 'UTC' as date) as day,
    count(*) as errors,
    max(logs.started_at) as last_at,
    (array_agg(logs.error_message order by logs.started_at desc))[1] as last_message
from monitoring.pipeline_logs as logs
inner join monitoring.runs as runs
    on logs.run_id = runs.run_id
where logs.status = 'failed'
group by 1, 2, 3, 4, 5;
comment on view monitoring.error_counts is 'One row per environment, pipeline, stage, kind of error and UTC day: how often, when last, and what it said last.';
