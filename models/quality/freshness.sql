{{ config(enabled=(project_name == 'rampart')) }}

with

clocks as (
    select * from {{ ref('clocks') }}
),

events as (
    select * from {{ ref('fact_events') }}
),

measurements as (
    select * from {{ ref('fact_air_quality_measurements') }}
),

documents as (
    select * from {{ ref('fact_lease_documents') }}
),

newest_event as (
    select max(events.event_timestamp) as newest_at from events
),

newest_measurement_of_station as (
    select
        measurements.station,
        {{ utc_moment('max(measurements.measurement_timestamp)') }} as newest_at
    from measurements
    group by measurements.station
),

newest_measurement as (
    select max(newest_measurement_of_station.newest_at) as newest_at
    from newest_measurement_of_station
),

newest_document as (
    select max(documents.sent_at) as newest_at
    from documents
    where not documents.is_withdrawn
),

events_newest as (
    select
        clocks.feed,
        cast('' as {{ dbt.type_string() }}) as segment,
        newest_event.newest_at,
        clocks.now_of_feed,
        clocks.timezone
    from clocks
    cross join newest_event
    where clocks.feed = 'clickstream'
),

documents_newest as (
    select
        clocks.feed,
        cast('' as {{ dbt.type_string() }}) as segment,
        newest_document.newest_at,
        clocks.now_of_feed,
        clocks.timezone
    from clocks
    cross join newest_document
    where clocks.feed = 'leases'
),

-- an extract without rows is a picture too, so extracts speak by their moment
users_newest as (
    select
        clocks.feed,
        cast('' as {{ dbt.type_string() }}) as segment,
        clocks.newest_moment as newest_at,
        clocks.now_of_feed,
        clocks.timezone
    from clocks
    where clocks.feed = 'sf_user'
),

-- stations keep their own clock, so each is held against the newest of them, in days of its own
stations_newest as (
    select
        clocks.feed,
        coalesce(newest_measurement_of_station.station, '') as segment,
        newest_measurement_of_station.newest_at,
        newest_measurement.newest_at as now_of_feed,
        cast('UTC' as {{ dbt.type_string() }}) as timezone
    from clocks
    cross join newest_measurement
    left join newest_measurement_of_station
        on newest_measurement_of_station.newest_at is not null
    where clocks.feed = 'air_quality'
),

newest as (
    select * from events_newest
    union all
    select * from users_newest
    union all
    select * from documents_newest
    union all
    select * from stations_newest
),

ages as (
    select
        newest.feed,
        newest.segment,
        newest.newest_at,
        newest.now_of_feed,
        cast({{ open_hours_between(
            'newest.newest_at',
            'newest.now_of_feed',
            'clocks.closed_weekdays',
            'clocks.holidays',
            'newest.timezone',
        ) }} as numeric(18, 2)) as hours_behind,
        cast({{ interval_hours('clocks.freshness_within') }} as numeric(18, 2)) as hours_allowed,
        {{ is_closed_on(
            date_in('newest.now_of_feed', 'newest.timezone'),
            'clocks.closed_weekdays',
            'clocks.holidays',
        ) }} as is_closed_now
    from newest
    inner join clocks
        on newest.feed = clocks.feed
),

freshness as (
    select
        ages.feed,
        ages.segment,
        ages.newest_at,
        ages.hours_behind,
        ages.hours_allowed,
        case
            when ages.hours_behind is null then 'empty'
            -- what was late before the doors closed stays late
            when ages.hours_behind > ages.hours_allowed then 'late'
            when ages.is_closed_now then 'closed'
            else 'fresh'
        end as state
    from ages
)

select * from freshness
