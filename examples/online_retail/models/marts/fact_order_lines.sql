{{ config(
    post_hook="{{ rampart.index_on(['order_id', 'line_number'], unique=true, name='line') }}",
) }}

with

order_lines as (
    select * from {{ ref('int_order_lines_judged') }}
    where rejected_by is null
),

admitted_deliveries as (
    {{ rampart.new_deliveries('order_lines') }}
),

order_lines_ranked as (
    select
        order_lines.*,
        -- an order stands whole in one file: of an order sent again the newest file counts
        rank() over (
            partition by order_lines.order_id order by admitted_deliveries.sequence desc
        ) as arrival_from_end
    from order_lines
    inner join admitted_deliveries
        on order_lines._delivery_id = admitted_deliveries.delivery_id
)

select
    order_lines_ranked.order_id,
    order_lines_ranked.line_number,
    order_lines_ranked.is_refund,
    order_lines_ranked.customer_id,
    order_lines_ranked.country,
    order_lines_ranked.stock_code,
    order_lines_ranked.description,
    order_lines_ranked.quantity,
    order_lines_ranked.unit_price,
    order_lines_ranked.quantity * order_lines_ranked.unit_price as amount,
    order_lines_ranked.ordered_at,
    order_lines_ranked.flagged_by,
    order_lines_ranked._delivery_id,
    order_lines_ranked._source_row
from order_lines_ranked
where order_lines_ranked.arrival_from_end = 1
