-- History without a cloud: what was measured at which moment of the data, what the volume model
-- said of it, periods that say nothing about what is usual, and checks that somebody muted.

create table monitoring.metric_values (
    environment text not null,
    metric_id text not null,
    segment text not null default '',
    data_timestamp timestamptz not null,
    value double precision,
    payload jsonb,
    -- measured by a scan; recomputed for a past moment; bucket: rows of an hour or a day
    origin text not null check (origin in ('measured', 'recomputed', 'bucket')),
    dataset text not null,
    metric_name text not null,
    run_id text not null references monitoring.runs (run_id),
    recorded_at timestamptz not null default now(),
    primary key (environment, metric_id, segment, data_timestamp)
);
comment on table monitoring.metric_values is 'One row per metric, segment and moment of the data: the history that checks are held against. Measuring a moment again replaces its value.';
comment on column monitoring.metric_values.value is 'The number; null where the metric has no value, or is no number and stands in payload.';
create index metric_values_by_dataset on monitoring.metric_values (dataset, data_timestamp);

create table monitoring.volume_series (
    environment text not null,
    dataset text not null,
    every text not null check (every in ('hour', 'day')),
    clock_feed text,
    clock text not null check (clock in ('wall', 'data')),
    timezone text not null,
    lateness interval not null,
    method text not null check (method in ('model', 'zscore')),
    smallest_change double precision not null,
    counted_until timestamptz,
    error text,
    project text not null,
    is_declared boolean not null default true,
    updated_at timestamptz not null default now(),
    primary key (environment, dataset)
);
comment on table monitoring.volume_series is 'One row per dataset whose volume is modelled, as rampart.yml of a project said it at its last scan. counted_until: the end of its latest stored bucket; error: why its rows could not be counted then.';

create table monitoring.volume_judgements (
    environment text not null,
    dataset text not null,
    segment text not null default '',
    bucket_start timestamptz not null,
    bucket_end timestamptz not null,
    row_count double precision not null,
    expected double precision,
    lower double precision,
    upper double precision,
    score double precision not null,
    kind text,
    detectable_change double precision,
    state text not null check (state in ('usual', 'anomalous', 'blind')),
    cause text not null,
    run_id text not null references monitoring.runs (run_id),
    judged_at timestamptz not null default clock_timestamp(),
    primary key (environment, dataset, segment, bucket_start)
);
comment on table monitoring.volume_judgements is 'One row per dataset, segment and complete bucket that a scan judged: what was expected, and what came. Judging a bucket again replaces it.';
comment on column monitoring.volume_judgements.run_id is 'The scan that judged the bucket first: all that became complete since the scan before it count together.';

create table monitoring.known_bad_periods (
    period_id bigint generated always as identity primary key,
    dataset text,
    segment text,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    why text not null check (why <> ''),
    named_by text not null,
    named_at timestamptz not null default now(),
    withdrawn_at timestamptz,
    withdrawn_by text,
    check (ends_at > starts_at)
);
comment on table monitoring.known_bad_periods is 'One row per period that says nothing about what is usual. dataset null: of every dataset. A withdrawn one counts no more.';

create table monitoring.mutes (
    mute_id bigint generated always as identity primary key,
    check_id text not null,
    muted_until timestamptz not null,
    why text not null check (why <> ''),
    muted_by text not null,
    muted_at timestamptz not null default now(),
    lifted_at timestamptz,
    lifted_by text
);
comment on table monitoring.mutes is 'One row per act of muting a check: until then it runs and is shown, and neither turns a scan red nor raises an alert.';
create index mutes_by_check on monitoring.mutes (check_id, muted_until);

-- What checks of volume read, also under plain `soda scan`: a series whose latest complete bucket
-- nobody has judged is `not modelled`, and no check of it may pass.
create view monitoring.volume_verdicts as
with

series as (
    select * from monitoring.volume_series where is_declared
),

clocks as (
    select
        series.environment,
        series.dataset,
        case
            when series.clock = 'wall' then now()
            else (
                select max(deliveries.extracted_at)
                from monitoring.deliveries as deliveries
                where deliveries.feed = series.clock_feed and deliveries.admission <> 'refused'
            )
        end as now_of_series
    from series
),

latest_complete as (
    select
        series.*,
        case series.every
            when 'day' then date_trunc('day', (clocks.now_of_series - series.lateness) at time zone series.timezone) at time zone series.timezone
            else date_trunc('hour', clocks.now_of_series - series.lateness)
        end as complete_until
    from series
    inner join clocks
        on series.environment = clocks.environment and series.dataset = clocks.dataset
),

