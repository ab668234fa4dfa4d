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
insert into monitoring.feeds (
    feed, raw_table, required, clock, freshness_within,
    calendar, timezone, closed_weekdays, holidays
)
values (
    %(feed)s, %(raw_table)s, %(required)s, %(clock)s, %(freshness_within)s,
    %(calendar)s, %(timezone)s, %(closed_weekdays)s::integer[], %(holidays)s::date[]
)
on conflict (feed) do update set
    raw_table = excluded.raw_table,
    required = excluded.required,
    clock = excluded.clock,
    freshness_within = excluded.freshness_within,
    calendar = excluded.calendar,
    timezone = excluded.timezone,
    closed_weekdays = excluded.closed_weekdays,
    holidays = excluded.holidays,
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

-- full_extract_before --
-- The latest admitted full extract of a feed at or before a moment.
select delivery_id
from monitoring.deliveries
where
    feed = %(feed)s
    and kind = 'full'
    and admission <> 'refused'
    and extracted_at <= %(moment)s
order by extracted_at desc, sequence desc
limit 1

-- let_through --
-- A person takes the responsibility for a refused delivery: the newest of that name.
update monitoring.deliveries
set
    admission = 'let through',
    let_through_at = now(),
    admitted_by = %(by)s,
    why = %(why)s || ' (refused by ' || admitted_by || ': ' || why || ')'
where delivery_id = (
    select max(delivery_id)
    from monitoring.deliveries
    where feed = %(feed)s and name = %(name)s and admission = 'refused'
)
returning delivery_id

-- list_deliveries --
-- The latest deliveries, of one feed or of all.
select delivery_id, feed, name, extracted_at, kind, rows, dead_letters, loaded_at, admission,
    admitted_by, why
from monitoring.deliveries
where
    (%(feed)s::text is null or feed = %(feed)s)
    and (not %(refused)s or admission = 'refused')
order by delivery_id desc
limit %(limit)s

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

-- copy_dead_letters --
-- What could not be read as rows: where, why, and their bytes.
copy monitoring.dead_letters (
    delivery_id, feed, name, source_row, line, reason, content, content_bytes, source_partition,
    source_offset, run_id
)
from stdin

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
    error_message = %(error_message)s,
    details = %(details)s
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

-- last_scan_at --
-- When the last scan before this one was completed, whatever it found.
select max(runs.ended_at)
from monitoring.runs as runs
where
    runs.environment = %(environment)s
    and runs.command in ('scan', 'run')
    and runs.exit_code in (0, 1)
    and runs.run_id <> %(run_id)s

-- latest_verdicts --
-- What each check said last; of its segments the worst.
select distinct on (metrics.check_id)
    metrics.check_id, metrics.status, metrics.message, metrics.dataset, metrics.execution_timestamp
from monitoring.data_quality_metrics as metrics
where
    metrics.environment = %(environment)s
    and metrics.execution_timestamp >= now() - interval '7 days'
order by
    metrics.check_id,
    metrics.execution_timestamp desc,
    array_position(array['error', 'fail', 'missing', 'warn', 'blind', 'pass'], metrics.status)

-- scores --
-- What a summary says of the whole.
select 'layer' as kind, scores.layer as subject, scores.quality_score as score
from monitoring.quality_scores as scores
where scores.environment = %(environment)s and scores.layer is not null and scores.suite_name is null
union all
select 'scd2' as kind, scores.dataset as subject, scores.integrity_score as score
from monitoring.scd2_scores as scores
where scores.environment = %(environment)s
order by kind, subject

-- latest_data_moment --
-- The newest moment that any delivery speaks of.
select max(extracted_at) from monitoring.deliveries where admission <> 'refused'

-- lock_builds --
-- Builds and replays that Rampart starts take turns, until the connection closes or unlocks.
select pg_advisory_lock(hashtextextended('rampart.build', 0))

