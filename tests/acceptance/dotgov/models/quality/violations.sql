{{ config(schema='quarantine') }}

with

domains as (
    select * from {{ ref('int_domains_judged') }}
),

violations as (
    {{ rampart.violations_of('domains', 'domains', dotgov_rules()) }}
)

select * from violations
