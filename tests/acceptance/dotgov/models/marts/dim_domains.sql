{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='domain_name',
    pre_hook=[
        "{{ rampart.take_turns('dim_domains') }}",
        "{{ rampart.scd2_take_extracts('domains', ref('int_domains_judged')) }}",
    ],
    post_hook="{{ rampart.index_on(['domain_name'], unique=true, where='is_current', name='current') }}",
) }}

with

{{ rampart.scd2(
    entity='domain',
    rows=ref('int_domains_judged'),
    natural_key='domain_name',
    tracked=domain_attributes(),
    key_expression='lower(trim(mentioned.domain_name))',
) }}

select * from domain_versions
