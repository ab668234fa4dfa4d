{{ config(enabled=(project_name == 'rampart')) }}

with

deliveries as (
    select * from {{ source('rampart_store', 'deliveries') }}
    where admission <> 'refused'
),

ledger as (
    select * from {{ ref('ledger') }}
),

judged_events as (
    select * from {{ ref('int_clickstream_events_judged') }}
    where rejected_by is null
),

events as (
    select * from {{ ref('fact_events') }}
),

judged_users as (
    select * from {{ ref('int_sf_users_judged') }}
    where rejected_by is null
),

judged_station_hours as (
    select * from {{ ref('int_air_quality_station_hours_judged') }}
    where rejected_by is null
),

judged_measurements as (
    select * from {{ ref('int_air_quality_measurements_judged') }}
    where rejected_by is null
),

measurements as (
    select * from {{ ref('fact_air_quality_measurements') }}
),

judged_documents as (
    select * from {{ ref('int_lease_documents_judged') }}
    where rejected_by is null
),

lease_documents as (
    select * from {{ ref('fact_lease_documents') }}
),

-- a row is taken when the mart holds it, and superseded when the mart holds another arrival of it
places_of_events as (
    select
        judged_events._delivery_id as delivery_id,
        'row' as grain,
        count(case
            when
                events._delivery_id = judged_events._delivery_id
                and events._source_row = judged_events._source_row
                then 1
        end) as taken,
        count(case
            when
                events._delivery_id <> judged_events._delivery_id
                or events._source_row <> judged_events._source_row
                then 1
        end) as superseded
    from judged_events
    left join events
        on judged_events.event_key = events.event_key
    group by judged_events._delivery_id
),

places_of_users as (
    select
        judged_users._delivery_id as delivery_id,
        'row' as grain,
        count(*) as taken,
        0 as superseded
    from judged_users
    group by judged_users._delivery_id
),

places_of_station_hours as (
    select
        judged_station_hours._delivery_id as delivery_id,
        'row' as grain,
        count(*) as taken,
        0 as superseded
    from judged_station_hours
    group by judged_station_hours._delivery_id
),

places_of_measurements as (
    select
        judged_measurements._delivery_id as delivery_id,
        'cell' as grain,
        count(case
            when
                measurements._delivery_id = judged_measurements._delivery_id
                and measurements._source_row = judged_measurements._source_row
                then 1
        end) as taken,
        count(case
            when
                measurements._delivery_id <> judged_measurements._delivery_id
                or measurements._source_row <> judged_measurements._source_row
                then 1
        end) as superseded
    from judged_measurements
    left join measurements
        on judged_measurements.measurement_key = measurements.measurement_key
    group by judged_measurements._delivery_id
),

places_of_documents as (
    select
        judged_documents._delivery_id as delivery_id,
        'row' as grain,
        count(case
            when lease_documents._delivery_id = judged_documents._delivery_id then 1
        end) as taken,
        count(case
            when lease_documents._delivery_id <> judged_documents._delivery_id then 1
        end) as superseded
    from judged_documents
    left join lease_documents
        on judged_documents.document_id = lease_documents.document_id
    group by judged_documents._delivery_id
),

places as (
    select * from places_of_events
    union all
    select * from places_of_users
    union all
    select * from places_of_station_hours
    union all
    select * from places_of_measurements
    union all
    select * from places_of_documents
),

rejected as (
    select
        ledger.delivery_id,
        case when ledger.grain = 'cell' then 'cell' else 'row' end as grain,
        count(*) as rejected
    from ledger
    group by ledger.delivery_id, case when ledger.grain = 'cell' then 'cell' else 'row' end
),

arrived_rows as (
    select
        deliveries.delivery_id,
        deliveries.feed,
        'row' as grain,
        deliveries.records as arrived,
        deliveries.dead_letters
    from deliveries
),

-- every accepted station hour brings six cells
arrived_cells as (
    select
        deliveries.delivery_id,
        deliveries.feed,
        'cell' as grain,
        coalesce(places_of_station_hours.taken, 0) * 6 as arrived,
        0 as dead_letters
    from deliveries
    left join places_of_station_hours
        on deliveries.delivery_id = places_of_station_hours.delivery_id
    where deliveries.feed = 'air_quality'
),

arrived as (
    select * from arrived_rows
    union all
    select * from arrived_cells
),

conservation as (
    select
        arrived.feed,
        arrived.delivery_id,
        arrived.grain,
        arrived.arrived,
        coalesce(places.taken, 0) as taken,
        coalesce(places.superseded, 0) as superseded,
        coalesce(rejected.rejected, 0) as rejected,
        arrived.dead_letters,
        arrived.arrived
        - coalesce(places.taken, 0)
        - coalesce(places.superseded, 0)
        - coalesce(rejected.rejected, 0)
        - arrived.dead_letters as unaccounted
    from arrived
    left join places
        on
            arrived.delivery_id = places.delivery_id
            and arrived.grain = places.grain
    left join rejected
        on
            arrived.delivery_id = rejected.delivery_id
            and arrived.grain = rejected.grain
)

select * from conservation
