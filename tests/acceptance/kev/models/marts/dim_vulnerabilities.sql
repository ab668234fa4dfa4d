{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='cve_id',
    pre_hook=[
        "{{ rampart.take_turns('dim_vulnerabilities') }}",
        "{{ rampart.scd2_take_extracts('vulnerabilities', ref('int_vulnerabilities_judged')) }}",
    ],
    post_hook="{{ rampart.index_on(['cve_id'], unique=true, where='is_current', name='current') }}",
) }}

with

{{ rampart.scd2(
    entity='vulnerability',
    rows=ref('int_vulnerabilities_judged'),
    natural_key='cve_id',
    tracked=vulnerability_attributes(),
) }}

select * from vulnerability_versions
