{% macro air_quality_cells_of(station_hours) %}
{%- set parameters = ['pm2_5', 'pm10', 'so2', 'no2', 'co', 'o3'] %}
with

cells as (
    {%- for parameter in parameters %}
    select
        {{ station_hours }}._delivery_id,
        {{ station_hours }}._source_row,
        {{ station_hours }}._replay_id as _row_replay_id,
        {{ station_hours }}.station,
        '{{ parameter }}' as parameter,
        {{ station_hours }}.measurement_timestamp,
        trim({{ station_hours }}.{{ parameter }}) as cell
    from {{ station_hours }}
    {{- '\n    union all' if not loop.last }}
    {%- endfor %}
)

select
    {{ dbt_utils.generate_surrogate_key([
        'cells.station',
        'cells.parameter',
        'cells.measurement_timestamp',
    ]) }} as measurement_key,
    cells._delivery_id,
    cells._source_row,
    cells._row_replay_id,
    cells.station,
    cells.parameter,
    cells.measurement_timestamp,
    coalesce(cells.cell in ('NA', ''), true) as is_declared_missing,
    {{ rampart.try_number('cells.cell') }} as measured_value
from cells
{{ rampart.compute_once() }}
{% endmacro %}
