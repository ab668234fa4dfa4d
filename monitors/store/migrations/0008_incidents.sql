-- What a person has to deal with: changes of a check's status (flips), incidents, and the alerts
-- about them (outbox). A flip, its incident and its alerts commit with the verdicts they come from.

create table monitoring.check_states (
    environment text not null,
    check_id text not null,
    segment text not null default '',
    -- false -> true by a flip, and back
    is_red boolean not null,
    -- one letter per verdict, r(ed) or g(reen), the newest last; as many as `flapping: of:` says
    recent text not null check (recent ~ '^[rg]+$'),
    status text not null check (status in ('error', 'fail', 'missing', 'warn', 'blind', 'pass')),
    severity text not null check (severity in ('critical', 'high', 'medium', 'low')),
    layer text not null check (layer in ('bronze', 'silver', 'gold')),
    dataset text not null,
    message text not null,
    run_id text not null references monitoring.runs (run_id),
    data_timestamp timestamptz,
    changed_at timestamptz not null,
    primary key (environment, check_id, segment)
);
comment on table monitoring.check_states is 'One row per environment, check and segment: what flips are decided from. Written only when something in it changes.';
comment on column monitoring.check_states.run_id is 'The run that wrote the row last; a check that stays green is not written again.';
comment on column monitoring.check_states.changed_at is 'When the check turned to what it is now, red or green.';
create index check_states_red on monitoring.check_states (environment) where is_red;

create table monitoring.flips (
    flip_id bigint generated always as identity primary key,
    environment text not null,
    check_id text not null,
    segment text not null default '',
    run_id text not null references monitoring.runs (run_id),
    -- red: it was green, or never seen; green: it was red
    turned text not null check (turned in ('red', 'green')),
    old_status text,
    new_status text not null,
    reason text not null,
    flipped_at timestamptz not null
);
comment on table monitoring.flips is 'One row per change of a check from green to red or back, after damping. Alerts come from nothing else. Append only.';
create index flips_by_check on monitoring.flips (environment, check_id, segment, flipped_at);
create index flips_by_run on monitoring.flips (run_id);

create table monitoring.incidents (
    incident_id bigint generated always as identity primary key,
    environment text not null,
    kind text not null check (kind in (
        'job_failure', 'landing_failure', 'validation_failure', 'data_quality_failure',
        'dbt_run_failure', 'dbt_test_failure', 'scd_validation_failure', 'monitoring_failure'
    )),
    -- rises when a check that joins is more severe; never falls
    severity text not null check (severity in ('critical', 'high', 'medium', 'low')),
    -- open -> acknowledged: somebody is on it
    -- open, acknowledged -> snoozed -> open: until a time, or until it gets worse
    -- open, acknowledged, snoozed -> resolved: all its checks recovered, or somebody said so
    -- resolved -> open: one of its checks turned red again within `reopen_within`
    state text not null check (state in ('open', 'acknowledged', 'snoozed', 'resolved')),
    title text not null,
    topic text not null,
    place text not null,
    feed text,
    dataset text not null,
    layer text not null check (layer in ('bronze', 'silver', 'gold')),
    owner text,
    lead_check_id text not null,
    lead_segment text not null default '',
    opened_at timestamptz not null,
    opened_run_id text not null references monitoring.runs (run_id),
    changed_at timestamptz not null,
    snoozed_until timestamptz,
    resolved_at timestamptz,
    resolved_by text,
    message jsonb,
    check ((state = 'snoozed') = (snoozed_until is not null)),
    check ((state = 'resolved') = (resolved_at is not null))
);
comment on table monitoring.incidents is 'One row per root cause that a person has to deal with.';
comment on column monitoring.incidents.topic is 'What sort of check leads it: job, model, landing, quarantine, volume, ...; it decides what else the cause explains.';
comment on column monitoring.incidents.place is 'Where in the lineage its cause stands: a node of manifest.json, `feed:<feed>`, or the dataset.';
comment on column monitoring.incidents.message is 'The text of its latest opened, worsened or reopened event, neutral; channels give it a form.';
create index incidents_active on monitoring.incidents (environment) where state <> 'resolved';
create index incidents_by_time on monitoring.incidents (environment, changed_at);

