{{ config(
    enabled=(project_name == 'rampart'),
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ take_turns('fact_orders') }}",
    post_hook=[
        "{{ index_on(['transaction_id'], unique=true) }}",
        "{{ index_on(['_delivery_id']) }}",
    ],
) }}

with

events as (
    select * from {{ ref('fact_events') }}
),

arrived_deliveries as (
    {{ new_deliveries('clickstream') }}
),

purchases as (
    select
        events.*,
        -- a thank-you page that is opened twice is still one order
        row_number() over (
            partition by events.transaction_id
            order by events.event_timestamp, events._delivery_id, events._source_row
        ) as purchase_number
    from events
    inner join arrived_deliveries
        on events._delivery_id = arrived_deliveries.delivery_id
    where events.event_name = 'purchase'
),

orders as (
    select
        purchases.transaction_id,
        purchases.event_key,
        purchases.client_id,
        purchases.session_id,
        purchases.traffic_source,
        purchases.traffic_medium,
        purchases.traffic_campaign,
        purchases.currency,
        purchases.revenue,
        purchases.event_timestamp as ordered_at,
        purchases.event_date as order_date,
        purchases._delivery_id,
        purchases._source_row
    from purchases
    where
        purchases.purchase_number = 1
        {%- if is_incremental() %}
        and not exists (
            select 1
            from {{ this }} as taken
            where taken.transaction_id = purchases.transaction_id
        )
        {%- endif %}
)

select * from orders
