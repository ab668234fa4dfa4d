-- roll_counters --
-- What the purged stages had counted goes on counting.
insert into monitoring.counter_totals (environment, metric, labels, value)
select counters.environment, counters.metric, counters.labels, counters.value
from monitoring.stage_counters(%(before)s) as counters
on conflict (environment, metric, labels) do update set
    value = counter_totals.value + excluded.value

-- purge_logs --
-- Stages that began before a moment, after `roll_counters` for the same moment. One that never
-- finished was killed, and counts nowhere.
delete from monitoring.pipeline_logs as logs
where logs.started_at < %(before)s

-- purge_verdicts --
-- Verdicts before a moment. The latest of each check stays, however old: it says what was known.
delete from monitoring.data_quality_metrics as metrics
where
    metrics.execution_timestamp < %(before)s
    and exists (
        select 1
        from monitoring.data_quality_metrics as later
        where
            later.check_id = metrics.check_id
            and later.segment = metrics.segment
            and later.environment = metrics.environment
            and later.execution_timestamp > metrics.execution_timestamp
    )
    -- what an incident is about stays as long as it is not resolved
    and not exists (
        select 1
        from monitoring.incident_checks as checks
        inner join monitoring.incidents as incidents
            on checks.incident_id = incidents.incident_id
        where
            checks.check_id = metrics.check_id
            and checks.segment = metrics.segment
            and incidents.environment = metrics.environment
            and incidents.state <> 'resolved'
            and metrics.execution_timestamp >= incidents.opened_at
    )

-- purge_values --
-- Measured values before a moment; buckets that the volume model still looks at stay.
delete from monitoring.metric_values as metric_values
where
    metric_values.data_timestamp
    < case metric_values.origin when 'bucket' then least(%(before)s, %(buckets_before)s) else %(before)s end

-- purge_judgements --
-- Judged buckets before a moment.
delete from monitoring.volume_judgements as judgements
where judgements.bucket_start < %(before)s

-- purge_dead_letters --
-- Records that could not be read, before a moment, and about which somebody decided: their number
-- stays with the delivery. These bytes are the only copy, so an open one stays, however old.
delete from monitoring.dead_letters as letters
using monitoring.dead_letter_decisions as decisions
where
    letters.dead_letter_id = decisions.dead_letter_id
    and letters.recorded_at < %(before)s

-- old_open_dead_letters --
-- How many from before a moment wait for a decision.
select count(*)
from monitoring.dead_letters as letters
left join monitoring.dead_letter_decisions as decisions
    on letters.dead_letter_id = decisions.dead_letter_id
where letters.recorded_at < %(before)s and decisions.dead_letter_id is null

-- tables_of_runs --
-- Every table that points at a run.
select
    format('%%I.%%I', namespaces.nspname, tables.relname) as table_name,
    attributes.attname as column_name
from pg_constraint as constraints
inner join pg_class as tables
    on constraints.conrelid = tables.oid
inner join pg_namespace as namespaces
    on tables.relnamespace = namespaces.oid
inner join pg_attribute as attributes
    on tables.oid = attributes.attrelid and attributes.attnum = constraints.conkey[1]
where constraints.contype = 'f' and constraints.confrelid = 'monitoring.runs'::regclass
order by 1, 2

-- purge_runs --
-- Runs before a moment to which nothing points any more. {still_named} is made of tables_of_runs.
delete from monitoring.runs as runs
where runs.started_at < %(before)s and runs.ended_at is not null {still_named}

-- purge_flips --
-- Changes of status before a moment; what each check is now stands in check_states.
delete from monitoring.flips as flips
where flips.flipped_at < %(before)s

-- purge_outbox_attempts --
-- Tries of messages that `purge_outbox` deletes for the same moment; they go on counting.
with gone as (
    delete from monitoring.outbox_attempts as attempts
    using monitoring.outbox as messages
    where
        attempts.outbox_id = messages.outbox_id
        and messages.state in ('sent', 'digested')
        and messages.created_at < %(before)s
    returning messages.environment, messages.channel, attempts.outcome
)

insert into monitoring.counter_totals (environment, metric, labels, value)
select
    gone.environment,
    'outbox_tries' as metric,
    jsonb_build_object('channel', gone.channel, 'outcome', gone.outcome) as labels,
    count(*) as value
from gone
group by gone.environment, gone.channel, gone.outcome
on conflict (environment, metric, labels) do update set
    value = counter_totals.value + excluded.value

-- purge_outbox --
-- Messages that were delivered, before a moment; a digest goes after what it told.
with gone as (
    select messages.outbox_id
    from monitoring.outbox as messages
    where
        messages.state in ('sent', 'digested')
        and messages.created_at < %(before)s
        and not exists (
            select 1
            from monitoring.outbox as told
            where
                told.digest_id = messages.outbox_id
                and not (told.state in ('sent', 'digested') and told.created_at < %(before)s)
        )
)

delete from monitoring.outbox as messages
using gone
where
    messages.outbox_id = gone.outbox_id
    and not exists (
        select 1
        from monitoring.outbox_attempts as attempts
        where attempts.outbox_id = messages.outbox_id
    )

-- purge_incident_events --
-- The history of incidents that were resolved before a moment and have no message left.
delete from monitoring.incident_events as events
using monitoring.incidents as incidents
where
    events.incident_id = incidents.incident_id
    and incidents.resolved_at < %(before)s
    and not exists (
        select 1 from monitoring.outbox as messages where messages.incident_id = incidents.incident_id
    )

-- purge_incident_checks --
-- The checks of those incidents.
delete from monitoring.incident_checks as checks
using monitoring.incidents as incidents
where
    checks.incident_id = incidents.incident_id
    and incidents.resolved_at < %(before)s
    and not exists (
        select 1 from monitoring.outbox as messages where messages.incident_id = incidents.incident_id
    )

-- purge_incidents --
-- Incidents that were resolved before a moment; one that is not resolved stays, however old.
delete from monitoring.incidents as incidents
where
    incidents.resolved_at < %(before)s
    and not exists (
        select 1 from monitoring.outbox as messages where messages.incident_id = incidents.incident_id
    )
