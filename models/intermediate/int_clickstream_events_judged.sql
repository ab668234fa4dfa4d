{{ config(
    enabled=(project_name == 'rampart'),
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ take_turns('clickstream') }}",
    post_hook=[
        "{{ index_on(['_delivery_id', '_source_row'], unique=true, name='row') }}",
        "{{ index_on(['_delivery_id'], where='rejected_by is not null', name='rejected') }}",
        "{{ index_on(['_delivery_id'], where='flagged_by is not null', name='flagged') }}",
    ],
) }}

with

events as (
    select * from {{ ref('stg_clickstream__events') }}
),

arrived_deliveries as (
    {{ new_deliveries('clickstream') }}
),

oldest_new as (
    select min(arrived_deliveries.delivery_id) as delivery_id
    from arrived_deliveries
),

events_of_new_deliveries as (
    select
        {{ dbt_utils.generate_surrogate_key([
            'events.client_id',
            'events.session_id',
            'events.event_name',
            utc_text('events.event_timestamp'),
            'events.page_location',
            'events.transaction_id',
        ]) }} as event_key,
        events.*,
        arrived_deliveries.extracted_at
    from events
    inner join arrived_deliveries
        on events._delivery_id = arrived_deliveries.delivery_id
    -- lets the block range index skip all that was judged before
    where events._delivery_id >= (select oldest_new.delivery_id from oldest_new)
    {{ compute_once() }}
),

judged as (
    {{ judge('events_of_new_deliveries', clickstream_rules()) }}
)

select * from judged
