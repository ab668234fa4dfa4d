{{ config(
    enabled=(project_name == 'rampart'),
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ take_turns('sf_user') }}",
    post_hook=[
        "{{ index_on(['_delivery_id', '_source_row'], unique=true, name='row') }}",
        "{{ index_on(['_delivery_id'], where='rejected_by is not null', name='rejected') }}",
    ],
) }}

with

users as (
    select * from {{ ref('stg_salesforce__users') }}
),

arrived_deliveries as (
    {{ new_deliveries('sf_user') }}
),

oldest_new as (
    select min(arrived_deliveries.delivery_id) as delivery_id
    from arrived_deliveries
),

users_of_new_deliveries as (
    select
        users.*,
        row_number() over (
            partition by users._delivery_id, users.user_id
            order by users._source_row desc
        ) as row_of_key_from_end
    from users
    inner join arrived_deliveries
        on users._delivery_id = arrived_deliveries.delivery_id
    where users._delivery_id >= (select oldest_new.delivery_id from oldest_new)
),

judged as (
    {{ judge('users_of_new_deliveries', salesforce_rules()) }}
)

select * from judged
