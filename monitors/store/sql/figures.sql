-- latest_of_checks --
-- The latest verdict of each check and segment, found by one step back in the index for each of
-- them: what it costs grows with the checks, not with their history.
with recursive latest as (
    (
        select
            metrics.check_id, metrics.segment, metrics.layer, metrics.category, metrics.dataset,
            metrics.severity, metrics.status, metrics.blocked_by, metrics.metric_name,
            metrics.metric_value, metrics.expected_min, metrics.expected_max,
            metrics.success_rate, metrics.execution_timestamp,
            metrics.attributes ->> 'muted' as muted
        from monitoring.data_quality_metrics as metrics
        where metrics.environment = %(environment)s
        order by metrics.check_id desc, metrics.segment desc, metrics.execution_timestamp desc
        limit 1
    )
    union all
    select earlier.*
    from latest
    cross join lateral (
        select
            metrics.check_id, metrics.segment, metrics.layer, metrics.category, metrics.dataset,
            metrics.severity, metrics.status, metrics.blocked_by, metrics.metric_name,
            metrics.metric_value, metrics.expected_min, metrics.expected_max,
            metrics.success_rate, metrics.execution_timestamp,
            metrics.attributes ->> 'muted' as muted
        from monitoring.data_quality_metrics as metrics
        where
            metrics.environment = %(environment)s
            and (metrics.check_id, metrics.segment) < (latest.check_id, latest.segment)
        order by metrics.check_id desc, metrics.segment desc, metrics.execution_timestamp desc
        limit 1
    ) as earlier
)

select
    latest.check_id, latest.segment, latest.layer, latest.category, latest.dataset,
    latest.severity, latest.status, latest.blocked_by is not null as is_blocked,
    latest.metric_name, latest.metric_value, latest.expected_min, latest.expected_max,
    latest.success_rate, latest.execution_timestamp, latest.muted is not null as is_muted
from latest

-- red_states --
-- What is red after damping: what alerts and the health go by.
select check_states.check_id, check_states.segment
from monitoring.check_states as check_states
where check_states.environment = %(environment)s and check_states.is_red

-- counters --
-- What was counted, over purges too.
select counters.metric, counters.labels, counters.value
from monitoring.counters as counters
where counters.environment = %(environment)s
order by counters.metric, counters.labels

-- last_stages --
-- How each pipeline ended when it ran last, found by one step in its log for each.
with pipelines as (
    select counters.pipeline_name
    from unnest(%(pipelines)s::text []) as counters (pipeline_name)
)

select pipelines.pipeline_name, latest.status, latest.finished_at, latest.seconds
from pipelines
cross join lateral (
    select
        logs.status,
        logs.finished_at,
        cast(extract(epoch from logs.finished_at - logs.started_at) as double precision) as seconds
    from monitoring.pipeline_logs as logs
    inner join monitoring.runs as runs
        on logs.run_id = runs.run_id
    where
        logs.pipeline_name = pipelines.pipeline_name
        and logs.finished_at is not null
        and logs.status <> 'skipped'
        and runs.environment = %(environment)s
    order by logs.started_at desc
    limit 1
) as latest

-- last_runs --
-- When each command was finished last, and its exit code.
select distinct on (runs.command)
    runs.command, runs.ended_at, runs.exit_code
from monitoring.runs as runs
where runs.environment = %(environment)s and runs.ended_at is not null
order by runs.command, runs.ended_at desc

-- last_scan --
-- When a scan was completed last, whatever it found.
select ages.last_scan_at
from monitoring.scan_ages as ages
where ages.environment = %(environment)s

-- feed_moments --
-- Of each feed the newest moment that an admitted delivery speaks of.
select feeds.feed, newest.extracted_at
from monitoring.feeds as feeds
left join lateral (
    select deliveries.extracted_at
    from monitoring.deliveries as deliveries
    where deliveries.feed = feeds.feed and deliveries.admission <> 'refused'
    order by deliveries.extracted_at desc
    limit 1
) as newest
    on true
order by feeds.feed

-- built_moments --
-- The newest moment that builds of the whole project took in: silver by any that finished, gold by
-- those that were green. A build takes what was admitted when it began.
with builds as (
    select
        max(logs.started_at) as silver,
        max(logs.started_at) filter (where logs.status = 'succeeded') as gold
    from monitoring.pipeline_logs as logs
    inner join monitoring.runs as runs
        on logs.run_id = runs.run_id
    where
        logs.pipeline_name = 'dbt'
        and logs.stage = 'build'
        and logs.finished_at is not null
        and logs.status in ('succeeded', 'failed')
        and position(' --select ' in logs.source) = 0
        and runs.environment = %(environment)s
),

