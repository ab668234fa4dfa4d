{{ config(enabled=(project_name == 'rampart')) }}

with

versions as (
    select * from {{ ref('dim_sf_user_scd') }}
),

versions_in_order as (
    select
        versions.user_id,
        versions.valid_from,
        versions.valid_to,
        versions.is_current,
        lead(versions.valid_from) over (
            partition by versions.user_id order by versions.valid_from
        ) as next_valid_from
    from versions
),

keys_with_several_current as (
    select
        versions.user_id,
        'several current versions' as fault
    from versions
    where versions.is_current
    group by versions.user_id
    having count(*) > 1
),

keys_without_current as (
    select
        versions.user_id,
        'no current version' as fault
    from versions
    group by versions.user_id
    having count(case when versions.is_current then 1 end) = 0
),

keys_with_broken_chain as (
    select distinct
        versions_in_order.user_id,
        'versions overlap or leave a gap' as fault
    from versions_in_order
    where
        versions_in_order.valid_to is distinct from versions_in_order.next_valid_from
        or versions_in_order.valid_to <= versions_in_order.valid_from
),

scd2_faults as (
    select * from keys_with_several_current
    union all
    select * from keys_without_current
    union all
    select * from keys_with_broken_chain
)

select * from scd2_faults
