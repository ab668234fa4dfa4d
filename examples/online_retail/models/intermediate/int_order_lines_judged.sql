{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ rampart.take_turns('order_lines') }}",
    post_hook=[
        "{{ rampart.index_on(['_delivery_id', '_source_row'], unique=true, name='row') }}",
        "{{ rampart.index_on(['_delivery_id'], where='rejected_by is not null', name='rejected') }}",
        "{{ rampart.index_on(['_delivery_id'], where='flagged_by is not null', name='flagged') }}",
    ],
) }}

with

order_lines as (
    select * from {{ ref('stg_online_retail__order_lines') }}
),

arrived_deliveries as (
    {{ rampart.new_deliveries('order_lines') }}
),

oldest_new as (
    select min(arrived_deliveries.delivery_id) as delivery_id
    from arrived_deliveries
),

order_lines_of_new_deliveries as (
    select
        order_lines.*,
        arrived_deliveries.extracted_at,
        -- a line has no number of its own; its place in the order is what tells repeats apart
        row_number() over (
            partition by order_lines._delivery_id, order_lines.order_id
            order by order_lines._source_row
        ) as line_number,
        row_number() over (
            partition by
                order_lines._delivery_id,
                order_lines.order_id,
                order_lines.stock_code,
                order_lines.description,
                order_lines.quantity,
                order_lines.ordered_at,
                order_lines.unit_price,
                order_lines.customer_id,
                order_lines.country
            order by order_lines._source_row
        ) as repeat_number
    from order_lines
    inner join arrived_deliveries
        on order_lines._delivery_id = arrived_deliveries.delivery_id
    -- lets the block range index skip all that was judged before
    where order_lines._delivery_id >= (select oldest_new.delivery_id from oldest_new)
    {{ rampart.compute_once() }}
),

judged as (
    {{ rampart.judge('order_lines_of_new_deliveries', online_retail_rules()) }}
)

select * from judged
