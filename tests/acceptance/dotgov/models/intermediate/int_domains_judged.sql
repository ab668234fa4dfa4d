{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ rampart.take_turns('domains') }}",
    post_hook=[
        "{{ rampart.index_on(['_delivery_id', '_source_row'], unique=true, name='row') }}",
        "{{ rampart.index_on(['_delivery_id'], where='rejected_by is not null', name='rejected') }}",
    ],
) }}

with

domains as (
    select * from {{ ref('stg_dotgov__domains') }}
),

arrived_deliveries as (
    {{ rampart.new_deliveries('domains') }}
),

domains_of_new_deliveries as (
    select
        domains.*,
        row_number() over (
            partition by domains._delivery_id, domains.domain_key
            order by domains._source_row desc
        ) as row_of_key_from_end
    from domains
    inner join arrived_deliveries
        on domains._delivery_id = arrived_deliveries.delivery_id
    -- lets the block range index skip all that was judged before
    where
        domains._delivery_id >= (
            select min(arrived_deliveries.delivery_id) from arrived_deliveries
        )
),

judged as (
    {{ rampart.judge('domains_of_new_deliveries', dotgov_rules()) }}
)

select * from judged