-- wait_without_limit --
-- Until the end of the transaction.
select set_config('lock_timeout', '0', true)

-- try_lock_builds --
-- The same, without waiting.
select pg_try_advisory_lock(hashtextextended('rampart.build', 0))

-- unlock_builds --
-- The next one may build.
select pg_advisory_unlock(hashtextextended('rampart.build', 0))

-- lock_decisions --
-- No decision is made while a model judges rows: it sees all of them or none. The models take the
-- same lock together, by `take_turns('decisions', together=true)`.
select pg_advisory_xact_lock(hashtextextended('rampart.build.decisions', 0))

-- analyze_decisions --
-- The models join what was just decided; without figures of it the planner guesses badly.
analyze quarantine.decisions

-- ledger_groups --
-- The ledger by feed, decision, rule and delivery. A row that breaks two rules stands under both.
select
    ledger.feed,
    ledger.decision,
    broken.rule,
    ledger.delivery_id,
    ledger.file_name,
    ledger.loaded_at as since,
    count(*) as rows,
    min(ledger.source_row) as example_row
from {quarantine}.ledger as ledger
cross join unnest(string_to_array(ledger.rules, ', ')) as broken (rule)
where
    (%(feed)s::text is null or ledger.feed = %(feed)s)
    and (%(delivery)s::bigint is null or ledger.delivery_id = %(delivery)s)
    and (%(row)s::bigint is null or ledger.source_row = %(row)s)
    and (%(decision)s::text is null or ledger.decision = %(decision)s)
    and (%(rule)s::text is null or broken.rule = %(rule)s)
group by
    ledger.feed, ledger.decision, broken.rule, ledger.delivery_id, ledger.file_name,
    ledger.loaded_at
order by ledger.feed, ledger.delivery_id desc, count(*) desc, broken.rule

-- ledger_rows --
-- What the ledger says of one row: one line for the row, or one per rejected cell of it.
select
    ledger.item, ledger.grain, ledger.decision, ledger.file_name, ledger.run_id, ledger.loaded_at
from {quarantine}.ledger as ledger
where
    ledger.feed = %(feed)s
    and ledger.delivery_id = %(delivery)s
    and ledger.source_row = %(row)s
order by ledger.item

-- violations_of_row --
-- Every rule that a row or its cells break, and why the rule exists.
select violations.item, violations.rule, violations.effect, violations.why
from {quarantine}.violations as violations
where
    violations.feed = %(feed)s
    and violations.delivery_id = %(delivery)s
    and violations.source_row = %(row)s
order by violations.effect desc, violations.item, violations.rule

-- decisions_of_row --
-- What was decided about a row and its cells, the oldest first.
select
    decisions.item, decisions.decision, decisions.decided_by, decisions.decided_at, decisions.why
from quarantine.decisions as decisions
where
    decisions.source = %(feed)s
    and decisions.delivery_id = %(delivery)s
    and decisions.source_row = %(row)s
order by decisions.decision_id

-- judge_anew --
-- The chosen rows of the ledger by the rules of now, kept until the transaction ends. `is_waiting`:
-- a replay was decided, and no build has taken it yet.
create temporary table rampart_judged_anew on commit drop as
select
    replayable.feed,
    replayable.delivery_id,
    replayable.source_row,
    replayable.item,
    replayable.passes_now,
    replayable.rules_now,
    ledger.rules,
    ledger.decision,
    ledger.decision = 'replayed' and exists (
        select 1
        from quarantine.decisions as decisions
        where
            decisions.source = replayable.feed
            and decisions.delivery_id = replayable.delivery_id
            and decisions.source_row = replayable.source_row
            and decisions.item = replayable.item
            and decisions.decision = 'replayed'
            and decisions.batch_id > coalesce(replayable.replay_id, 0)
    ) as is_waiting
