-- What a stage measured beside its counts, such as how much of each column was empty.

alter table monitoring.pipeline_logs add column details jsonb not null default '{}';
comment on column monitoring.pipeline_logs.details is 'What the stage measured beside its counts; null_shares: the share of blank values per column, in a sample of the records.';

create view monitoring.null_shares as
select
    logs.run_id,
    logs.pipeline_name as feed,
    logs.source as file_name,
    logs.finished_at as loaded_at,
    logs.rows_read,
    shares.key as column_name,
    cast(shares.value as double precision) as null_share
from monitoring.pipeline_logs as logs
cross join jsonb_each_text(logs.details -> 'null_shares') as shares (key, value)
where logs.stage = 'load' and logs.status = 'succeeded' and logs.details ? 'null_shares';
comment on view monitoring.null_shares is 'One row per loaded file and column: the share of a sample of its records in which the column was blank, 0 to 1.';
