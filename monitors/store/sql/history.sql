-- put_metric_value --
-- What was measured at a moment of the data; the same moment again replaces it. A recomputed value
-- never replaces a measured one.
insert into monitoring.metric_values (
    environment, metric_id, segment, data_timestamp, value, payload, origin, dataset, metric_name,
    run_id
)
values (
    %(environment)s, %(metric_id)s, %(segment)s, %(data_timestamp)s, %(value)s, %(payload)s,
    %(origin)s, %(dataset)s, %(metric_name)s, %(run_id)s
)
on conflict (environment, metric_id, segment, data_timestamp) do update set
    value = excluded.value,
    payload = excluded.payload,
    origin = excluded.origin,
    run_id = excluded.run_id,
    recorded_at = now()
where
    not (metric_values.origin = 'measured' and excluded.origin = 'recomputed')
    and (metric_values.value, metric_values.payload)
    is distinct from (excluded.value, excluded.payload)

-- metric_values_before --
-- The latest values of a metric before a moment, the newest first.
select
    metric_values.data_timestamp, metric_values.value, metric_values.payload, metric_values.origin
from monitoring.metric_values as metric_values
where
    metric_values.environment = %(environment)s
    and metric_values.metric_id = %(metric_id)s
    and metric_values.segment = %(segment)s
    and metric_values.data_timestamp < %(before)s
    and metric_values.data_timestamp >= %(since)s
order by metric_values.data_timestamp desc
limit %(limit)s

-- metric_series --
-- Whole histories at once: per metric and segment its moments and values, oldest first.
select
    metric_values.metric_id,
    metric_values.segment,
    metric_values.dataset,
    metric_values.metric_name,
    '' as suite_name,
    array_agg(metric_values.data_timestamp order by metric_values.data_timestamp) as moments,
    array_agg(metric_values.value order by metric_values.data_timestamp) as metric_values
from monitoring.metric_values as metric_values
where
    metric_values.environment = %(environment)s
    and metric_values.origin = %(origin)s
    and metric_values.data_timestamp >= %(since)s
    and metric_values.value is not null
    and (%(dataset)s::text is null or metric_values.dataset = %(dataset)s)
group by
    metric_values.metric_id, metric_values.segment, metric_values.dataset, metric_values.metric_name
order by metric_values.metric_id, metric_values.segment

-- verdict_series --
-- Whole histories at once: per check and segment what each run measured, by the moment of the data,
-- and the bounds of the latest verdict.
with

valued as (
    select
        metrics.check_id,
        metrics.segment,
        metrics.dataset,
        metrics.metric_name,
        metrics.suite_name,
        metrics.metric_value,
        metrics.expected_min,
        metrics.expected_max,
        metrics.execution_timestamp,
        coalesce(metrics.data_timestamp, metrics.execution_timestamp) as moment
    from monitoring.data_quality_metrics as metrics
    where
        metrics.environment = %(environment)s
        and metrics.metric_value is not null
        and coalesce(metrics.data_timestamp, metrics.execution_timestamp) >= %(since)s
),

of_check as (
    select
        valued.check_id,
        valued.segment,
        (array_agg(valued.dataset order by valued.execution_timestamp desc))[1] as dataset,
        coalesce(
            (array_agg(valued.metric_name order by valued.execution_timestamp desc))[1], ''
        ) as metric_name,
        (array_agg(valued.suite_name order by valued.execution_timestamp desc))[1] as suite_name,
        array_agg(valued.moment order by valued.moment, valued.execution_timestamp) as moments,
        array_agg(
            valued.metric_value order by valued.moment, valued.execution_timestamp
        ) as metric_values,
        (array_agg(valued.expected_min order by valued.execution_timestamp desc))[1]
            as expected_min,
        (array_agg(valued.expected_max order by valued.execution_timestamp desc))[1]
            as expected_max
    from valued
    group by valued.check_id, valued.segment
)

select * from of_check
order by of_check.check_id, of_check.segment

-- bad_periods --
-- Periods that say nothing about what is usual: of one dataset, and of all.
select
    periods.period_id, periods.dataset, periods.segment, periods.starts_at, periods.ends_at,
    periods.why, periods.named_by, periods.named_at
from monitoring.known_bad_periods as periods
where
    periods.withdrawn_at is null
    and (
        %(dataset)s::text is null
        or periods.dataset is null
        or periods.dataset = %(dataset)s
    )
order by periods.starts_at

-- add_bad_period --
-- Somebody names a period.
insert into monitoring.known_bad_periods (dataset, segment, starts_at, ends_at, why, named_by)
values (%(dataset)s, %(segment)s, %(starts_at)s, %(ends_at)s, %(why)s, %(named_by)s)
returning period_id

-- withdraw_bad_period --
-- It counts again as usual.
update monitoring.known_bad_periods
set withdrawn_at = now(), withdrawn_by = %(withdrawn_by)s
where period_id = %(period_id)s and withdrawn_at is null
returning period_id

-- mute_check --
-- Until then the check runs and is shown as muted.
insert into monitoring.mutes (check_id, muted_until, why, muted_by)
values (%(check_id)s, %(muted_until)s, %(why)s, %(muted_by)s)
returning mute_id

-- lift_mutes --
-- The check counts again at once.
update monitoring.mutes
set lifted_at = now(), lifted_by = %(lifted_by)s
where check_id = %(check_id)s and lifted_at is null and muted_until > %(now)s
returning mute_id

-- mutes_in_force --
-- Of each muted check the mute that lasts longest.
select distinct on (mutes.check_id)
    mutes.check_id, mutes.muted_until, mutes.why, mutes.muted_by, mutes.muted_at
from monitoring.mutes as mutes
where mutes.lifted_at is null and mutes.muted_until > %(now)s
order by mutes.check_id, mutes.muted_until desc