layers as (
    select 'silver' as layer, builds.silver as began_at
    from builds
    union all
    select 'gold', builds.gold
    from builds
)

select
    layers.layer,
    (
        select max(newest.extracted_at)
        from monitoring.feeds as feeds
        cross join lateral (
            select deliveries.extracted_at
            from monitoring.deliveries as deliveries
            where
                deliveries.feed = feeds.feed
                and deliveries.admission <> 'refused'
                and deliveries.loaded_at <= layers.began_at
            order by deliveries.extracted_at desc
            limit 1
        ) as newest
    ) as moment
from layers

-- volume_states --
-- Of each dataset and segment whose volume is modelled the bucket that speaks: of those that the
-- latest scan judged the worst one. Steps through the index, whatever the length of the history.
with recursive segments as (
    select
        series.dataset,
        (
            select min(judgements.segment)
            from monitoring.volume_judgements as judgements
            where
                judgements.environment = series.environment
                and judgements.dataset = series.dataset
        ) as segment
    from monitoring.volume_series as series
    where series.environment = %(environment)s and series.is_declared
    union all
    select
        segments.dataset,
        (
            select min(judgements.segment)
            from monitoring.volume_judgements as judgements
            where
                judgements.environment = %(environment)s
                and judgements.dataset = segments.dataset
                and judgements.segment > segments.segment
        ) as segment
    from segments
    where segments.segment is not null
)

select
    segments.dataset, segments.segment, speaking.state, speaking.row_count, speaking.expected,
    speaking.lower, speaking.upper
from segments
cross join lateral (
    select judgements.run_id, judgements.bucket_start
    from monitoring.volume_judgements as judgements
    where
        judgements.environment = %(environment)s
        and judgements.dataset = segments.dataset
        and judgements.segment = segments.segment
    order by judgements.bucket_start desc
    limit 1
) as latest
cross join lateral (
    select
        judgements.state, judgements.row_count, judgements.expected, judgements.lower,
        judgements.upper
    from monitoring.volume_judgements as judgements
    where
        judgements.environment = %(environment)s
        and judgements.dataset = segments.dataset
        and judgements.segment = segments.segment
        and judgements.bucket_start > latest.bucket_start - interval '31 days'
        and judgements.run_id = latest.run_id
    order by
        judgements.state = 'anomalous' desc, judgements.score desc, judgements.bucket_start desc
    limit 1
) as speaking
where segments.segment is not null

-- incidents_open --
-- Incidents that are not over.
select incidents.severity, incidents.state, count(*) as incidents
from monitoring.incidents as incidents
where incidents.environment = %(environment)s and incidents.state <> 'resolved'
group by incidents.severity, incidents.state

-- outbox_waiting --
-- Of each channel what waits (collected: for a digest) or was refused; what waits after a try that
-- failed; and since when the oldest that nobody tried is due, quiet hours and digests respected.
select
    outbox.channel,
    outbox.state,
    count(*) as messages,
    count(*) filter (where outbox.state = 'pending' and outbox.tries > 0) as failing,
    min(outbox.next_try_at) filter (
        where outbox.state = 'pending' and outbox.tries = 0 and outbox.next_try_at < now()
    ) as due_since
from monitoring.outbox as outbox
where
    outbox.environment = %(environment)s
    and outbox.state in ('pending', 'sending', 'collected', 'parked')
group by outbox.channel, outbox.state

-- outbox_tries --
-- Every try that came to an end, by channel and outcome; those of purged messages, too.
with tries as (
    select outbox.channel, attempts.outcome, count(*) as tries
    from monitoring.outbox_attempts as attempts
    inner join monitoring.outbox as outbox
        on attempts.outbox_id = outbox.outbox_id
    where outbox.environment = %(environment)s
    group by outbox.channel, attempts.outcome
    union all
    select totals.labels ->> 'channel', totals.labels ->> 'outcome', totals.value
    from monitoring.counter_totals as totals
    where totals.environment = %(environment)s and totals.metric = 'outbox_tries'
)

select tries.channel, tries.outcome, sum(tries.tries) as tries
from tries
group by tries.channel, tries.outcome

-- stream_table --
-- Whether streams write heartbeats here.
select exists (
    select 1
    from pg_attribute as attributes
    where
        attributes.attrelid = to_regclass('monitoring.stream_heartbeats')
        and attributes.attname = 'beat_at'
)

-- active_consumers --
-- Consumers of streams that gave a sign of life within a minute.
select count(*)
from monitoring.stream_heartbeats as heartbeats
inner join monitoring.runs as runs
    on heartbeats.run_id = runs.run_id
where runs.environment = %(environment)s and heartbeats.beat_at > now() - interval '1 minute'
