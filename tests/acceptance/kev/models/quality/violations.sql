{{ config(schema='quarantine') }}

with

vulnerabilities as (
    select * from {{ ref('int_vulnerabilities_judged') }}
),

violations as (
    {{ rampart.violations_of('vulnerabilities', 'vulnerabilities', kev_rules()) }}
)

select * from violations
