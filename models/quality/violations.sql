{{ config(enabled=(project_name == 'rampart'), schema='quarantine') }}

with

events as (
    select * from {{ ref('int_clickstream_events_judged') }}
),

users as (
    select * from {{ ref('int_sf_users_judged') }}
),

station_hours as (
    select * from {{ ref('int_air_quality_station_hours_judged') }}
),

measurements as (
    select * from {{ ref('int_air_quality_measurements_judged') }}
),

lease_documents as (
    select * from {{ ref('int_lease_documents_judged') }}
),

all_violations as (
    {{ violations_of('clickstream', 'events', clickstream_rules()) }}

    union all

    {{ violations_of('sf_user', 'users', salesforce_rules()) }}

    union all

    {{ violations_of('air_quality', 'station_hours', air_quality_row_rules()) }}

    union all

    {{ violations_of(
        'air_quality', 'measurements', air_quality_cell_rules(), item='measurements.parameter'
    ) }}

    union all

    {{ violations_of('leases', 'lease_documents', leases_rules()) }}
)

select * from all_violations
