{{ config(
    enabled=(project_name == 'rampart'),
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=[
        "{{ take_turns('air_quality_cells') }}",
        "{{ take_turns('decisions', together=true) }}",
        "{{ forget_replayed('air_quality', item='parameter') }}",
    ],
    post_hook=[
        "{{ index_on(['_delivery_id', '_source_row', 'parameter'], unique=true, name='cell') }}",
        "{{ index_on(['_delivery_id'], where='rejected_by is not null', name='rejected') }}",
        "{{ index_on(['_delivery_id'], where='flagged_by is not null', name='flagged') }}",
        "{{ index_on(['_replay_id'], where='_replay_id is not null', name='replay') }}",
    ],
) }}

with

station_hours as (
    select * from {{ ref('int_air_quality_station_hours_judged') }}
),

-- accepted by a replay, after their delivery was taken: none of their cells is here yet
replayed_rows as (
    select
        replayed._delivery_id as delivery_id,
        replayed._source_row as source_row
    from {{ ref('int_air_quality_station_hours_judged') }} as replayed
    where
        replayed._replay_id is not null
        and replayed.rejected_by is null
        and {{ is_not_held('replayed') }}
),

decided_cells as (
    {{ decided_rows('air_quality', item='parameter', rows='replayed_rows') }}
),

due_rows as (
    select
        decided_cells.delivery_id,
        decided_cells.source_row
    from decided_cells
    union
    select
        replayed_rows.delivery_id,
        replayed_rows.source_row
    from replayed_rows
),

arrived_deliveries as (
    {{ new_deliveries('air_quality', decided='due_rows') }}
),

accepted_station_hours as (
    select station_hours.*
    from station_hours
    inner join arrived_deliveries
        on station_hours._delivery_id = arrived_deliveries.delivery_id
    where station_hours.rejected_by is null
),

measurements as (
    {{ air_quality_cells_of('accepted_station_hours') }}
),

measurements_due as (
    select * from measurements
    where
        {{ is_due('measurements', item='parameter', decided='decided_cells') }}
        or (measurements._delivery_id, measurements._source_row) in (
            select
                replayed_rows.delivery_id,
                replayed_rows.source_row
            from replayed_rows
        )
),

judged as (
    {{ judge(
        'measurements_due',
        air_quality_cell_rules(),
        decided='decided_cells',
        item='parameter',
        replayed_with='measurements_due._row_replay_id',
    ) }}
)

select * from judged
