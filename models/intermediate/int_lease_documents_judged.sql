{{ config(
    enabled=(project_name == 'rampart'),
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=[
        "{{ take_turns('leases') }}",
        "{{ take_turns('decisions', together=true) }}",
        "{{ forget_replayed('leases') }}",
    ],
    post_hook=[
        "{{ index_on(['_delivery_id', '_source_row'], unique=true, name='row') }}",
        "{{ index_on(['_delivery_id'], where='rejected_by is not null', name='rejected') }}",
        "{{ index_on(['_delivery_id'], where='flagged_by is not null', name='flagged') }}",
        "{{ index_on(['_replay_id'], where='_replay_id is not null', name='replay') }}",
    ],
) }}

with

documents as (
    select * from {{ ref('stg_leases__documents') }}
),

decided_rows as (
    {{ decided_rows('leases') }}
),

arrived_deliveries as (
    {{ new_deliveries('leases', decided='decided_rows') }}
),

oldest_new as (
    select min(arrived_deliveries.delivery_id) as delivery_id
    from arrived_deliveries
),

documents_due as (
    select
        documents.*,
        arrived_deliveries.extracted_at as sent_at
    from documents
    inner join arrived_deliveries
        on documents._delivery_id = arrived_deliveries.delivery_id
    -- the first line lets the block range index skip what was judged before
    where
        documents._delivery_id >= (select oldest_new.delivery_id from oldest_new)
        and {{ is_due('documents') }}
    {{ compute_once() }}
),

judged as (
    {{ judge('documents_due', leases_rules(), decided='decided_rows') }}
)

select * from judged
