{{ config(enabled=(project_name == 'rampart')) }}

with

clocks as (
    select * from {{ ref('clocks') }}
    where feed in ('clickstream', 'leases') and now_of_feed is not null
),

events as (
    select * from {{ ref('fact_events') }}
),

documents as (
    select * from {{ ref('fact_lease_documents') }}
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

rows_of_days as (
    select
        'clickstream' as feed,
        events.event_date as volume_date,
        count(*) as row_count
    from events
    where events.event_date >= (select min(calendar.volume_date) from calendar)
    group by events.event_date

    union all

    select
        'leases' as feed,
        documents.document_date as volume_date,
        count(*) as row_count
    from documents
    where documents.document_date >= (select min(calendar.volume_date) from calendar)
    group by documents.document_date
),

daily_volumes as (
    select
        calendar.feed,
        cast(
            case calendar.feed
                when 'clickstream' then 'facts.fact_events'
                else 'facts.fact_lease_documents'
            end as {{ dbt.type_string() }}
        ) as dataset,
        calendar.volume_date,
        calendar.days_ago = 1 as is_latest_complete_day,
        coalesce(rows_of_days.row_count, 0) as row_count
    from calendar
    left join rows_of_days
        on
            calendar.feed = rows_of_days.feed
            and calendar.volume_date = rows_of_days.volume_date
)

select * from daily_volumes
