-- page_store_is_there --
-- Whether the tables that the page reads exist; an older store lacks some.
select
    to_regclass('monitoring.check_states') is not null
    and to_regclass('monitoring.incidents') is not null
    and to_regclass('monitoring.volume_judgements') is not null

-- page_checks --
-- What every check said last, within seven days before the newest verdict, and what is red since longer.
with

newest as (
    select max(metrics.execution_timestamp) as newest_at
    from monitoring.data_quality_metrics as metrics
    where metrics.environment = %(environment)s
),

recent as (
    select distinct on (metrics.check_id, metrics.segment) metrics.*
    from monitoring.data_quality_metrics as metrics
    where
        metrics.environment = %(environment)s
        and metrics.execution_timestamp
        >= (select newest.newest_at - interval '7 days' from newest)
    order by metrics.check_id, metrics.segment, metrics.execution_timestamp desc
),

red_since_longer as (
    select latest.*
    from monitoring.check_states as check_states
    cross join lateral (
        select metrics.*
        from monitoring.data_quality_metrics as metrics
        where
            metrics.environment = check_states.environment
            and metrics.check_id = check_states.check_id
            and metrics.segment = check_states.segment
        order by metrics.execution_timestamp desc
        limit 1
    ) as latest
    where
        check_states.environment = %(environment)s
        and check_states.is_red
        and not exists (
            select 1
            from recent
            where
                recent.check_id = check_states.check_id and recent.segment = check_states.segment
        )
),

latest as (
    select * from recent
    union all
    select * from red_since_longer
)

select
    latest.check_id, latest.segment, latest.check_name, latest.suite_name, latest.dataset,
    latest.column_name, latest.layer, latest.category, latest.status, latest.severity,
    latest.blocked_by, latest.metric_name, latest.metric_value, latest.numerator,
    latest.denominator, latest.expected_min, latest.expected_max, latest.detectable_change,
    latest.success_rate, latest.message, latest.execution_timestamp, latest.data_timestamp,
    latest.run_id,
    latest.attributes ->> 'owner' as owner,
    coalesce(latest.attributes ->> 'owner_reads', '') = 'true' as owner_reads,
    latest.attributes ->> 'matters' as matters,
    latest.attributes ->> 'do' as what_to_do,
    latest.attributes ->> 'runbook' as runbook,
    check_states.is_red,
    check_states.changed_at
from latest
left join monitoring.check_states as check_states
    on
        latest.environment = check_states.environment
        and latest.check_id = check_states.check_id
        and latest.segment = check_states.segment
order by latest.dataset, latest.check_id, latest.segment

-- page_scans --
-- The latest completed scans, the newest first. Run ids sort by time.
select runs.run_id, runs.command, runs.started_at, runs.ended_at, runs.exit_code
from monitoring.runs as runs
where
    runs.environment = %(environment)s
    and runs.command in ('scan', 'run')
    and runs.exit_code in (0, 1)
order by runs.run_id desc
limit %(limit)s

-- page_strips --
-- Of each dataset and suite, or of those named, the worst that was said in each of the named scans, by rank; a red
-- check that was muted then has the rank of muted.
with

scans as (
    select named.run_id, named.place
    from unnest(%(runs)s::text[]) with ordinality as named (run_id, place)
),

ranked as (
    select
        metrics.dataset,
        metrics.suite_name,
        scans.place,
        min(
            case
                when metrics.blocked_by is not null then %(blocked)s
                when
                    metrics.status in ('error', 'fail', 'missing')
                    and exists (
                        select 1
                        from monitoring.mutes as mutes
                        where
                            mutes.check_id = metrics.check_id
                            and mutes.muted_at <= metrics.execution_timestamp
                            and metrics.execution_timestamp
                            < least(mutes.muted_until, mutes.lifted_at)
                    )
                    then %(muted)s
                else array_position(%(words)s::text[], metrics.status) - 1
            end
        ) as status_rank
    from scans
    inner join monitoring.data_quality_metrics as metrics
        on scans.run_id = metrics.run_id
    where %(datasets)s::text[] is null or metrics.dataset = any(%(datasets)s)
    group by metrics.dataset, metrics.suite_name, scans.place
)

select
    ranked.dataset,
    ranked.suite_name,
    array_agg(ranked.place::integer order by ranked.place) as places,
    array_agg(ranked.status_rank::integer order by ranked.place) as status_ranks
from ranked
group by ranked.dataset, ranked.suite_name

-- page_histories --
-- Values and bounds of checks over a window, cut into slots: of each slot the worst verdict speaks.
with

