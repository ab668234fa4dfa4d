-- last_build --
-- The latest build that Rampart started into a target, whole or of a selection.
select run_id, started_at, status, source
from monitoring.pipeline_logs
where
    pipeline_name = 'dbt'
    and stage = 'build'
    and (source = %(source)s or starts_with(source, %(source)s || ' --select '))
order by started_at desc, log_id desc
limit 1
