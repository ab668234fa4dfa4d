with

order_lines as (
    select * from {{ ref('fact_order_lines') }}
    where not is_refund
)

select
    order_lines.order_id,
    order_lines.customer_id,
    order_lines.country,
    min(order_lines.ordered_at) as ordered_at,
    {{ rampart.utc_date('min(order_lines.ordered_at)') }} as order_date,
    count(*) as line_count,
    sum(order_lines.quantity) as pieces,
    sum(order_lines.amount) as revenue
from order_lines
group by order_lines.order_id, order_lines.customer_id, order_lines.country