latest_judged as (
    select distinct on (judgements.environment, judgements.dataset, judgements.segment)
        judgements.environment,
        judgements.dataset,
        judgements.segment,
        judgements.run_id,
        judgements.bucket_end as judged_until
    from monitoring.volume_judgements as judgements
    order by judgements.environment, judgements.dataset, judgements.segment, judgements.bucket_start desc
),

-- of the buckets that became complete together the worst one speaks
speaking as (
    select distinct on (judgements.environment, judgements.dataset, judgements.segment)
        judgements.*,
        latest_judged.judged_until
    from monitoring.volume_judgements as judgements
    inner join latest_judged
        on
            judgements.environment = latest_judged.environment
            and judgements.dataset = latest_judged.dataset
            and judgements.segment = latest_judged.segment
            and judgements.run_id = latest_judged.run_id
    order by
        judgements.environment, judgements.dataset, judgements.segment,
        judgements.state = 'anomalous' desc, judgements.score desc, judgements.bucket_start desc
)

select
    latest_complete.environment,
    latest_complete.dataset,
    coalesce(speaking.segment, '') as segment,
    latest_complete.every,
    latest_complete.method,
    speaking.bucket_start,
    speaking.bucket_end,
    speaking.row_count,
    speaking.expected,
    speaking.lower,
    speaking.upper,
    speaking.score,
    speaking.kind,
    speaking.detectable_change,
    latest_complete.smallest_change,
    case
        when latest_complete.error is not null then 'not modelled'
        when speaking.state is null then 'not modelled'
        when speaking.judged_until < latest_complete.complete_until then 'not modelled'
        when speaking.state = 'usual' and speaking.detectable_change > latest_complete.smallest_change then 'blind'
        else speaking.state
    end as state,
    case
        when latest_complete.error is not null then 'rows could not be counted: ' || latest_complete.error
        when speaking.state is null then 'no bucket has been judged yet; run `rampart scan`'
        when speaking.judged_until < latest_complete.complete_until
            then 'the latest complete bucket has not been judged yet; run `rampart scan`'
        else speaking.cause
    end as cause,
    speaking.run_id,
    speaking.judged_at
from latest_complete
left join speaking
    on latest_complete.environment = speaking.environment and latest_complete.dataset = speaking.dataset;
comment on view monitoring.volume_verdicts is 'One row per environment, dataset and segment whose volume is modelled: what the buckets that became complete last say together. state: usual, anomalous, blind, or not modelled.';

create view monitoring.scan_ages as
select
    runs.environment,
    max(runs.ended_at) as last_scan_at,
    extract(epoch from now() - max(runs.ended_at)) as age_seconds
from monitoring.runs as runs
where runs.command in ('scan', 'run') and runs.exit_code in (0, 1)
group by runs.environment;
comment on view monitoring.scan_ages is 'One row per environment: when a scan was completed last, whatever it found, and how long ago.';

create view monitoring.quality_scores as
with

latest_of_check as (
    select distinct on (metrics.environment, metrics.check_id, metrics.segment)
        metrics.environment,
        metrics.layer,
        metrics.suite_name,
        metrics.success_rate,
        metrics.failed_expectations,
        metrics.execution_timestamp
    from monitoring.data_quality_metrics as metrics
    where metrics.execution_timestamp >= now() - interval '7 days'
    order by metrics.environment, metrics.check_id, metrics.segment, metrics.execution_timestamp desc
)

select
    latest_of_check.environment,
    latest_of_check.layer,
    latest_of_check.suite_name,
    avg(latest_of_check.success_rate) as quality_score,
    count(latest_of_check.success_rate) as check_count,
    coalesce(sum(latest_of_check.failed_expectations), 0) as failed_count,
    max(latest_of_check.execution_timestamp) as judged_at
from latest_of_check
group by grouping sets (
    (latest_of_check.environment, latest_of_check.layer, latest_of_check.suite_name),
    (latest_of_check.environment, latest_of_check.layer),
    (latest_of_check.environment, latest_of_check.suite_name),
    (latest_of_check.environment)
);
comment on view monitoring.quality_scores is 'One row per environment, layer and suite, and their totals (null stands for all): the share of checks that hold, 0 to 100, by the latest verdict of each within seven days. Blind and blocked ones do not count.';

create view monitoring.scd2_scores as
select distinct on (metrics.environment, metrics.check_id)
    metrics.environment,
    metrics.check_id,
    metrics.dataset,
    metrics.metric_value as integrity_score,
    metrics.numerator as whole_keys,
    metrics.denominator as keys,
    metrics.execution_timestamp as judged_at
from monitoring.data_quality_metrics as metrics
where metrics.metric_name = 'integrity_score'
order by metrics.environment, metrics.check_id, metrics.execution_timestamp desc;
comment on view monitoring.scd2_scores is 'One row per environment and check of SCD2 integrity: the share of keys whose version chain is whole, 0 to 100, as judged last.';
