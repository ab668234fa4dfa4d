with

order_lines as (
    select * from {{ ref('fact_order_lines') }}
    where is_refund
)

select
    order_lines.order_id as refund_id,
    order_lines.customer_id,
    order_lines.country,
    min(order_lines.ordered_at) as refunded_at,
    {{ rampart.utc_date('min(order_lines.ordered_at)') }} as refund_date,
    count(*) as line_count,
    -sum(order_lines.quantity) as pieces,
    -sum(order_lines.amount) as refunded
from order_lines
group by order_lines.order_id, order_lines.customer_id, order_lines.country
