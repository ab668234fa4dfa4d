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
        max(measurements.measurement_timestamp) as newest_at
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

events_freshness as (
    select
        clocks.feed,
        cast('' as {{ dbt.type_string() }}) as segment,
        {{ hours_between('newest_event.newest_at', 'clocks.now_of_feed') }} as hours_behind
    from clocks
    cross join newest_event
    where clocks.feed = 'clickstream'
),

documents_freshness as (
    select
        clocks.feed,
        cast('' as {{ dbt.type_string() }}) as segment,
        {{ hours_between('newest_document.newest_at', 'clocks.now_of_feed') }} as hours_behind
    from clocks
    cross join newest_document
    where clocks.feed = 'leases'
),

-- stations keep their own clock, so each is held against the newest of them
stations_freshness as (
    select
        cast('air_quality' as {{ dbt.type_string() }}) as feed,
        newest_measurement_of_station.station as segment,
        {{ hours_between(
            'newest_measurement_of_station.newest_at', 'newest_measurement.newest_at'
        ) }} as hours_behind
    from newest_measurement_of_station
    cross join newest_measurement
),

freshness as (
    select * from events_freshness
    union all
    select * from stations_freshness
    union all
    select * from documents_freshness
)

select * from freshness
