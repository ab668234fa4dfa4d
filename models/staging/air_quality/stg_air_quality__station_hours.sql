{{ config(enabled=(project_name == 'rampart')) }}

with

source as (
    select * from {{ source('air_quality', 'station_hours') }}
),

renamed as (
    select
        ---------- ids
        source._delivery_id,
        source._source_row,
        nullif(trim(source.station), '') as station,

        ---------- measurements, as they arrived
        source.pm2_5,
        source.pm10,
        source.so2,
        source.no2,
        source.co,
        source.o3,

        ---------- timestamps
        -- the station's own clock: the files name no time zone
        {{ hour_of('source.year', 'source.month', 'source.day', 'source.hour') }}
            as measurement_timestamp
    from source
)

select * from renamed
