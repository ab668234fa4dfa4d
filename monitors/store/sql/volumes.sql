-- lock_volumes --
-- Two scans of one dataset take turns until the end of their transactions.
select pg_advisory_xact_lock(hashtextextended('rampart.volume.' || %(dataset)s, 0))

-- declare_volume --
-- What rampart.yml says of a dataset now, for the view that checks read.
insert into monitoring.volume_series (
    environment, dataset, every, clock_feed, clock, timezone, lateness, method, smallest_change,
    project
)
values (
    %(environment)s, %(dataset)s, %(every)s, %(clock_feed)s, %(clock)s, %(timezone)s,
    %(lateness)s, %(method)s, %(smallest_change)s, %(project)s
)
on conflict (environment, dataset) do update set
    every = excluded.every,
    clock_feed = excluded.clock_feed,
    clock = excluded.clock,
    timezone = excluded.timezone,
    lateness = excluded.lateness,
    method = excluded.method,
    smallest_change = excluded.smallest_change,
    project = excluded.project,
    -- other buckets are another history
    counted_until = case
        when (volume_series.every, volume_series.timezone) = (excluded.every, excluded.timezone)
            then volume_series.counted_until
    end,
    is_declared = true,
    updated_at = now()
returning counted_until

-- undeclare_volumes --
-- Datasets that rampart.yml of this project names no more; another project may name them.
update monitoring.volume_series
set is_declared = false, updated_at = now()
where
    environment = %(environment)s
    and project = %(project)s
    and is_declared
    and not dataset = any(%(datasets)s)

-- forget_volumes --
-- The buckets are counted anew, from the first.
delete from monitoring.metric_values
where environment = %(environment)s and metric_id = %(metric_id)s and origin = 'bucket'

-- recount_volumes --
-- The next scan counts every bucket of the dataset anew.
update monitoring.volume_series
set counted_until = null, updated_at = now()
where environment = %(environment)s and dataset = %(dataset)s

-- counted_volumes --
-- Until when the rows of a dataset are counted, or why they could not be.
update monitoring.volume_series
set counted_until = coalesce(%(counted_until)s, counted_until), error = %(error)s, updated_at = now()
where environment = %(environment)s and dataset = %(dataset)s

-- clock_of_feed --
-- The newest moment that a delivery of the feed speaks of.
select max(deliveries.extracted_at)
from monitoring.deliveries as deliveries
where deliveries.feed = %(feed)s and deliveries.admission <> 'refused'

-- stage_buckets --
-- Counted buckets on their way into the store.
create temporary table rampart_buckets (
    segment text not null,
    data_timestamp timestamptz not null,
    value double precision not null
) on commit drop

-- copy_buckets --
-- Many at once.
copy rampart_buckets (segment, data_timestamp, value) from stdin

-- put_buckets --
-- The same bucket again replaces its count.
insert into monitoring.metric_values (
    environment, metric_id, segment, data_timestamp, value, origin, dataset, metric_name, run_id
)
select
    %(environment)s, %(metric_id)s, buckets.segment, buckets.data_timestamp, buckets.value,
    'bucket', %(dataset)s, 'row_count', %(run_id)s
from rampart_buckets as buckets
on conflict (environment, metric_id, segment, data_timestamp) do update set
    value = excluded.value,
    run_id = excluded.run_id,
    recorded_at = now()
where metric_values.value is distinct from excluded.value

-- first_buckets --
-- The segments that the store knows, with the first bucket of each in the window.
select metric_values.segment, min(metric_values.data_timestamp) as first_bucket
from monitoring.metric_values as metric_values
where
    metric_values.environment = %(environment)s
    and metric_values.metric_id = %(metric_id)s
    and metric_values.data_timestamp >= %(since)s
group by metric_values.segment
-- a segment without a row in the whole window is gone for good
having max(metric_values.value) > 0 or metric_values.segment = ''

-- stored_buckets --
-- One row per segment: its buckets in order of time.
select
    metric_values.segment,
    array_agg(metric_values.data_timestamp order by metric_values.data_timestamp) as starts,
    array_agg(metric_values.value order by metric_values.data_timestamp) as counts
from monitoring.metric_values as metric_values
where
    metric_values.environment = %(environment)s
    and metric_values.metric_id = %(metric_id)s
    and metric_values.data_timestamp >= %(since)s
    and metric_values.data_timestamp < %(until)s
group by metric_values.segment
having max(metric_values.value) > 0 or metric_values.segment = ''
order by metric_values.segment

-- judged_buckets --
-- What was judged of late.
select judgements.segment, judgements.bucket_start, judgements.row_count
from monitoring.volume_judgements as judgements
where
    judgements.environment = %(environment)s
    and judgements.dataset = %(dataset)s
    and judgements.bucket_start >= %(since)s

-- put_judgement --
-- A bucket that is judged again stays with the scan that judged it first.
insert into monitoring.volume_judgements (
    environment, dataset, segment, bucket_start, bucket_end, row_count, expected, lower, upper,
    score, kind, detectable_change, state, cause, run_id
)
values (
    %(environment)s, %(dataset)s, %(segment)s, %(bucket_start)s, %(bucket_end)s, %(row_count)s,
    %(expected)s, %(lower)s, %(upper)s, %(score)s, %(kind)s, %(detectable_change)s, %(state)s,
    %(cause)s, %(run_id)s
)
on conflict (environment, dataset, segment, bucket_start) do update set
    row_count = excluded.row_count,
    expected = excluded.expected,
    lower = excluded.lower,
    upper = excluded.upper,
    score = excluded.score,
    kind = excluded.kind,
    detectable_change = excluded.detectable_change,
    state = excluded.state,
    cause = excluded.cause,
    judged_at = clock_timestamp()

-- volume_verdicts --
-- What the checks read, for people.
select
    verdicts.dataset, verdicts.segment, verdicts.every, verdicts.method, verdicts.bucket_start,
    verdicts.row_count, verdicts.expected, verdicts.lower, verdicts.upper, verdicts.score,
    verdicts.detectable_change, verdicts.state, verdicts.cause
from monitoring.volume_verdicts as verdicts
where
    verdicts.environment = %(environment)s
    and (%(dataset)s::text is null or verdicts.dataset = %(dataset)s)
order by verdicts.dataset, verdicts.segment
