{{ config(
    enabled=(project_name == 'rampart'),
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='transaction_id',
    pre_hook="{{ take_turns('fact_orders') }}",
    post_hook=[
        "{{ index_on(['transaction_id'], unique=true) }}",
        "{{ index_on(['_delivery_id']) }}",
        "{{ index_on(['_replay_id'], where='_replay_id is not null', name='replay') }}",
    ],
) }}

with

purchase_events as (
    {{ rows_to_take('clickstream', ref('fact_events'), accepted="event_name = 'purchase'") }}
),

purchases as (
    select
        purchase_events.*,
        -- a thank-you page that is opened twice is still one order
        row_number() over (
            partition by purchase_events.transaction_id
            order by
                purchase_events.event_timestamp,
                purchase_events._delivery_id,
                purchase_events._source_row
        ) as purchase_number
    from purchase_events
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
        purchases._source_row,
        purchases._replay_id
    from purchases
    where
        purchases.purchase_number = 1
        and {{ outranks_held(
            'purchases',
            'transaction_id',
            by=['event_timestamp', '_delivery_id', '_source_row'],
            held_by=['ordered_at', '_delivery_id', '_source_row'],
        ) }}
)

select * from orders
