{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ rampart.take_turns('members') }}",
    post_hook="{{ rampart.index_on(['_delivery_id', '_source_row'], unique=true, name='row') }}",
) }}

with

members as (
    select * from {{ ref('stg_legislators__members') }}
),

arrived_deliveries as (
    {{ rampart.new_deliveries('members') }}
),

members_of_new_deliveries as (
    select members.*
    from members
    inner join arrived_deliveries
        on members._delivery_id = arrived_deliveries.delivery_id
),

judged as (
    {{ rampart.judge('members_of_new_deliveries', legislators_rules()) }}
)

select * from judged
