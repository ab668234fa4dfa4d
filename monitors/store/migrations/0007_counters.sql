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

-- one pass: limits_kept says how many limits of the histogram a stage stayed within
stages as materialized (
    select
        logs.run_id,
        logs.pipeline_name,
        logs.layer,
        logs.status,
        width_bucket(
            -took.seconds,
            array[-7200, -3600, -1800, -600, -300, -120, -60, -30, -10, -5, -1]::double precision []
        ) as limits_kept,
        count(*) as stages,
        sum(took.seconds) as seconds,
        sum(logs.rows_read) as rows_read,
        sum(logs.rows_written) as rows_written,
        sum(logs.rows_rejected) as rows_rejected,
        sum(logs.rows_dead_lettered) as rows_dead_lettered
    from monitoring.pipeline_logs as logs
    cross join lateral (
        select cast(extract(epoch from logs.finished_at - logs.started_at) as double precision)
    ) as took (seconds)
    where logs.finished_at is not null and logs.started_at < before
    group by 1, 2, 3, 4, 5
),

grouped as materialized (
    select
        runs.environment,
        stages.pipeline_name,
        stages.layer,
        stages.status,
        stages.limits_kept,
        sum(stages.stages) as stages,
        sum(stages.seconds) as seconds,
        sum(stages.rows_read) as rows_read,
        sum(stages.rows_written) as rows_written,
        sum(stages.rows_rejected) as rows_rejected,
        sum(stages.rows_dead_lettered) as rows_dead_lettered
    from stages
    inner join monitoring.runs as runs
        on stages.run_id = runs.run_id
    group by 1, 2, 3, 4, 5
),

records as (
    select
        grouped.environment,
        'records_processed' as metric,
        jsonb_build_object('layer', grouped.layer, 'status', counted.status) as labels,
        sum(counted.rows) as value
    from grouped
    cross join lateral (
        values
            ('read', grouped.rows_read),
            ('written', grouped.rows_written),
            ('rejected', grouped.rows_rejected),
            ('dead_lettered', grouped.rows_dead_lettered)
    ) as counted (status, rows)
    where counted.rows is not null
    group by grouped.environment, grouped.layer, counted.status
),

runs_by_status as (
    select
        grouped.environment,
        'runs' as metric,
        jsonb_build_object('pipeline_name', grouped.pipeline_name, 'status', grouped.status) as labels,
        sum(grouped.stages) as value
    from grouped
    group by grouped.environment, grouped.pipeline_name, grouped.status
),

durations as (
    select
        grouped.environment,
        'duration_bucket' as metric,
        jsonb_build_object('pipeline_name', grouped.pipeline_name, 'le', limits.le) as labels,
        coalesce(sum(grouped.stages) filter (where grouped.limits_kept >= limits.kept), 0) as value
    from grouped
    cross join (
        values
            ('1', 11), ('5', 10), ('10', 9), ('30', 8), ('60', 7), ('120', 6), ('300', 5),
            ('600', 4), ('1800', 3), ('3600', 2), ('7200', 1), ('+Inf', 0)
    ) as limits (le, kept)
    where grouped.status <> 'skipped'
    group by grouped.environment, grouped.pipeline_name, limits.le
),

duration_sums as (
    select
        grouped.environment,
        'duration_sum' as metric,
        jsonb_build_object('pipeline_name', grouped.pipeline_name) as labels,
        sum(grouped.seconds) as value
    from grouped
    where grouped.status <> 'skipped'
    group by grouped.environment, grouped.pipeline_name
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

-- the latest end of each pipeline, for a scrape every few seconds
create index pipeline_logs_by_pipeline on monitoring.pipeline_logs (pipeline_name, started_at);
