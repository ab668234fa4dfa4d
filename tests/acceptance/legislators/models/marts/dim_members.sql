{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='bioguide_id',
    pre_hook=[
        "{{ rampart.take_turns('dim_members') }}",
        "{{ rampart.scd2_take_extracts('members', ref('int_members_judged')) }}",
    ],
    post_hook="{{ rampart.index_on(['bioguide_id'], unique=true, where='is_current', name='current') }}",
) }}

with

{{ rampart.scd2(
    entity='member',
    rows=ref('int_members_judged'),
    natural_key='bioguide_id',
    tracked=member_attributes(),
) }}

select * from member_versions
