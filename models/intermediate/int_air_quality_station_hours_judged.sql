{{ config(
    enabled=(project_name == 'rampart'),
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=[
        "{{ take_turns('air_quality') }}",
        "{{ take_turns('decisions', together=true) }}",
        "{{ forget_replayed('air_quality') }}",
    ],
    post_hook=[
        "{{ index_on(['_delivery_id', '_source_row'], unique=true, name='row') }}",
        "{{ index_on(['_delivery_id'], where='rejected_by is not null', name='rejected') }}",
        "{{ index_on(['_delivery_id'], where='flagged_by is not null', name='flagged') }}",
        "{{ index_on(['_replay_id'], where='_replay_id is not null', name='replay') }}",
    ],
) }}

with

station_hours as (
    select * from {{ ref('stg_air_quality__station_hours') }}
),

decided_rows as (
    {{ decided_rows('air_quality') }}
),

arrived_deliveries as (
    {{ new_deliveries('air_quality', decided='decided_rows') }}
),

oldest_new as (
    select min(arrived_deliveries.delivery_id) as delivery_id
    from arrived_deliveries
),

station_hours_due as (
    select station_hours.*
    from station_hours
    inner join arrived_deliveries
        on station_hours._delivery_id = arrived_deliveries.delivery_id
    where
        station_hours._delivery_id >= (select oldest_new.delivery_id from oldest_new)
        and {{ is_due('station_hours') }}
    {{ compute_once() }}
),

judged as (
    {{ judge('station_hours_due', air_quality_row_rules(), decided='decided_rows') }}
)

select * from judged
