-- add_alert --
-- An event of an incident for one channel, in the commit of the event.
insert into monitoring.outbox (
    environment, key, incident_id, event, channel, message, state, next_try_at, created_at
)
values (
    %(environment)s, %(key)s, %(incident_id)s, %(event)s, %(channel)s, %(message)s, %(state)s,
    %(next_try_at)s, %(created_at)s
)
on conflict (key) do nothing

-- tell_collected --
-- What waited for a digest is told by an urgent message of the same incident, which comes first.
update monitoring.outbox as waiting
set state = 'digested', digest_id = urgent.outbox_id
from monitoring.outbox as urgent
where
    urgent.key = %(key)s
    and waiting.environment = urgent.environment
    and waiting.channel = urgent.channel
    and waiting.incident_id = urgent.incident_id
    and waiting.outbox_id < urgent.outbox_id
    and waiting.state = 'collected'

-- due_channels --
-- Channels for which something is due, or for which a claim ended without an outcome.
select outbox.channel
from monitoring.outbox as outbox
where
    outbox.environment = %(environment)s
    and (
        (outbox.state = 'pending' and outbox.next_try_at <= %(now)s)
        or (outbox.state = 'sending' and outbox.leased_until <= %(now)s)
    )
group by outbox.channel
order by outbox.channel

-- claim_alert --
-- The oldest row of a channel that is due, unless an earlier event of its incident still waits.
update monitoring.outbox
set
    state = 'sending',
    claimed_by = %(claimed_by)s,
    leased_until = %(leased_until)s,
    tries = outbox.tries + 1
from (
    select waiting.outbox_id, waiting.tries as tries_before
    from monitoring.outbox as waiting
    where
        waiting.environment = %(environment)s
        and waiting.channel = %(channel)s
        and (
            (waiting.state = 'pending' and waiting.next_try_at <= %(now)s)
            or (waiting.state = 'sending' and waiting.leased_until <= %(now)s)
        )
        and not exists (
            select 1
            from monitoring.outbox as earlier
            where
                earlier.environment = waiting.environment
                and earlier.channel = waiting.channel
                and earlier.incident_id = waiting.incident_id
                and earlier.outbox_id < waiting.outbox_id
                and earlier.state in ('pending', 'sending')
        )
    order by waiting.outbox_id
    limit 1
    for update skip locked
) as chosen
where outbox.outbox_id = chosen.outbox_id
returning
    outbox.outbox_id, outbox.key, outbox.incident_id, outbox.event, outbox.message,
    chosen.tries_before

-- end_try --
-- What became of a try, as long as the row is still ours.
with ended as (
    update monitoring.outbox
    set
        state = case %(outcome)s::text when 'failed' then 'pending' else %(outcome)s::text end,
        leased_until = null,
        claimed_by = null,
        sent_at = case %(outcome)s::text when 'sent' then %(now)s::timestamptz end,
        next_try_at = coalesce(%(next_try_at)s::timestamptz, next_try_at),
        last_error = %(error)s
    where
        outbox_id = %(outbox_id)s and state = 'sending' and claimed_by = %(claimed_by)s
    returning outbox_id
)

insert into monitoring.outbox_attempts (outbox_id, started_at, seconds, outcome, error)
select ended.outbox_id, %(started_at)s, %(seconds)s, %(outcome)s, %(error)s
from ended
returning outbox_id

-- retry_parked --
-- What a channel refused for good is due again: somebody mended it.
update monitoring.outbox
set state = 'pending', next_try_at = %(now)s, last_error = null
where environment = %(environment)s and state = 'parked'
returning outbox_id

-- collected_alerts --
-- What waited for a digest that is due; whoever makes it holds them until it commits.
select outbox.outbox_id, outbox.channel, outbox.message
from monitoring.outbox as outbox
where
    outbox.environment = %(environment)s
    and outbox.state = 'collected'
    and outbox.next_try_at <= %(now)s
order by outbox.outbox_id
for update skip locked

-- is_something_due --
-- Whether there is a message, a digest or the end of a snooze to be told.
select
    exists (
        select 1
        from monitoring.outbox as outbox
        where
            outbox.environment = %(environment)s
            and (
                (outbox.state in ('pending', 'collected') and outbox.next_try_at <= %(now)s)
                or (outbox.state = 'sending' and outbox.leased_until <= %(now)s)
            )
    )
    or exists (
        select 1
        from monitoring.incidents as incidents
        where
            incidents.environment = %(environment)s
            and incidents.state = 'snoozed'
            and incidents.snoozed_until <= %(now)s
    )

-- mark_digested --
-- They are told by that digest.
update monitoring.outbox
set
    state = 'digested',
    digest_id = (
        select digest.outbox_id from monitoring.outbox as digest where digest.key = %(key)s
    )
where outbox_id = any(%(members)s) and environment = %(environment)s
returning outbox_id

-- channel_states --
-- How each channel does. failing: tries that failed since one went through.
select
    outbox.channel,
    count(*) filter (where outbox.state in ('pending', 'sending')) as waiting,
    count(*) filter (where outbox.state = 'parked') as parked,
    (
        select count(*)
        from monitoring.outbox_attempts as attempts
        inner join monitoring.outbox as tried on attempts.outbox_id = tried.outbox_id
        where
            tried.environment = %(environment)s
            and tried.channel = outbox.channel
            and attempts.outcome <> 'sent'
            and attempts.attempt_id > coalesce(
                (
                    select max(sent.attempt_id)
                    from monitoring.outbox_attempts as sent
                    inner join monitoring.outbox as done on sent.outbox_id = done.outbox_id
                    where
                        done.environment = %(environment)s
                        and done.channel = outbox.channel
                        and sent.outcome = 'sent'
                ),
                0
            )
    ) as failing,
    max(outbox.last_error) as last_error
from monitoring.outbox as outbox
where outbox.environment = %(environment)s
group by outbox.channel
order by outbox.channel

-- alerts_of_incident --
-- What was sent about an incident, where, and what became of it.
select
    outbox.outbox_id, outbox.channel, outbox.event, outbox.state, outbox.tries, outbox.created_at,
    outbox.next_try_at, outbox.sent_at, outbox.last_error, outbox.key
from monitoring.outbox as outbox
where outbox.environment = %(environment)s and outbox.incident_id = %(incident_id)s
order by outbox.outbox_id
