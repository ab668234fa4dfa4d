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

-- verdict_series --
-- Whole histories at once: per check and segment what each run measured, by the moment of the data,
-- with the bounds in force then, and values that were recomputed under its name for moments of which
-- no run speaks; and the bounds of its latest verdict.
with

measured as (
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

latest as (
    select distinct on (measured.check_id, measured.segment)
        measured.check_id,
        measured.segment,
        measured.dataset,
        measured.metric_name,
        measured.suite_name,
        measured.expected_min,
        measured.expected_max
    from measured
    order by measured.check_id, measured.segment, measured.execution_timestamp desc
),

recomputed as (
    select
        metric_values.metric_id as check_id,
        metric_values.segment,
        metric_values.value as metric_value,
        cast(null as double precision) as expected_min,
        cast(null as double precision) as expected_max,
        metric_values.data_timestamp as execution_timestamp,
        metric_values.data_timestamp as moment
    from monitoring.metric_values as metric_values
    where
        metric_values.environment = %(environment)s
        and metric_values.origin = 'recomputed'
        and metric_values.value is not null
        and metric_values.data_timestamp >= %(since)s
        and not exists (
            select 1
            from measured
            where
                measured.check_id = metric_values.metric_id
                and measured.segment = metric_values.segment
                and measured.moment = metric_values.data_timestamp
        )
),

every_value as (
    select
        check_id, segment, metric_value, expected_min, expected_max, execution_timestamp, moment
    from measured
    union all
    select
        check_id, segment, metric_value, expected_min, expected_max, execution_timestamp, moment
    from recomputed
)

select
    latest.check_id,
    latest.segment,
    latest.dataset,
    coalesce(latest.metric_name, '') as metric_name,
    latest.suite_name,
    array_agg(every_value.moment order by every_value.moment, every_value.execution_timestamp)
        as moments,
    array_agg(every_value.metric_value order by every_value.moment, every_value.execution_timestamp)
        as metric_values,
    array_agg(every_value.expected_min order by every_value.moment, every_value.execution_timestamp)
        as lows,
    array_agg(every_value.expected_max order by every_value.moment, every_value.execution_timestamp)
        as highs,
    latest.expected_min,
    latest.expected_max
from latest
inner join every_value
    on latest.check_id = every_value.check_id and latest.segment = every_value.segment
group by
    latest.check_id, latest.segment, latest.dataset, latest.metric_name, latest.suite_name,
    latest.expected_min, latest.expected_max
order by latest.check_id, latest.segment

-- moments_of_feeds --
-- The newest moment that an admitted delivery of each feed speaks of.
select deliveries.feed, max(deliveries.extracted_at)
from monitoring.deliveries as deliveries
where deliveries.admission <> 'refused'
group by deliveries.feed

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

-- bad_buckets_of_incident --
-- Since an incident opened: from when to when each series was anomalous that its checks speak of.
select
    judgements.dataset,
    nullif(judgements.segment, '') as segment,
    min(judgements.bucket_start) as starts_at,
    max(judgements.bucket_end) as ends_at
from monitoring.incidents as incidents
inner join monitoring.volume_judgements as judgements
    on
        incidents.environment = judgements.environment
        and judgements.run_id >= incidents.opened_run_id
        and judgements.state = 'anomalous'
where
    incidents.incident_id = %(incident_id)s
    and exists (
        select 1
        from monitoring.incident_checks as checks
        inner join monitoring.data_quality_metrics as metrics
            on
                checks.check_id = metrics.check_id
                and checks.segment = metrics.segment
                and metrics.run_id >= incidents.opened_run_id
        where
            checks.incident_id = incidents.incident_id
            and position(judgements.dataset in coalesce(metrics.attributes ->> 'evidence', '')) > 0
    )
group by judgements.dataset, judgements.segment
order by judgements.dataset, judgements.segment
