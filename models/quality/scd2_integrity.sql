{{ config(enabled=(project_name == 'rampart')) }}

with

versions as (
    select * from {{ ref('dim_sf_user_scd') }}
),

faults as (
    select * from {{ ref('scd2_faults') }}
),

keys_of_dimension as (
    select count(distinct versions.user_id) as key_count
    from versions
),

keys_with_faults as (
    select count(distinct faults.user_id) as faulty_key_count
    from faults
),

scd2_integrity as (
    select
        cast('salesforce_curated.dim_sf_user_scd' as {{ dbt.type_string() }}) as dimension,
        keys_of_dimension.key_count,
        keys_with_faults.faulty_key_count,
        100.0 * (keys_of_dimension.key_count - keys_with_faults.faulty_key_count)
        / nullif(keys_of_dimension.key_count, 0) as integrity_score
    from keys_of_dimension
    cross join keys_with_faults
)

select * from scd2_integrity
