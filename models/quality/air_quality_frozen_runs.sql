{{ config(enabled=(project_name == 'rampart')) }}

with

measurements as (
    select * from {{ ref('fact_air_quality_measurements') }}
    where measured_value is not null
),

measurements_numbered as (
    select
        measurements.*,
        row_number() over (
            partition by measurements.station, measurements.parameter
            order by measurements.measurement_timestamp
        ) as hour_number,
        row_number() over (
            partition by
                measurements.station, measurements.parameter, measurements.measured_value
            order by measurements.measurement_timestamp
        ) as hour_number_of_value
    from measurements
),

-- equal values in a row share the difference of the two numbers
frozen_runs as (
    select
        measurements_numbered.station,
        measurements_numbered.parameter,
        measurements_numbered.measured_value,
        min(measurements_numbered.measurement_timestamp) as frozen_from,
        max(measurements_numbered.measurement_timestamp) as frozen_until,
        count(*) as frozen_hours
    from measurements_numbered
    group by
        measurements_numbered.station,
        measurements_numbered.parameter,
        measurements_numbered.measured_value,
        measurements_numbered.hour_number - measurements_numbered.hour_number_of_value
    having count(*) >= {{ var('frozen_after_hours', 8) }}
)

select * from frozen_runs
