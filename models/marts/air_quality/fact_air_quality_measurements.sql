{{ config(
    enabled=(project_name == 'rampart'),
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='measurement_key',
    pre_hook="{{ take_turns('fact_air_quality_measurements') }}",
    post_hook=[
        "{{ index_on(['measurement_key'], unique=true) }}",
        "{{ index_on(['_delivery_id']) }}",
        "{{ index_on(['measurement_timestamp']) }}",
        "{{ index_on(['_replay_id'], where='_replay_id is not null', name='replay') }}",
    ],
) }}

with

station_hours as (
    select * from {{ ref('int_air_quality_station_hours_judged') }}
),

accepted_measurements as (
    {{ rows_to_take('air_quality', ref('int_air_quality_measurements_judged')) }}
),

measurements_ranked as (
    select
        accepted_measurements.*,
        -- an hour that is sent again is a correction: the last arrival counts
        row_number() over (
            partition by accepted_measurements.measurement_key
            order by
                accepted_measurements.delivery_sequence desc,
                accepted_measurements._source_row desc
        ) as arrival_from_end
    from accepted_measurements
),

latest_measurements as (
    select
        measurements_ranked.measurement_key,
        measurements_ranked.station,
        measurements_ranked.parameter,
        measurements_ranked.measurement_timestamp,
        cast(measurements_ranked.measured_value as numeric(18, 4)) as measured_value,
        measurements_ranked.is_declared_missing,
        measurements_ranked.flagged_by is not null as is_capped,
        coalesce(station_hours.flagged_by is not null, false)
        and measurements_ranked.parameter in ('pm2_5', 'pm10') as is_pm2_5_above_pm10,
        measurements_ranked._delivery_id,
        measurements_ranked._source_row,
        measurements_ranked._replay_id
    from measurements_ranked
    inner join station_hours
        on
            measurements_ranked._delivery_id = station_hours._delivery_id
            and measurements_ranked._source_row = station_hours._source_row
    where
        measurements_ranked.arrival_from_end = 1
        -- a correction that came later stays, whenever an older row is let in
        and {{ outranks_held(
            'measurements_ranked', 'measurement_key', by=['_delivery_id', '_source_row'], last=true
        ) }}
)

select * from latest_measurements
