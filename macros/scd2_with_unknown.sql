{% macro scd2_with_unknown(versions, natural_key, attributes) %}
{#- is_deleted: nobody counts it as a user, and no extract that does not name it can delete it -#}
select * from {{ versions }}

union all

select
    'unknown' as unknown_key,
    '(unknown)' as {{ natural_key }},
    {%- for attribute in attributes %}
    null as {{ attribute }},
    {%- endfor %}
    {{ rampart.timestamp_from_micros('0') }} as valid_from,
    null as valid_to,
    true as is_current,
    true as is_deleted
{%- if is_incremental() %}
where not exists (
    select 1
    from {{ this }} as members
    where members.{{ natural_key }} = '(unknown)'
)
{%- endif %}
{% endmacro %}
