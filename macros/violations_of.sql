{% macro violations_of(feed, rows, rules, item="cast('' as " ~ dbt.type_string() ~ ")") %}
{%- for rule in rules %}
{%- set column = 'rejected_by' if rule.effect == 'reject' else 'flagged_by' %}
select
    cast('{{ feed }}' as {{ dbt.type_string() }}) as feed,
    {{ rows }}._delivery_id as delivery_id,
    {{ rows }}._source_row as source_row,
    {{ item }} as item,
    cast('{{ rule.rule }}' as {{ dbt.type_string() }}) as rule,
    cast('{{ rule.effect }}' as {{ dbt.type_string() }}) as effect,
    cast('{{ rule.grain }}' as {{ dbt.type_string() }}) as grain,
    cast('{{ rule.why | replace("'", "''") }}' as {{ dbt.type_string() }}) as why
from {{ rows }}
where
    {{ rows }}.{{ column }} is not null
    and concat(',', {{ rows }}.{{ column }}, ',') like '%,{{ rule.rule }},%'
{%- if not loop.last %}

union all

{% endif %}
{%- endfor %}
{% endmacro %}
