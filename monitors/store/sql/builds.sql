-- last_build --
-- The latest build that Rampart started into a target, whole or of a selection; of one that was
-- skipped the check because of which.
select run_id, started_at, status, source, details ->> 'blocked_by' as blocked_by
from monitoring.pipeline_logs
where
    pipeline_name = 'dbt'
    and stage = 'build'
    and (source = %(source)s or starts_with(source, %(source)s || ' --select '))
order by started_at desc, log_id desc
limit 1

-- count_dbt_sessions --
-- Sessions of dbt on this database; dbt names itself, and anybody may see the name.
select count(*)
from pg_stat_activity
where application_name = 'dbt' and datname = current_database()

-- forget_sessions --
-- Within one transaction pg_stat_activity stays what it was at the first look, unless told.
select pg_stat_clear_snapshot()
