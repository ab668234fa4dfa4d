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

feeds_with_now as (
    select
        feeds.*,
        newest_moments.newest_moment,
        case
            when feeds.clock = 'wall' then current_timestamp
            else newest_moments.newest_moment
        end as now_of_feed
    from feeds
    left join newest_moments
        on feeds.feed = newest_moments.feed
),

clocks as (
    select
        feeds_with_now.feed,
        feeds_with_now.clock,
        feeds_with_now.now_of_feed,
        feeds_with_now.newest_moment,
        feeds_with_now.freshness_within,
        feeds_with_now.calendar,
        feeds_with_now.timezone,
        feeds_with_now.closed_weekdays,
        feeds_with_now.holidays
    from feeds_with_now
)

select * from clocks
