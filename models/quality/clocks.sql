{{ config(enabled=(project_name == 'rampart')) }}

with

feeds as (
    select * from {{ source('rampart_store', 'feeds') }}
),

deliveries as (
    select * from {{ source('rampart_store', 'deliveries') }}
    where admission <> 'refused'
),

newest_moments as (
    select
        deliveries.feed,
        max(deliveries.extracted_at) as newest_moment
    from deliveries
    group by deliveries.feed
),

clocks as (
    select
        feeds.feed,
        feeds.clock,
        case
            when feeds.clock = 'wall' then current_timestamp
            else newest_moments.newest_moment
        end as now_of_feed,
        feeds.freshness_within
    from feeds
    left join newest_moments
        on feeds.feed = newest_moments.feed
)

select * from clocks