verdicts as (
    select
        metrics.check_id,
        metrics.segment,
        metrics.execution_timestamp,
        metrics.metric_value,
        metrics.expected_min,
        metrics.expected_max,
        case
            when metrics.blocked_by is not null then %(blocked)s
            else array_position(%(words)s::text[], metrics.status) - 1
        end as status_rank,
        width_bucket(
            extract(epoch from metrics.execution_timestamp),
            -- a young history is not pressed into the last of the slots
            extract(epoch from min(metrics.execution_timestamp) over ()),
            extract(epoch from %(until)s::timestamptz),
            %(slots)s
        ) as slot
    from monitoring.data_quality_metrics as metrics
    where
        metrics.environment = %(environment)s
        and metrics.check_id = any(%(check_ids)s)
        and metrics.execution_timestamp >= %(since)s
        and metrics.execution_timestamp < %(until)s
),

speaking as (
    select distinct on (verdicts.check_id, verdicts.segment, verdicts.slot) verdicts.*
    from verdicts
    order by
        verdicts.check_id, verdicts.segment, verdicts.slot, verdicts.status_rank,
        verdicts.execution_timestamp desc
)

select
    speaking.check_id,
    speaking.segment,
    array_agg(speaking.execution_timestamp order by speaking.slot) as moments,
    array_agg(speaking.metric_value order by speaking.slot) as measured,
    array_agg(speaking.expected_min order by speaking.slot) as lows,
    array_agg(speaking.expected_max order by speaking.slot) as highs,
    array_agg(speaking.status_rank::integer order by speaking.slot) as status_ranks
from speaking
group by speaking.check_id, speaking.segment

-- page_buckets --
-- The latest buckets of a dataset's segments, with what was expected of those that were judged.
with

numbered as (
    select
        buckets.segment,
        buckets.data_timestamp,
        buckets.value,
        row_number() over (
            partition by buckets.segment order by buckets.data_timestamp desc
        ) as place_from_end
    from monitoring.metric_values as buckets
    where
        buckets.environment = %(environment)s
        and buckets.metric_id = 'volume.' || %(dataset)s
        and buckets.origin = 'bucket'
        and buckets.segment = any(%(segments)s)
        and buckets.data_timestamp >= %(since)s
)

select
    numbered.segment,
    numbered.data_timestamp,
    coalesce(judgements.row_count, numbered.value) as row_count,
    judgements.expected,
    judgements.lower,
    judgements.upper,
    judgements.state,
    judgements.cause
from numbered
left join monitoring.volume_judgements as judgements
    on
        judgements.environment = %(environment)s
        and judgements.dataset = %(dataset)s
        and judgements.segment = numbered.segment
        and judgements.bucket_start = numbered.data_timestamp
where numbered.place_from_end <= %(limit)s
order by numbered.segment, numbered.data_timestamp

-- page_volume_series --
-- Which datasets have a modelled volume, and the feed whose clock they follow.
select series.dataset, series.every, series.timezone, series.clock_feed
from monitoring.volume_series as series
where series.environment = %(environment)s and series.is_declared

-- page_feeds --
-- Every feed and the raw table it arrives in.
select feeds.feed, feeds.raw_table
from monitoring.feeds as feeds
order by feeds.feed

-- page_relations --
-- Which of the quality models that the page reads were built.
select models.name
from unnest(%(names)s::text[]) as models (name)
where to_regclass(models.name) is not null

-- page_patience --
-- From here to the end of the transaction no statement may take longer, nor longer than it might.
select
    set_config(
        'statement_timeout',
        least(
            nullif(extract(epoch from cast(before.setting as interval)) * 1000, 0),
            %(milliseconds)s
        )::bigint::text,
        true
    ),
    before.setting
from (select current_setting('statement_timeout') as setting) as before

-- page_patience_as_before --
-- The rest of the transaction has its own limit again.
select set_config('statement_timeout', %(setting)s, true)

-- page_quarantine_rates --
-- The rate of the latest loads of a feed, the oldest first.
with latest as (
    select
        rates.run_id, rates.loaded_at, rates.rows_read, rates.rows_rejected,
        rates.quarantine_rate
    from {quarantine_rates} as rates
    where rates.feed = %(feed)s
    order by rates.loaded_at desc
    limit %(limit)s
)

select * from latest order by latest.loaded_at

-- page_quarantine_reasons --
-- Why rows of a feed stand in the ledger, the most frequent reason first, with its rows per day of loading.
with

daily as (
    select
        ledger.rules,
        (ledger.loaded_at at time zone 'UTC')::date as loaded_on,
        count(*) as rows_rejected,
        count(*) filter (where ledger.decision = 'open') as rows_open,
        max(ledger.loaded_at) as last_loaded_at
    from {ledger} as ledger
    where ledger.feed = %(feed)s and ledger.loaded_at >= %(since)s
    group by ledger.rules, (ledger.loaded_at at time zone 'UTC')::date
)

