-- start_run --
-- A run begins; committed at once, so that a killed one is visible.
insert into monitoring.runs (run_id, command, environment, versions, git_revision)
values (%(run_id)s, %(command)s, %(environment)s, %(versions)s, %(git_revision)s)

-- finish_run --
-- A run ended by itself, whatever its exit code.
update monitoring.runs
set ended_at = clock_timestamp(), exit_code = %(exit_code)s
where run_id = %(run_id)s

-- register_feed --
-- What checks in SQL need to know of a feed, as rampart.yml says it now.
insert into monitoring.feeds (feed, raw_table, required, clock, freshness_within)
values (%(feed)s, %(raw_table)s, %(required)s, %(clock)s, %(freshness_within)s)
on conflict (feed) do update set
    raw_table = excluded.raw_table,
    required = excluded.required,
    clock = excluded.clock,
    freshness_within = excluded.freshness_within,
    updated_at = now()

-- lock_feed --
-- Two loads of one feed take turns until the end of their transactions.
select pg_advisory_xact_lock(hashtextextended('rampart.feed.' || %(feed)s, 0))

-- find_delivery --
-- The same file again: same feed, name and content.
select delivery_id, run_id, loaded_at
from monitoring.deliveries
where feed = %(feed)s and name = %(name)s and sha256 = %(sha256)s

-- has_delivery_of_size --
-- Whether a file of this name and size came before: only then is it worth hashing it first.
select exists (
    select 1 from monitoring.deliveries
    where feed = %(feed)s and name = %(name)s and bytes = %(bytes)s
)

-- next_delivery --
-- The id and the place in the feed's order of the delivery that is about to be loaded.
select
    nextval(pg_get_serial_sequence('monitoring.deliveries', 'delivery_id')) as delivery_id,
    (
        select coalesce(max(sequence), 0) + 1
        from monitoring.deliveries
        where feed = %(feed)s
    ) as sequence

-- add_delivery --
-- Written after its rows, in the same transaction.
insert into monitoring.deliveries (
    delivery_id, feed, name, sha256, sequence, extracted_at, extracted_at_from, kind,
    records, rows, dead_letters, bytes, run_id, admission, admitted_by, why
)
overriding system value
values (
    %(delivery_id)s, %(feed)s, %(name)s, %(sha256)s, %(sequence)s, %(extracted_at)s,
    %(extracted_at_from)s, %(kind)s, %(records)s, %(rows)s, %(dead_letters)s, %(bytes)s,
    %(run_id)s, %(admission)s, %(admitted_by)s, %(why)s
)

-- add_dead_letter --
-- What could not be read as a row: where, why, and its bytes.
insert into monitoring.dead_letters (
    delivery_id, feed, name, source_row, line, reason, content, content_bytes, run_id
)
values (
    %(delivery_id)s, %(feed)s, %(name)s, %(source_row)s, %(line)s, %(reason)s, %(content)s,
    %(content_bytes)s, %(run_id)s
)

-- add_schema_drift --
-- A column that came for the first time, or did not come.
insert into monitoring.schema_drift (delivery_id, feed, column_name, change)
values (%(delivery_id)s, %(feed)s, %(column_name)s, %(change)s)

-- start_stage --
-- A stage begins.
insert into monitoring.pipeline_logs (run_id, pipeline_name, stage, layer, status, source)
values (%(run_id)s, %(pipeline_name)s, %(stage)s, %(layer)s, %(status)s, %(source)s)
returning log_id

-- finish_stage --
-- A stage ended, with its counts.
update monitoring.pipeline_logs
set
    status = %(status)s,
    finished_at = clock_timestamp(),
    rows_read = %(rows_read)s,
    rows_written = %(rows_written)s,
    rows_rejected = %(rows_rejected)s,
    rows_dead_lettered = %(rows_dead_lettered)s,
    source = coalesce(%(source)s, source),
    error_type = %(error_type)s,
    error_message = %(error_message)s
where log_id = %(log_id)s

-- add_result --
-- One verdict. The same run, check and segment twice is one row.
insert into monitoring.data_quality_metrics (
    run_id, environment, execution_timestamp, data_timestamp, layer, category, suite_name, dataset,
    column_name, segment, check_id, check_name, metric_name, metric_value, numerator, denominator,
    expected_min, expected_max, detectable_change, status, severity, blocked_by, success_rate,
    failed_expectations, message, attributes
)
values (
    %(run_id)s, %(environment)s, %(execution_timestamp)s, %(data_timestamp)s, %(layer)s,
    %(category)s, %(suite_name)s, %(dataset)s, %(column_name)s, %(segment)s, %(check_id)s,
    %(check_name)s, %(metric_name)s, %(metric_value)s, %(numerator)s, %(denominator)s,
    %(expected_min)s, %(expected_max)s, %(detectable_change)s, %(status)s, %(severity)s,
    %(blocked_by)s, %(success_rate)s, %(failed_expectations)s, %(message)s, %(attributes)s
)
on conflict (run_id, check_id, segment) do nothing

-- red_since --
-- Since which scan each check is red without a break, the present run included.
select
    metrics.check_id,
    metrics.segment,
    min(metrics.execution_timestamp) as red_since,
    (array_agg(metrics.run_id order by metrics.execution_timestamp))[1] as since_run_id
from monitoring.data_quality_metrics as metrics
where
    metrics.check_id = any(%(check_ids)s)
    and metrics.status in ('error', 'fail', 'missing')
    and metrics.execution_timestamp > coalesce(
        (
            select max(earlier.execution_timestamp)
            from monitoring.data_quality_metrics as earlier
            where
                earlier.check_id = metrics.check_id
                and earlier.segment = metrics.segment
                and earlier.status not in ('error', 'fail', 'missing')
        ),
        '-infinity'
    )
group by metrics.check_id, metrics.segment

-- latest_data_moment --
-- The newest moment that any delivery speaks of.
select max(extracted_at) from monitoring.deliveries where admission <> 'refused'
