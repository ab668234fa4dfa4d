{{ config(enabled=(project_name == 'rampart')) }}

with

clocks as (
    select * from {{ ref('clocks') }}
    where feed = 'clickstream' and now_of_feed is not null
),

events as (
    select * from {{ ref('fact_events') }}
),

days_back as (
    {%- for number in range(1, 9) %}
    select {{ number }} as days_ago
    {{- ' union all' if not loop.last }}
    {%- endfor %}
),

-- a day without rows is a zero, so days come from the calendar and not from the data
calendar as (
    select
        clocks.feed,
        days_back.days_ago,
        {{ utc_date('clocks.now_of_feed') }} - days_back.days_ago as volume_date
    from clocks
    cross join days_back
),

events_of_days as (
    select
        events.event_date,
        count(*) as row_count
    from events
    where events.event_date >= (select min(calendar.volume_date) from calendar)
    group by events.event_date
),

daily_volumes as (
    select
        calendar.feed,
        cast('facts.fact_events' as {{ dbt.type_string() }}) as dataset,
        calendar.volume_date,
        calendar.days_ago = 1 as is_latest_complete_day,
        coalesce(events_of_days.row_count, 0) as row_count
    from calendar
    left join events_of_days
        on calendar.volume_date = events_of_days.event_date
)

select * from daily_volumes