from {quarantine}.replayable as replayable
inner join {quarantine}.ledger as ledger
    on
        replayable.feed = ledger.feed
        and replayable.delivery_id = ledger.delivery_id
        and replayable.source_row = ledger.source_row
        and replayable.item = ledger.item
where
    (%(feed)s::text is null or (replayable.feed = %(feed)s and ledger.feed = %(feed)s))
    and (%(delivery)s::bigint is null or (replayable.delivery_id = %(delivery)s and ledger.delivery_id = %(delivery)s))
    and (%(row)s::bigint is null or replayable.source_row = %(row)s)
    and (%(rule)s::text is null or %(rule)s = any(string_to_array(ledger.rules, ', ')))
    and (%(discarded)s or ledger.decision <> 'discarded')

-- judged_anew --
-- How many of them pass now, stay or wait, by feed and the rules that they broke.
select
    judged.feed,
    judged.rules,
    case
        when judged.is_waiting then 'waits'
        when judged.passes_now then 'passes'
        else 'stays'
    end as outcome,
    count(*) as rows
from rampart_judged_anew as judged
group by 1, 2, 3
order by 1, 3, 4 desc, 2

-- decide_replays --
-- Replayed are exactly those that pass now, unless somebody decided otherwise in between.
with chosen as (
    select judged.*
    from rampart_judged_anew as judged
    inner join {quarantine}.ledger as ledger
        on
            judged.feed = ledger.feed
            and judged.delivery_id = ledger.delivery_id
            and judged.source_row = ledger.source_row
            and judged.item = ledger.item
            and judged.decision = ledger.decision
    where judged.passes_now and not judged.is_waiting
),

batches as materialized (
    select feeds.feed, feeds.is_cell, nextval('quarantine.batches') as batch_id
    from (select distinct feed, item <> '' as is_cell from chosen) as feeds
)

insert into quarantine.decisions (
    source, delivery_id, source_row, item, batch_id, decision, decided_by, why, run_id
)
select
    chosen.feed, chosen.delivery_id, chosen.source_row, chosen.item, batches.batch_id,
    'replayed', %(decided_by)s, %(why)s, %(run_id)s
from chosen
inner join batches
    on chosen.feed = batches.feed and (chosen.item <> '') = batches.is_cell

-- decide_discards --
-- Discarded are the chosen rows that are not discarded yet.
with chosen as (
    select ledger.*
    from {quarantine}.ledger as ledger
    where
        ledger.decision <> 'discarded'
        and (%(feed)s::text is null or ledger.feed = %(feed)s)
        and (%(delivery)s::bigint is null or ledger.delivery_id = %(delivery)s)
        and (%(row)s::bigint is null or ledger.source_row = %(row)s)
        and (%(rule)s::text is null or %(rule)s = any(string_to_array(ledger.rules, ', ')))
),

batches as materialized (
    select feeds.feed, feeds.is_cell, nextval('quarantine.batches') as batch_id
    from (select distinct feed, item <> '' as is_cell from chosen) as feeds
),

decided as (
    insert into quarantine.decisions (
        source, delivery_id, source_row, item, batch_id, decision, decided_by, why, run_id
    )
    select
        chosen.feed, chosen.delivery_id, chosen.source_row, chosen.item, batches.batch_id,
        'discarded', %(decided_by)s, %(why)s, %(run_id)s
    from chosen
    inner join batches
        on chosen.feed = batches.feed and (chosen.item <> '') = batches.is_cell
)

select chosen.feed, chosen.rules, 'discarded' as outcome, count(*) as rows
from chosen
group by 1, 2
order by 1, 4 desc, 2

-- left_in_ledger --
-- How many rows of this run's replays are rejected still.
select count(*)
from quarantine.decisions as decisions
inner join {quarantine}.ledger as ledger
    on
        decisions.source = ledger.feed
        and decisions.delivery_id = ledger.delivery_id
        and decisions.source_row = ledger.source_row
        and decisions.item = ledger.item
where decisions.run_id = %(run_id)s
