-- revenue minus refunds is the sum of all lines, to the penny
with

totals as (
    select
        (select coalesce(sum(amount), 0) from {{ ref('fact_order_lines') }}) as of_lines,
        (select coalesce(sum(revenue), 0) from {{ ref('fact_orders') }}) as of_orders,
        (select coalesce(sum(refunded), 0) from {{ ref('fact_refunds') }}) as of_refunds
)

select * from totals
where of_lines <> of_orders - of_refunds
