{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ rampart.take_turns('vulnerabilities') }}",
    post_hook="{{ rampart.index_on(['_delivery_id', '_source_row'], unique=true, name='row') }}",
) }}

with

vulnerabilities as (
    select * from {{ ref('stg_kev__vulnerabilities') }}
),

arrived_deliveries as (
    {{ rampart.new_deliveries('vulnerabilities') }}
),

vulnerabilities_of_new_deliveries as (
    select vulnerabilities.*
    from vulnerabilities
    inner join arrived_deliveries
        on vulnerabilities._delivery_id = arrived_deliveries.delivery_id
),

judged as (
    {{ rampart.judge('vulnerabilities_of_new_deliveries', kev_rules()) }}
)

select * from judged
