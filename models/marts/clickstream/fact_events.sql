{{ config(
    enabled=(project_name == 'rampart'),
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=[
        "{{ take_turns('fact_events') }}",
        "{{ give_way('clickstream', ref('int_clickstream_events_judged'), 'event_key') }}",
    ],
    post_hook=[
        "{{ index_on(['event_key'], unique=true) }}",
        "{{ index_on(['_delivery_id']) }}",
        "{{ index_on(['event_timestamp']) }}",
        "{{ index_on(['_replay_id'], where='_replay_id is not null', name='replay') }}",
    ],
) }}

with

accepted_events as (
    {{ rows_to_take('clickstream', ref('int_clickstream_events_judged')) }}
),

events_ranked as (
    select
        accepted_events.*,
        -- an event happens once: of the same event sent again, the first arrival counts
        row_number() over (
            partition by accepted_events.event_key
            order by accepted_events.delivery_sequence, accepted_events._source_row
        ) as arrival_number
    from accepted_events
),

new_events as (
    select
        events_ranked.event_key,
        events_ranked.client_id,
        events_ranked.session_id,
        events_ranked.transaction_id,
        events_ranked.event_name,
        events_ranked.page_location,
        events_ranked.traffic_source,
        events_ranked.traffic_medium,
        events_ranked.traffic_campaign,
        events_ranked.currency,
        cast(events_ranked.revenue as numeric(18, 2)) as revenue,
        events_ranked.event_timestamp,
        {{ utc_date('events_ranked.event_timestamp') }} as event_date,
        events_ranked.flagged_by,
        events_ranked._delivery_id,
        events_ranked._source_row,
        events_ranked._replay_id
    from events_ranked
    where
        events_ranked.arrival_number = 1
        {%- if is_incremental() %}
        and not exists (
            select 1
            from {{ this }} as taken
            where taken.event_key = events_ranked.event_key
        )
        {%- endif %}
)

select * from new_events
