{{ config(schema='quarantine') }}

with

members as (
    select * from {{ ref('int_members_judged') }}
),

violations as (
    {{ rampart.violations_of('members', 'members', legislators_rules()) }}
)

select * from violations
