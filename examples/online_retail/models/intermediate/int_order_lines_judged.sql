{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=[
        "{{ rampart.take_turns('order_lines') }}",
        "{{ rampart.take_turns('decisions', together=true) }}",
        "{{ rampart.forget_replayed('order_lines') }}",
    ],
    post_hook=[
        "{{ rampart.index_on(['_delivery_id', '_source_row'], unique=true, name='row') }}",
        "{{ rampart.index_on(['_delivery_id'], where='rejected_by is not null', name='rejected') }}",
        "{{ rampart.index_on(['_delivery_id'], where='flagged_by is not null', name='flagged') }}",
        "{{ rampart.index_on(['_replay_id'], where='_replay_id is not null', name='replay') }}",
    ],
) }}

with

order_lines as (
    select * from {{ ref('stg_online_retail__order_lines') }}
),

decided_rows as (
    {{ rampart.decided_rows('order_lines') }}
),

arrived_deliveries as (
    {{ rampart.new_deliveries('order_lines', decided='decided_rows') }}
),

-- a line's place in its order shows only in the whole file
order_lines_of_deliveries as (
    {{ order_lines_of('order_lines', 'arrived_deliveries') }}
),

order_lines_due as (
    select * from order_lines_of_deliveries
    where {{ rampart.is_due('order_lines_of_deliveries') }}
    {{ rampart.compute_once() }}
),

judged as (
    {{ rampart.judge('order_lines_due', online_retail_rules(), decided='decided_rows') }}
)

select * from judged
