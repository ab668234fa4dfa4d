{{ config(enabled=(project_name == 'rampart')) }}

with

deliveries as (
    select * from {{ source('rampart_store', 'deliveries') }}
    where admission <> 'refused'
),

conservation as (
    select * from {{ ref('conservation') }}
    where grain = 'row'
),

accounted as (
    select
        deliveries.feed,
        deliveries.run_id,
        count(*) as delivery_count,
        max(deliveries.loaded_at) as loaded_at,
        sum(conservation.arrived) as arrived,
        sum(conservation.taken) as taken,
        sum(conservation.superseded) as duplicates,
        sum(conservation.rejected) as rejected,
        sum(conservation.dead_letters) as dead_letters
    from deliveries
    inner join conservation
        on deliveries.delivery_id = conservation.delivery_id
    group by deliveries.feed, deliveries.run_id
),

run_metrics as (
    select
        accounted.feed,
        accounted.run_id,
        accounted.loaded_at,
        accounted.delivery_count,
        accounted.arrived,
        accounted.taken,
        accounted.duplicates,
        accounted.rejected,
        accounted.dead_letters,
        100.0 * accounted.taken / nullif(accounted.arrived, 0) as success_rate
    from accounted
)

select * from run_metrics
