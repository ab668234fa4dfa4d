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
