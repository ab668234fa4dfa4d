-- red_streak --
-- The first red execution of a check's present streak, and its last green one before it.
with verdicts as (
    select metrics.execution_timestamp, metrics.run_id, metrics.status
    from monitoring.data_quality_metrics as metrics
    where
        metrics.environment = %(environment)s
        and metrics.check_id = %(check_id)s
        and metrics.segment = %(segment)s
        and metrics.blocked_by is null
),

last_green as (
    select *
    from verdicts
    where status not in ('error', 'fail', 'missing')
    order by execution_timestamp desc
    limit 1
),

first_red as (
    select *
    from verdicts
    where
        status in ('error', 'fail', 'missing')
        and execution_timestamp > coalesce(
            (select execution_timestamp from last_green), '-infinity'
        )
    order by execution_timestamp
    limit 1
)

select
    (select execution_timestamp from first_red),
    (select run_id from first_red),
    (select execution_timestamp from last_green),
    (select run_id from last_green)

-- run_versions --
-- What a run worked with.
select runs.versions, runs.git_revision
from monitoring.runs as runs
where runs.run_id = %(run_id)s

-- code_before --
-- The code of each model when it was built well last, up to a moment.
select distinct on (metrics.attributes ->> 'unique_id')
    metrics.attributes ->> 'unique_id' as unique_id,
    metrics.attributes ->> 'checksum' as checksum
from monitoring.data_quality_metrics as metrics
where
    metrics.environment = %(environment)s
    and metrics.suite_name = 'dbt'
    and metrics.check_id = any(%(check_ids)s)
    and metrics.attributes ->> 'checksum' is not null
    and metrics.execution_timestamp <= %(until)s
order by metrics.attributes ->> 'unique_id', metrics.execution_timestamp desc

-- was_idle_since --
-- Whether nothing was loaded or built since a moment.
select not exists (
    select 1
    from monitoring.pipeline_logs as logs
    where
        logs.started_at > %(since)s
        and logs.stage in ('load', 'build')
        and (logs.stage = 'build' or logs.rows_written > 0)
)

-- deliveries_since --
-- What came of a feed since a moment, the newest first.
select
    deliveries.delivery_id, deliveries.name, deliveries.kind, deliveries.rows,
    deliveries.dead_letters, deliveries.loaded_at, deliveries.run_id, deliveries.admission,
    deliveries.why
from monitoring.deliveries as deliveries
where deliveries.feed = %(feed)s and deliveries.loaded_at > %(since)s
order by deliveries.delivery_id desc
limit 200

-- latest_deliveries --
-- The deliveries of the latest run that brought something of a feed, the newest first.
select
    deliveries.delivery_id, deliveries.name, deliveries.kind, deliveries.rows,
    deliveries.dead_letters, deliveries.loaded_at, deliveries.run_id, deliveries.admission,
    deliveries.why
from monitoring.deliveries as deliveries
where
    deliveries.feed = %(feed)s
    and deliveries.run_id = (
        select newest.run_id
        from monitoring.deliveries as newest
        where newest.feed = %(feed)s
        order by newest.delivery_id desc
        limit 1
    )
order by deliveries.delivery_id desc
limit 200

-- usual_rows --
-- How many rows a delivery of this feed and kind usually brings: the median of those before.
select
    percentile_cont(0.5) within group (order by earlier.records) as usual,
    count(*) as deliveries
from (
    select deliveries.records
    from monitoring.deliveries as deliveries
    where
        deliveries.feed = %(feed)s
        and deliveries.kind = %(kind)s
        and deliveries.admission <> 'refused'
        and deliveries.delivery_id < %(before)s
    order by deliveries.delivery_id desc
    limit 30
) as earlier

-- drift_of --
-- Columns that these deliveries did not bring, or brought for the first time.
select schema_drift.column_name, schema_drift.change, deliveries.name
from monitoring.schema_drift as schema_drift
inner join monitoring.deliveries as deliveries
    on schema_drift.delivery_id = deliveries.delivery_id
where schema_drift.delivery_id = any(%(deliveries)s)
order by schema_drift.change desc, schema_drift.delivery_id desc, schema_drift.column_name

-- reasons_of_dead_letters --
-- Why records of these deliveries cannot be read.
select dead_letters.reason, count(*) as records, min(dead_letters.name) as name
from monitoring.dead_letters as dead_letters
where dead_letters.delivery_id = any(%(deliveries)s)
group by dead_letters.reason
order by count(*) desc, dead_letters.reason
limit 10

-- rules_broken --
-- How many rows of these deliveries each rule rejects, and in which file most of them stand.
select
    broken.rule,
    sum(broken.rows) as rows,
    (array_agg(broken.delivery_id order by broken.rows desc))[1] as delivery_id,
    (array_agg(broken.source_row order by broken.rows desc))[1] as source_row
from (
    select
        violations.rule,
        violations.delivery_id,
        count(distinct violations.source_row) as rows,
        min(violations.source_row) as source_row
    from {violations} as violations
    where
        violations.feed = %(feed)s
        and violations.delivery_id = any(%(deliveries)s)
        and violations.effect = 'reject'
    group by violations.rule, violations.delivery_id
) as broken
group by broken.rule
order by sum(broken.rows) desc, broken.rule
limit 10

-- rows_that_break --
-- A few rows that break a rule.
select distinct violations.delivery_id, violations.source_row
from {violations} as violations
where
    violations.feed = %(feed)s
    and violations.delivery_id = any(%(deliveries)s)
    and violations.rule = %(rule)s
order by violations.delivery_id desc, violations.source_row
limit %(limit)s

-- unaccounted_deliveries --
-- Deliveries that do not add up.
select conservation.feed, deliveries.name, conservation.grain, conservation.unaccounted
from {conservation} as conservation
left join monitoring.deliveries as deliveries
    on conservation.delivery_id = deliveries.delivery_id
where conservation.unaccounted <> 0
order by abs(conservation.unaccounted) desc
limit 10

-- faults_of_chains --
-- What is wrong with the version chains, by fault.
select faults.fault, count(*) as faults
from {scd2_faults} as faults
group by faults.fault
order by count(*) desc, faults.fault
limit 10
