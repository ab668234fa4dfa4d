{% macro quarantine_rates_of(ledger) %}
with

deliveries as (
    select * from {{ source('rampart_store', 'deliveries') }}
    where admission <> 'refused' and records > 0
),

ledger as (
    select * from {{ ledger }}
),

runs_of_feeds as (
    select
        deliveries.feed,
        deliveries.run_id,
        sum(deliveries.records) as rows_read,
        max(deliveries.loaded_at) as loaded_at
    from deliveries
    group by deliveries.feed, deliveries.run_id
),

runs_numbered as (
    select
        runs_of_feeds.*,
        row_number() over (
            partition by runs_of_feeds.feed order by runs_of_feeds.loaded_at desc
        ) as run_from_end
    from runs_of_feeds
),

-- a row of which several cells are rejected counts once
rejected_rows as (
    select distinct
        ledger.feed,
        ledger.run_id,
        ledger.delivery_id,
        ledger.source_row
    from ledger
),

rejected_of_runs as (
    select
        rejected_rows.feed,
        rejected_rows.run_id,
        count(*) as rows_rejected
    from rejected_rows
    group by rejected_rows.feed, rejected_rows.run_id
),

quarantine_rates as (
    select
        runs_numbered.feed,
        runs_numbered.run_id,
        runs_numbered.loaded_at,
        runs_numbered.run_from_end = 1 as is_latest,
        runs_numbered.rows_read,
        coalesce(rejected_of_runs.rows_rejected, 0) as rows_rejected,
        cast(coalesce(rejected_of_runs.rows_rejected, 0) as numeric)
        / runs_numbered.rows_read as quarantine_rate
    from runs_numbered
    left join rejected_of_runs
        on
            runs_numbered.feed = rejected_of_runs.feed
            and runs_numbered.run_id = rejected_of_runs.run_id
)

select * from quarantine_rates
{% endmacro %}
