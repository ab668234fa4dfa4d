-- database --
-- The builder makes its schemas itself; everybody else finds them.
do $$
begin
    execute format('grant connect on database %I to rampart_loader, rampart_builder, rampart_monitor, rampart_reader', current_database());
    execute format('grant create on database %I to rampart_builder', current_database());
    execute format('revoke create on database %I from public', current_database());
end
$$

-- monitoring_schema --
-- Quality models of dbt live beside the store, so the builder creates here, but owns no store table.
grant usage on schema monitoring, quarantine to rampart_loader, rampart_builder, rampart_monitor, rampart_reader;
grant create on schema monitoring, quarantine to rampart_builder;
revoke all on all tables in schema monitoring, quarantine from rampart_loader, rampart_builder, rampart_monitor, rampart_reader;
grant select on all tables in schema monitoring, quarantine to rampart_builder, rampart_monitor, rampart_reader;
-- what dbt makes here later is read at once, and not after the next `db grant`
alter default privileges for role rampart_builder in schema monitoring, quarantine grant select on tables to rampart_monitor, rampart_reader

-- reader --
-- Raw bytes are not for the reader: a dead letter is counted and placed, its content is not shown.
do $$
begin
    revoke select on monitoring.dead_letters from rampart_reader;
    execute (
        select format('grant select (%s) on monitoring.dead_letters to rampart_reader', string_agg(quote_ident(attname), ', '))
        from pg_attribute
        where attrelid = 'monitoring.dead_letters'::regclass and attnum > 0 and not attisdropped and attname <> 'content'
    );
end
$$

-- loader --
-- What a load commits together; verdicts of its landing checks are append only for it, too.
grant select on monitoring.migrations, monitoring.mutes to rampart_loader;
grant select, insert, update on monitoring.runs, monitoring.feeds, monitoring.pipeline_logs to rampart_loader;
grant select, insert on monitoring.deliveries, monitoring.dead_letters, monitoring.schema_drift to rampart_loader;
-- a load that fails is a verdict, an incident and an alert
grant select, insert on monitoring.data_quality_metrics, monitoring.flips, monitoring.incident_events, monitoring.outbox_attempts to rampart_loader;
grant select, insert, update on monitoring.check_states, monitoring.incidents, monitoring.incident_checks, monitoring.outbox to rampart_loader;
grant select, insert, update on monitoring.stream_offsets, monitoring.stream_checkpoints to rampart_loader;
grant select, insert, update, delete on monitoring.stream_heartbeats to rampart_loader;
grant select, insert on monitoring.stream_batches, monitoring.stream_losses, monitoring.dead_letter_decisions to rampart_loader;
grant usage, select on all sequences in schema monitoring to rampart_loader

-- monitor --
-- Verdicts are append only: the monitor cannot change or delete one.
grant select, insert, update on monitoring.runs, monitoring.feeds, monitoring.pipeline_logs to rampart_monitor;
grant select, insert on monitoring.data_quality_metrics, monitoring.known_bad_periods, monitoring.mutes to rampart_monitor;
grant select, insert, update on monitoring.metric_values, monitoring.volume_series, monitoring.volume_judgements to rampart_monitor;
grant update (withdrawn_at, withdrawn_by) on monitoring.known_bad_periods to rampart_monitor;
grant update (lifted_at, lifted_by) on monitoring.mutes to rampart_monitor;
grant select, insert on monitoring.flips, monitoring.incident_events, monitoring.outbox_attempts to rampart_monitor;
grant select, insert, update on monitoring.check_states, monitoring.incidents, monitoring.incident_checks, monitoring.outbox to rampart_monitor;
grant usage, select on all sequences in schema monitoring to rampart_monitor

-- builder --
-- A recorded build writes its run and its log row; SCD2 hooks note the extracts they took in.
grant select, insert, update, delete on monitoring.scd2_extracts to rampart_builder;
grant select, insert, update on monitoring.runs, monitoring.feeds, monitoring.pipeline_logs to rampart_builder;
grant select, insert on quarantine.decisions to rampart_builder;
-- a build that fails is a verdict, an incident and an alert
grant select, insert on monitoring.data_quality_metrics, monitoring.flips, monitoring.incident_events, monitoring.outbox_attempts to rampart_builder;
grant select, insert, update on monitoring.check_states, monitoring.incidents, monitoring.incident_checks, monitoring.outbox to rampart_builder;
grant usage, select on all sequences in schema quarantine to rampart_builder;
grant usage, select on all sequences in schema monitoring to rampart_builder

-- each_schema_raw --
-- Raw: the loader appends, nobody changes.
create schema if not exists {schema};
grant usage on schema {schema} to rampart_loader, rampart_builder, rampart_monitor;
grant create on schema {schema} to rampart_loader;
grant select on all tables in schema {schema} to rampart_builder, rampart_monitor;
grant select, insert on all tables in schema {schema} to rampart_loader;
alter default privileges in schema {schema} grant select on tables to rampart_builder, rampart_monitor;
alter default privileges in schema {schema} grant select, insert on tables to rampart_loader;
alter default privileges for role rampart_loader in schema {schema} grant select on tables to rampart_builder, rampart_monitor

-- each_schema_built --
-- What dbt builds: the builder owns it, the others read it, also what comes later.
create schema if not exists {schema};
grant usage, create on schema {schema} to rampart_builder;
grant usage on schema {schema} to rampart_monitor, rampart_reader;
grant select on all tables in schema {schema} to rampart_monitor, rampart_reader;
alter default privileges in schema {schema} grant select on tables to rampart_monitor, rampart_reader;
alter default privileges for role rampart_builder in schema {schema} grant select on tables to rampart_monitor, rampart_reader

-- each_schema_source --
-- What somebody else loads and dbt reads: read, and no more.
grant usage on schema {schema} to rampart_builder, rampart_monitor;
grant select on all tables in schema {schema} to rampart_builder, rampart_monitor;
alter default privileges in schema {schema} grant select on tables to rampart_builder, rampart_monitor
