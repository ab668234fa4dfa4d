{{ config(
    enabled=(project_name == 'rampart'),
    materialized='table',
    post_hook=[
        "{{ index_on(['user_id'], unique=true, where='is_current', name='one_current') }}",
        "{{ index_on(['user_id', 'valid_from'], unique=true) }}",
    ],
) }}

with

users as (
    select * from {{ ref('int_sf_users_judged') }}
),

extracts as (
    select * from {{ source('rampart_store', 'deliveries') }}
    where feed = 'sf_user' and admission <> 'refused'
),

accepted_users as (
    select * from users
    where rejected_by is null
),

{{ scd2(
    entity='sf_user',
    rows='accepted_users',
    presences='users',
    extracts='extracts',
    natural_key='user_id',
    tracked=['division', 'audit_phase', 'is_active'],
    untracked=['full_name', 'email', 'last_modified_at'],
    deleted_flag='is_deleted_flag',
) }}

select * from sf_user_versions
