{{ config(enabled=(project_name == 'rampart')) }}

with

orders as (
    select * from {{ ref('fact_orders') }}
),

events as (
    select * from {{ ref('fact_events') }}
),

orphan_orders as (
    select orders.*
    from orders
    where not exists (
        select 1
        from events
        where
            events.event_name = 'session_start'
            and events.session_id = orders.session_id
            and events.client_id = orders.client_id
    )
)

select * from orphan_orders
