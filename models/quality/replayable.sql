{{ config(enabled=(project_name == 'rampart'), schema='quarantine') }}

with

deliveries as (
    select * from {{ source('rampart_store', 'deliveries') }}
    where admission <> 'refused'
),

events as (
    select
        staged.*,
        deliveries.extracted_at
    from {{ ref('stg_clickstream__events') }} as staged
    inner join deliveries
        on staged._delivery_id = deliveries.delivery_id
    where
        (staged._delivery_id, staged._source_row) in (
            select
                rejected._delivery_id,
                rejected._source_row
            from {{ ref('int_clickstream_events_judged') }} as rejected
            where rejected.rejected_by is not null
        )
),

staged_users as (
    select * from {{ ref('stg_salesforce__users') }}
),

extracts_with_rejected_rows as (
    select distinct rejected._delivery_id as delivery_id
    from {{ ref('int_sf_users_judged') }} as rejected
    where rejected.rejected_by is not null
),

users as (
    {{ sf_users_of('staged_users', 'extracts_with_rejected_rows') }}
),

station_hours as (
    select staged.*
    from {{ ref('stg_air_quality__station_hours') }} as staged
    where
        (staged._delivery_id, staged._source_row) in (
            select
                rejected._delivery_id,
                rejected._source_row
            from {{ ref('int_air_quality_station_hours_judged') }} as rejected
            where rejected.rejected_by is not null
        )
),

station_hours_with_rejected_cells as (
    select accepted.*
    from {{ ref('int_air_quality_station_hours_judged') }} as accepted
    where
        accepted.rejected_by is null
        and (accepted._delivery_id, accepted._source_row) in (
            select
                rejected._delivery_id,
                rejected._source_row
            from {{ ref('int_air_quality_measurements_judged') }} as rejected
            where rejected.rejected_by is not null
        )
),

measurements as (
    {{ air_quality_cells_of('station_hours_with_rejected_cells') }}
),

lease_documents as (
    select
        staged.*,
        deliveries.extracted_at as sent_at
    from {{ ref('stg_leases__documents') }} as staged
    inner join deliveries
        on staged._delivery_id = deliveries.delivery_id
    where
        (staged._delivery_id, staged._source_row) in (
            select
                rejected._delivery_id,
                rejected._source_row
            from {{ ref('int_lease_documents_judged') }} as rejected
            where rejected.rejected_by is not null
        )
),

events_anew as (
    {{ judged_anew(
        'clickstream', 'events', clickstream_rules(), ref('int_clickstream_events_judged')
    ) }}
),

users_anew as (
    {{ judged_anew('sf_user', 'users', salesforce_rules(), ref('int_sf_users_judged')) }}
),

station_hours_anew as (
    {{ judged_anew(
        'air_quality',
        'station_hours',
        air_quality_row_rules(),
        ref('int_air_quality_station_hours_judged'),
    ) }}
),

measurements_anew as (
    {{ judged_anew(
        'air_quality',
        'measurements',
        air_quality_cell_rules(),
        ref('int_air_quality_measurements_judged'),
        item='parameter',
    ) }}
),

lease_documents_anew as (
    {{ judged_anew(
        'leases', 'lease_documents', leases_rules(), ref('int_lease_documents_judged')
    ) }}
),

replayable as (
    select * from events_anew
    union all
    select * from users_anew
    union all
    select * from station_hours_anew
    union all
    select * from measurements_anew
    union all
    select * from lease_documents_anew
)

select * from replayable
