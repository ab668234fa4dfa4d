-- What Rampart remembers: runs, deliveries, dead letters, stages, verdicts.
-- All times are timestamptz. Tables are append only or idempotent by key.

create schema if not exists monitoring;
create schema if not exists quarantine;

create table monitoring.runs (
    run_id text primary key,
    command text not null,
    environment text not null check (environment in ('dev', 'ci', 'prod')),
    started_at timestamptz not null default now(),
    ended_at timestamptz,
    exit_code integer,
    versions jsonb not null default '{}',
    git_revision text
);
comment on table monitoring.runs is 'One row per pass of a command. A row without ended_at was killed or still runs.';

create table monitoring.feeds (
    feed text primary key,
    raw_table text not null,
    required boolean not null,
    clock text not null check (clock in ('wall', 'data')),
    freshness_within interval,
    updated_at timestamptz not null default now()
);
comment on table monitoring.feeds is 'One row per feed of rampart.yml, as of the last load: what checks in SQL need to know of it.';

create table monitoring.deliveries (
    delivery_id bigint generated always as identity primary key,
    feed text not null,
    name text not null,
    sha256 text not null,
    sequence bigint not null,
    extracted_at timestamptz not null,
    extracted_at_from text not null check (extracted_at_from in ('name', 'file time', 'load')),
    kind text not null check (kind in ('events', 'full', 'partial')),
    records bigint not null,
    rows bigint not null,
    dead_letters bigint not null,
    bytes bigint not null,
    loaded_at timestamptz not null default now(),
    run_id text not null references monitoring.runs (run_id),
    admission text not null check (admission in ('admitted', 'refused', 'let through')),
    admitted_by text not null,
    why text,
    unique (feed, name, sha256),
    unique (feed, sequence),
    check (records = rows + dead_letters)
);
comment on table monitoring.deliveries is 'One row per arrival of a feed. records = rows in raw + dead letters; only admitted and let through ones take part.';
create index deliveries_by_feed on monitoring.deliveries (feed, extracted_at);
create index deliveries_by_run on monitoring.deliveries (run_id);

create table monitoring.dead_letters (
    dead_letter_id bigint generated always as identity primary key,
    delivery_id bigint not null references monitoring.deliveries (delivery_id),
    feed text not null,
    name text not null,
    source_row bigint not null,
    line bigint not null,
    reason text not null,
    content bytea not null,
    content_bytes bigint not null,
    run_id text not null references monitoring.runs (run_id),
    recorded_at timestamptz not null default now(),
    unique (delivery_id, source_row)
);
comment on table monitoring.dead_letters is 'One row per record that arrived and could not be read as a row: where it stood, why, and its first bytes.';

create table monitoring.schema_drift (
    delivery_id bigint not null references monitoring.deliveries (delivery_id),
    feed text not null,
    column_name text not null,
    change text not null check (change in ('added', 'missing')),
    recorded_at timestamptz not null default now(),
    primary key (delivery_id, column_name)
);
comment on table monitoring.schema_drift is 'One row per column that a delivery brought for the first time, or did not bring.';

create table monitoring.pipeline_logs (
    log_id bigint generated always as identity primary key,
    run_id text not null references monitoring.runs (run_id),
    pipeline_name text not null,
    stage text not null,
    layer text not null check (layer in ('bronze', 'silver', 'gold')),
    -- started -> succeeded | failed; skipped from the beginning
    status text not null check (status in ('started', 'succeeded', 'failed', 'skipped')),
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    rows_read bigint,
    rows_written bigint,
    rows_created bigint,
    rows_updated bigint,
    rows_deleted bigint,
    rows_rejected bigint,
    rows_dead_lettered bigint,
    source text,
    error_type text,
    error_message text
);
comment on table monitoring.pipeline_logs is 'One row per stage of a run. A row that stays started was killed.';
create index pipeline_logs_by_time on monitoring.pipeline_logs (started_at);
create index pipeline_logs_by_run on monitoring.pipeline_logs (run_id);

create table monitoring.data_quality_metrics (
    run_id text not null references monitoring.runs (run_id),
    environment text not null,
    execution_timestamp timestamptz not null,
    data_timestamp timestamptz,
    layer text not null check (layer in ('bronze', 'silver', 'gold')),
    category text not null check (category in ('infrastructure', 'data_quality', 'business')),
    suite_name text not null,
    dataset text not null,
    column_name text,
    segment text not null default '',
    check_id text not null,
    check_name text not null,
    metric_name text,
    metric_value double precision,
    numerator double precision,
    denominator double precision,
    expected_min double precision,
    expected_max double precision,
    detectable_change double precision,
    status text not null check (status in ('error', 'fail', 'missing', 'warn', 'blind', 'pass')),
    severity text not null check (severity in ('critical', 'high', 'medium', 'low')),
    blocked_by text,
    success_rate double precision,
    failed_expectations integer,
    message text not null,
    attributes jsonb not null default '{}',
    primary key (run_id, check_id, segment)
);
comment on table monitoring.data_quality_metrics is 'One row per run, check and segment: the verdicts. Append only.';
create index data_quality_metrics_by_time on monitoring.data_quality_metrics (execution_timestamp);
create index data_quality_metrics_by_check on monitoring.data_quality_metrics (check_id, segment, execution_timestamp);

create table quarantine.decisions (
    decision_id bigint generated always as identity primary key,
    source text not null,
    delivery_id bigint not null,
    source_row bigint not null,
    decision text not null check (decision in ('replayed', 'discarded')),
    decided_by text not null,
    decided_at timestamptz not null default now(),
    why text not null check (why <> '')
);
comment on table quarantine.decisions is 'One row per decision of a person about a rejected row. Append only; a full refresh never forgets it.';
create index decisions_by_row on quarantine.decisions (source, delivery_id, source_row);
