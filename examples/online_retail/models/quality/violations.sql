{{ config(schema='quarantine') }}

with

order_lines as (
    select * from {{ ref('int_order_lines_judged') }}
),

violations as (
    {{ rampart.violations_of('order_lines', 'order_lines', online_retail_rules()) }}
)

select * from violations
