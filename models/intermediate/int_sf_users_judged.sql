{{ config(
    enabled=(project_name == 'rampart'),
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=[
        "{{ take_turns('sf_user') }}",
        "{{ take_turns('decisions', together=true) }}",
        "{{ forget_replayed('sf_user') }}",
    ],
    post_hook=[
        "{{ index_on(['_delivery_id', '_source_row'], unique=true, name='row') }}",
        "{{ index_on(['_delivery_id'], where='rejected_by is not null', name='rejected') }}",
        "{{ index_on(['_replay_id'], where='_replay_id is not null', name='replay') }}",
    ],
) }}

with

users as (
    select * from {{ ref('stg_salesforce__users') }}
),

decided_rows as (
    {{ decided_rows('sf_user') }}
),

arrived_deliveries as (
    {{ new_deliveries('sf_user', decided='decided_rows') }}
),

-- which row of its key is the last shows only in the whole extract
users_of_deliveries as (
    {{ sf_users_of('users', 'arrived_deliveries') }}
),

users_due as (
    select * from users_of_deliveries
    where {{ is_due('users_of_deliveries') }}
),

judged as (
    {{ judge('users_due', salesforce_rules(), decided='decided_rows') }}
)

select * from judged
