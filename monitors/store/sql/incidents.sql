-- lock_states --
-- Whoever decides about states and incidents of an environment takes turns until it commits.
select pg_advisory_xact_lock(hashtextextended('rampart.alert.states.' || %(environment)s, 0))

-- steady_checks --
-- Which of the named checks are green as long as anybody looks back: most of them.
select check_states.check_id, check_states.segment, check_states.status
from monitoring.check_states as check_states
where
    check_states.environment = %(environment)s
    and check_states.check_id = any(%(check_ids)s)
    and not check_states.is_red
    and check_states.recent = %(steady)s

-- check_states --
-- What the other ones were when they were heard last.
select
    check_states.check_id, check_states.segment, check_states.is_red, check_states.recent,
    check_states.status, check_states.severity, check_states.layer, check_states.dataset,
    check_states.message, check_states.run_id, check_states.data_timestamp,
    check_states.changed_at
from monitoring.check_states as check_states
where
    check_states.environment = %(environment)s
    and check_states.check_id = any(%(check_ids)s)
    and (check_states.is_red or check_states.recent <> %(steady)s)

-- put_check_state --
-- What a check is now.
insert into monitoring.check_states (
    environment, check_id, segment, is_red, recent, status, severity, layer, dataset, message,
    run_id, data_timestamp, changed_at
)
values (
    %(environment)s, %(check_id)s, %(segment)s, %(is_red)s, %(recent)s, %(status)s, %(severity)s,
    %(layer)s, %(dataset)s, %(message)s, %(run_id)s, %(data_timestamp)s, %(changed_at)s
)
on conflict (environment, check_id, segment) do update set
    is_red = excluded.is_red,
    recent = excluded.recent,
    status = excluded.status,
    severity = excluded.severity,
    layer = excluded.layer,
    dataset = excluded.dataset,
    message = excluded.message,
    run_id = excluded.run_id,
    data_timestamp = excluded.data_timestamp,
    changed_at = excluded.changed_at

-- red_check_ids --
-- Which of the named checks are red now.
select check_states.check_id
from monitoring.check_states as check_states
where
    check_states.environment = %(environment)s
    and check_states.is_red
    and check_states.check_id = any(%(check_ids)s)

-- add_flip --
-- A check turned.
insert into monitoring.flips (
    environment, check_id, segment, run_id, turned, old_status, new_status, reason, flipped_at
)
values (
    %(environment)s, %(check_id)s, %(segment)s, %(run_id)s, %(turned)s, %(old_status)s,
    %(new_status)s, %(reason)s, %(flipped_at)s
)

-- open_incident --
-- A new root cause.
insert into monitoring.incidents (
    environment, kind, severity, state, title, topic, place, feed, dataset, layer, owner,
    lead_check_id, lead_segment, opened_at, opened_run_id, changed_at
)
values (
    %(environment)s, %(kind)s, %(severity)s, 'open', %(title)s, %(topic)s, %(place)s, %(feed)s,
    %(dataset)s, %(layer)s, %(owner)s, %(lead_check_id)s, %(lead_segment)s, %(moment)s,
    %(run_id)s, %(moment)s
)
returning incident_id

-- change_incident --
-- It got worse, came back or is over by itself. Getting worse ends a snooze.
update monitoring.incidents
set
    severity = %(severity)s,
    state = case %(event)s::text
        when 'resolved' then 'resolved'
        when 'reopened' then 'open'
        when 'worsened' then case state when 'snoozed' then 'open' else state end
        else state
    end,
    snoozed_until = case
        when %(event)s::text in ('resolved', 'reopened', 'worsened') then null
        else snoozed_until
    end,
    resolved_at = case %(event)s::text
        when 'resolved' then %(moment)s
        when 'reopened' then null
        else resolved_at
    end,
    resolved_by = case %(event)s::text
        when 'resolved' then %(resolved_by)s
        when 'reopened' then null
        else resolved_by
    end,
    changed_at = %(moment)s
where incident_id = %(incident_id)s

-- describe_incident --
-- What is said about it.
update monitoring.incidents
set title = %(title)s, message = %(message)s
where incident_id = %(incident_id)s

-- put_incident_check --
-- A check that it explains is red, for the first time or again.
insert into monitoring.incident_checks (
    incident_id, check_id, segment, dataset, severity, message, run_id, joined_at
)
values (
    %(incident_id)s, %(check_id)s, %(segment)s, %(dataset)s, %(severity)s, %(message)s,
    %(run_id)s, %(joined_at)s
)
on conflict (incident_id, check_id, segment) do update set
    severity = excluded.severity,
    message = excluded.message,
    recovered_at = null

-- recover_incident_check --
-- One of its checks is green again.
update monitoring.incident_checks
set recovered_at = %(moment)s
where
    incident_id = %(incident_id)s
    and check_id = %(check_id)s
    and segment = %(segment)s
    and recovered_at is null

-- recover_all_checks --
-- Somebody said that it is over.
update monitoring.incident_checks
set recovered_at = %(moment)s
where incident_id = %(incident_id)s and recovered_at is null

-- forget_red_checks --
-- Its checks count as green: the next red verdict is a flip, and reopens the incident.
with forgotten as (
    update monitoring.check_states as check_states
    set is_red = false, recent = 'g', changed_at = %(moment)s
    from monitoring.incident_checks as incident_checks
    where
        incident_checks.incident_id = %(incident_id)s
        and incident_checks.recovered_at is null
        and check_states.environment = %(environment)s
        and check_states.check_id = incident_checks.check_id
        and check_states.segment = incident_checks.segment
        and check_states.is_red
    returning check_states.*
)

