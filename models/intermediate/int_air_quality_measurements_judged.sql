{{ config(
    enabled=(project_name == 'rampart'),
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ take_turns('air_quality_cells') }}",
    post_hook=[
        "{{ index_on(['_delivery_id', '_source_row', 'parameter'], unique=true, name='cell') }}",
        "{{ index_on(['_delivery_id'], where='rejected_by is not null', name='rejected') }}",
        "{{ index_on(['_delivery_id'], where='flagged_by is not null', name='flagged') }}",
    ],
) }}

with

station_hours as (
    select * from {{ ref('int_air_quality_station_hours_judged') }}
),

arrived_deliveries as (
    {{ new_deliveries('air_quality') }}
),

accepted_station_hours as (
    select station_hours.*
    from station_hours
    inner join arrived_deliveries
        on station_hours._delivery_id = arrived_deliveries.delivery_id
    where station_hours.rejected_by is null
),

{% set parameters = ['pm2_5', 'pm10', 'so2', 'no2', 'co', 'o3'] %}
cells as (
    {%- for parameter in parameters %}
    select
        accepted_station_hours._delivery_id,
        accepted_station_hours._source_row,
        accepted_station_hours.station,
        '{{ parameter }}' as parameter,
        accepted_station_hours.measurement_timestamp,
        trim(accepted_station_hours.{{ parameter }}) as cell
    from accepted_station_hours
    {{- '\n    union all' if not loop.last }}
    {%- endfor %}
),

measurements as (
    select
        {{ dbt_utils.generate_surrogate_key([
            'cells.station',
            'cells.parameter',
            'cells.measurement_timestamp',
        ]) }} as measurement_key,
        cells._delivery_id,
        cells._source_row,
        cells.station,
        cells.parameter,
        cells.measurement_timestamp,
        coalesce(cells.cell in ('NA', ''), true) as is_declared_missing,
        {{ try_number('cells.cell') }} as measured_value
    from cells
    {{ compute_once() }}
),

judged as (
    {{ judge('measurements', air_quality_cell_rules()) }}
)

select * from judged
