{% macro judged_anew(feed, rows, rules, stored, item=none) %}
with

judged as (
    {{ rampart.judge(rows, rules) }}
)

select
    cast('{{ feed }}' as {{ dbt.type_string() }}) as feed,
    judged._delivery_id as delivery_id,
    judged._source_row as source_row,
    {{ 'stored.' ~ item if item else "cast('' as " ~ dbt.type_string() ~ ")" }} as item,
    stored._replay_id as replay_id,
    stored.rejected_by as rules_then,
    judged.rejected_by as rules_now,
    judged.rejected_by is null as passes_now
from judged
inner join {{ stored }} as stored
    on
        judged._delivery_id = stored._delivery_id
        and judged._source_row = stored._source_row
        {%- if item %}
        and judged.{{ item }} = stored.{{ item }}
        {%- endif %}
        and stored.rejected_by is not null
{% endmacro %}