select
    daily.rules,
    sum(daily.rows_rejected)::bigint as rows_rejected,
    sum(daily.rows_open)::bigint as rows_open,
    max(daily.last_loaded_at) as last_loaded_at,
    array_agg(daily.loaded_on order by daily.loaded_on) as days,
    array_agg(daily.rows_rejected order by daily.loaded_on) as rows_of_days
from daily
group by daily.rules
order by sum(daily.rows_rejected) desc, daily.rules
limit %(limit)s

-- page_runs --
-- The latest runs with what their stages counted, the newest first. Which rows a rule rejects is known after the
-- build: of a run that loaded, built and scanned, its checks of the quarantine rate have counted them.
with

latest as (
    select
        runs.run_id, runs.command, runs.started_at, runs.ended_at, runs.exit_code,
        runs.git_revision
    from monitoring.runs as runs
    where runs.environment = %(environment)s
    order by runs.run_id desc
    limit %(limit)s
),

-- what the build did not judge would count as not rejected
loaded as (
    select distinct latest.run_id, latest.started_at, logs.pipeline_name as feed
    from latest
    inner join monitoring.pipeline_logs as logs
        on latest.run_id = logs.run_id
    where
        logs.stage = 'load'
        and logs.rows_written > 0
        and exists (
            select 1
            from monitoring.pipeline_logs as builds
            where
                builds.run_id = latest.run_id
                and builds.stage = 'build'
                and builds.status = 'succeeded'
        )
),

rejected as (
    select loaded.run_id, sum(metrics.numerator)::bigint as rows_rejected
    from loaded
    inner join monitoring.data_quality_metrics as metrics
        on
            metrics.environment = %(environment)s
            and loaded.feed || '.quarantine_rate' = metrics.check_id
            and metrics.segment = ''
            and loaded.run_id = metrics.run_id
            -- for the index; the clocks of a host and its database may differ
            and loaded.started_at - interval '1 hour' <= metrics.execution_timestamp
    group by loaded.run_id
)

select
    latest.run_id, latest.command, latest.started_at, latest.ended_at, latest.exit_code,
    counted.rows_read, counted.rows_written,
    coalesce(counted.rows_rejected, rejected.rows_rejected) as rows_rejected,
    counted.rows_dead_lettered, counted.failed_stages, counted.error_message
from latest
left join rejected
    on latest.run_id = rejected.run_id
cross join lateral (
    select
        sum(logs.rows_read)::bigint as rows_read,
        sum(logs.rows_written)::bigint as rows_written,
        sum(logs.rows_rejected)::bigint as rows_rejected,
        sum(logs.rows_dead_lettered)::bigint as rows_dead_lettered,
        count(*) filter (where logs.status = 'failed') as failed_stages,
        max(logs.error_message) as error_message
    from monitoring.pipeline_logs as logs
    where logs.run_id = latest.run_id
) as counted
order by latest.run_id desc

-- page_stages --
-- The latest runs of a feed: its files of one run count together. The newest first.
select
    logs.run_id,
    logs.pipeline_name,
    logs.stage,
    case
        when bool_or(logs.status = 'failed') then 'failed'
        when bool_or(logs.status = 'started') then 'started'
        when bool_and(logs.status = 'skipped') then 'skipped'
        else 'succeeded'
    end as status,
    min(logs.started_at) as started_at,
    max(logs.finished_at) as finished_at,
    count(*) as parts,
    sum(logs.rows_read)::bigint as rows_read,
    sum(logs.rows_written)::bigint as rows_written,
    sum(logs.rows_rejected)::bigint as rows_rejected,
    sum(logs.rows_dead_lettered)::bigint as rows_dead_lettered,
    max(logs.error_message) as error_message
from monitoring.pipeline_logs as logs
inner join monitoring.runs as runs
    on logs.run_id = runs.run_id
where
    runs.environment = %(environment)s
    and logs.pipeline_name = any(%(feeds)s)
    and logs.started_at >= %(since)s
group by logs.run_id, logs.pipeline_name, logs.stage
order by min(logs.started_at) desc
limit %(limit)s

-- page_integrity --
-- SCD2 integrity of a dataset, as judged last.
select scores.check_id, scores.integrity_score, scores.whole_keys, scores.keys, scores.judged_at
from monitoring.scd2_scores as scores
where scores.environment = %(environment)s and scores.dataset = %(dataset)s
order by scores.check_id
