{{ config(
    enabled=(project_name == 'rampart'),
    materialized='incremental',
    incremental_strategy='scd2',
    unique_key='user_id',
    pre_hook=[
        "{{ take_turns('dim_sf_user_scd') }}",
        "{{ scd2_take_extracts('sf_user', ref('int_sf_users_judged')) }}",
    ],
    post_hook=[
        "{{ index_on(['user_id'], unique=true, where='is_current', name='one_current') }}",
        "{{ index_on(['user_id', 'valid_from'], unique=true) }}",
    ],
) }}

with

{{ scd2(
    entity='sf_user',
    rows=ref('int_sf_users_judged'),
    natural_key='user_id',
    tracked=['division', 'audit_phase', 'is_active'],
    untracked=['full_name', 'email', 'last_modified_at'],
    deleted_flag='is_deleted_flag',
) }},

sf_user_members as (
    {{ scd2_with_unknown(
        'sf_user_versions',
        'user_id',
        attributes=[
            'division', 'audit_phase', 'is_active', 'full_name', 'email', 'last_modified_at'
        ],
    ) }}
)

select * from sf_user_members