create table monitoring.incident_checks (
    incident_id bigint not null references monitoring.incidents (incident_id),
    check_id text not null,
    segment text not null default '',
    dataset text not null,
    severity text not null,
    message text not null,
    run_id text not null references monitoring.runs (run_id),
    joined_at timestamptz not null,
    recovered_at timestamptz,
    primary key (incident_id, check_id, segment)
);
comment on table monitoring.incident_checks is 'One row per check that an incident explains. recovered_at: null while it is red.';
create index incident_checks_by_check on monitoring.incident_checks (check_id, segment);

create table monitoring.incident_events (
    event_id bigint generated always as identity primary key,
    incident_id bigint not null references monitoring.incidents (incident_id),
    -- opened, worsened, reopened, snooze_ended, resolved: told to channels
    -- joined, recovered: one more check is red, or one less, and others still are
    -- acknowledged, snoozed: a person said so
    event text not null check (event in (
        'opened', 'joined', 'worsened', 'recovered', 'acknowledged', 'snoozed', 'snooze_ended',
        'resolved', 'reopened'
    )),
    at timestamptz not null,
    run_id text references monitoring.runs (run_id),
    done_by text not null,
    why text not null default ''
);
comment on table monitoring.incident_events is 'One row per thing that happened to an incident: its history. Append only.';
create index incident_events_by_incident on monitoring.incident_events (incident_id, event_id);

create table monitoring.outbox (
    outbox_id bigint generated always as identity primary key,
    environment text not null,
    key text not null unique,
    incident_id bigint references monitoring.incidents (incident_id),
    event text not null check (event in (
        'opened', 'worsened', 'reopened', 'snooze_ended', 'resolved', 'digest', 'test'
    )),
    channel text not null,
    message jsonb not null,
    -- pending -> sending: claimed, until its lease ends
    -- sending -> sent: the channel took it
    -- sending -> pending: the channel failed, or whoever claimed it died; next_try_at says when again
    -- sending -> parked: the channel will never take it; `rampart notify --retry-parked` puts it back
    -- collected -> digested: the message digest_id told it, a digest or a more urgent event
    state text not null check (state in (
        'pending', 'sending', 'sent', 'parked', 'collected', 'digested'
    )),
    next_try_at timestamptz not null,
    tries integer not null default 0,
    claimed_by text,
    leased_until timestamptz,
    digest_id bigint references monitoring.outbox (outbox_id),
    last_error text,
    created_at timestamptz not null,
    sent_at timestamptz,
    check ((state = 'sending') = (leased_until is not null)),
    check ((state = 'sent') = (sent_at is not null)),
    check ((state = 'digested') = (digest_id is not null))
);
comment on table monitoring.outbox is 'One row per event of an incident and channel: what is to be sent, and what became of it.';
comment on column monitoring.outbox.key is 'Idempotency key: the same for every try, so that a receiver can tell a repeat.';
create index outbox_waiting on monitoring.outbox (environment, channel, outbox_id)
where state in ('pending', 'sending', 'collected');
create index outbox_by_incident on monitoring.outbox (incident_id, channel, outbox_id);

create table monitoring.outbox_attempts (
    attempt_id bigint generated always as identity primary key,
    outbox_id bigint not null references monitoring.outbox (outbox_id),
    started_at timestamptz not null,
    seconds double precision not null,
    -- sent; failed: it is tried again; parked: it is not
    outcome text not null check (outcome in ('sent', 'failed', 'parked')),
    error text
);
comment on table monitoring.outbox_attempts is 'One row per try to send that came to an end. A try that was killed leaves none. Append only.';
create index outbox_attempts_by_row on monitoring.outbox_attempts (outbox_id);
