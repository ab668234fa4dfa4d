{{ config(
    enabled=(project_name == 'rampart'),
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=[
        "{{ take_turns('clickstream') }}",
        "{{ take_turns('decisions', together=true) }}",
        "{{ forget_replayed('clickstream') }}",
    ],
    post_hook=[
        "{{ index_on(['_delivery_id', '_source_row'], unique=true, name='row') }}",
        "{{ index_on(['_delivery_id'], where='rejected_by is not null', name='rejected') }}",
        "{{ index_on(['_delivery_id'], where='flagged_by is not null', name='flagged') }}",
        "{{ index_on(['_replay_id'], where='_replay_id is not null', name='replay') }}",
    ],
) }}

with

events as (
    select * from {{ ref('stg_clickstream__events') }}
),

decided_rows as (
    {{ decided_rows('clickstream') }}
),

arrived_deliveries as (
    {{ new_deliveries('clickstream', decided='decided_rows') }}
),

oldest_new as (
    select min(arrived_deliveries.delivery_id) as delivery_id
    from arrived_deliveries
),

events_due as (
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
    -- the first line lets the block range index skip what was judged before
    where
        events._delivery_id >= (select oldest_new.delivery_id from oldest_new)
        and {{ is_due('events') }}
    {{ compute_once() }}
),

judged as (
    {{ judge('events_due', clickstream_rules(), decided='decided_rows') }}
)

select * from judged