insert into monitoring.flips (
    environment, check_id, segment, run_id, turned, old_status, new_status, reason, flipped_at
)
select
    forgotten.environment, forgotten.check_id, forgotten.segment, forgotten.run_id, 'green',
    forgotten.status, forgotten.status, 'its incident was resolved by hand', %(moment)s
from forgotten

-- add_incident_event --
-- A line of its history.
insert into monitoring.incident_events (incident_id, event, at, run_id, done_by, why)
values (%(incident_id)s, %(event)s, %(at)s, %(run_id)s, %(done_by)s, %(why)s)
returning event_id

-- acknowledge_incident --
-- Somebody is on it; a snooze is over with that.
update monitoring.incidents
set state = 'acknowledged', snoozed_until = null, changed_at = %(moment)s
where
    incident_id = %(incident_id)s
    and environment = %(environment)s
    and state <> 'resolved'
returning incident_id

-- snooze_incident --
-- Silent until then.
update monitoring.incidents
set state = 'snoozed', snoozed_until = %(until)s, changed_at = %(moment)s
where
    incident_id = %(incident_id)s
    and environment = %(environment)s
    and state <> 'resolved'
returning incident_id

-- resolve_incident --
-- Somebody says that it is over.
update monitoring.incidents
set
    state = 'resolved',
    snoozed_until = null,
    resolved_at = %(moment)s,
    resolved_by = %(resolved_by)s,
    changed_at = %(moment)s
where
    incident_id = %(incident_id)s
    and environment = %(environment)s
    and state <> 'resolved'
returning incident_id

-- end_snoozes --
-- Their time is over and they still are not resolved.
update monitoring.incidents
set state = 'open', snoozed_until = null, changed_at = %(moment)s
where
    environment = %(environment)s
    and state = 'snoozed'
    and snoozed_until <= %(moment)s
returning incident_id

-- incidents --
-- Active ones and those resolved since a moment, or the one of a number; the newest first.
select
    incidents.incident_id, incidents.kind, incidents.severity, incidents.state, incidents.title,
    incidents.topic, incidents.place, incidents.feed, incidents.dataset, incidents.layer,
    incidents.owner, incidents.lead_check_id, incidents.lead_segment, incidents.opened_at,
    incidents.opened_run_id, incidents.changed_at, incidents.snoozed_until,
    incidents.resolved_at, incidents.resolved_by, checks.red, checks.recovered, incidents.message
from monitoring.incidents as incidents
cross join lateral (
    select
        jsonb_agg(jsonb_build_array(members.check_id, members.segment))
            filter (where members.recovered_at is null) as red,
        jsonb_agg(jsonb_build_array(members.check_id, members.segment))
            filter (where members.recovered_at is not null) as recovered
    from monitoring.incident_checks as members
    where members.incident_id = incidents.incident_id
) as checks
where
    incidents.environment = %(environment)s
    and (%(incident_id)s::bigint is null or incidents.incident_id = %(incident_id)s)
    and (
        %(incident_id)s::bigint is not null
        or (%(active)s and incidents.state <> 'resolved')
        or (incidents.state = 'resolved' and incidents.resolved_at >= %(resolved_since)s::timestamptz)
    )
order by incidents.incident_id desc
limit %(limit)s

-- incident_events --
-- Its history, the oldest first.
select
    incident_events.event_id, incident_events.event, incident_events.at, incident_events.run_id,
    incident_events.done_by, incident_events.why
from monitoring.incident_events as incident_events
where incident_events.incident_id = %(incident_id)s
order by incident_events.event_id

-- incident_checks --
-- What it explains: red ones first, then in the order in which they joined.
select
    incident_checks.check_id, incident_checks.segment, incident_checks.dataset,
    incident_checks.severity, incident_checks.message, incident_checks.run_id,
    incident_checks.joined_at, incident_checks.recovered_at
from monitoring.incident_checks as incident_checks
where incident_checks.incident_id = %(incident_id)s
order by
    incident_checks.recovered_at is not null, incident_checks.joined_at,
    incident_checks.check_id, incident_checks.segment

-- red_checks --
-- What is red now, the most severe first.
select check_states.check_id, check_states.layer, check_states.severity
from monitoring.check_states as check_states
where check_states.environment = %(environment)s and check_states.is_red
order by check_states.check_id, check_states.segment

-- health_facts --
-- How many checks each layer has, when a scan was completed last, how many incidents are active.
select
    count(*) filter (where check_states.layer = 'bronze') as bronze,
    count(*) filter (where check_states.layer = 'silver') as silver,
    count(*) filter (where check_states.layer = 'gold') as gold,
    (
        select max(coalesce(runs.ended_at, runs.started_at))
        from monitoring.runs as runs
        where
            runs.environment = %(environment)s
            and runs.command in ('scan', 'run')
            and (runs.exit_code in (0, 1) or runs.run_id = %(run_id)s)
    ) as last_scan_at,
    (
        select count(*)
        from monitoring.incidents as incidents
        where incidents.environment = %(environment)s and incidents.state <> 'resolved'
    ) as open_incidents
from monitoring.check_states as check_states
where check_states.environment = %(environment)s
