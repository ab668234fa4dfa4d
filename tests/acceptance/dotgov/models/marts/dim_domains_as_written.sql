{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='domain_name',
    pre_hook=[
        "{{ rampart.take_turns('dim_domains_as_written') }}",
        "{{ rampart.scd2_take_extracts('domains', ref('int_domains_judged')) }}",
    ],
    post_hook="{{ rampart.index_on(['domain_name'], unique=true, where='is_current', name='current') }}",
) }}

with

{{ rampart.scd2(
    entity='domain_as_written',
    rows=ref('int_domains_judged'),
    natural_key='domain_name',
    tracked=domain_attributes(),
) }}

select * from domain_as_written_versions
