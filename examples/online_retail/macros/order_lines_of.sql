{% macro order_lines_of(order_lines, deliveries) %}
select
    {{ order_lines }}.*,
    {{ deliveries }}.extracted_at,
    -- a line has no number of its own; its place in the order is what tells repeats apart
    row_number() over (
        partition by {{ order_lines }}._delivery_id, {{ order_lines }}.order_id
        order by {{ order_lines }}._source_row
    ) as line_number,
    row_number() over (
        partition by
            {{ order_lines }}._delivery_id,
            {{ order_lines }}.order_id,
            {{ order_lines }}.stock_code,
            {{ order_lines }}.description,
            {{ order_lines }}.quantity,
            {{ order_lines }}.ordered_at,
            {{ order_lines }}.unit_price,
            {{ order_lines }}.customer_id,
            {{ order_lines }}.country
        order by {{ order_lines }}._source_row
    ) as repeat_number
from {{ order_lines }}
inner join {{ deliveries }}
    on {{ order_lines }}._delivery_id = {{ deliveries }}.delivery_id
-- lets the block range index skip what was judged before
where {{ order_lines }}._delivery_id >= (select min({{ deliveries }}.delivery_id) from {{ deliveries }})
{% endmacro %}
