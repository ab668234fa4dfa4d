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

union all

{% endfor %}
{#- what is left when the rules of today are taken away: a person's, or those of another day -#}
{%- set left = namespace(sql="concat(',', " ~ rows ~ ".rejected_by, ',')") %}
{%- for rule in rules if rule.effect == 'reject' %}
{%- set left.sql = "replace(" ~ left.sql ~ ", '," ~ rule.rule ~ ",', ',')" %}
{%- endfor %}
select
    cast('{{ feed }}' as {{ dbt.type_string() }}) as feed,
    {{ rows }}._delivery_id as delivery_id,
    {{ rows }}._source_row as source_row,
    {{ item }} as item,
    trim(both ',' from {{ left.sql }}) as rule,
    cast('reject' as {{ dbt.type_string() }}) as effect,
    cast('{{ (rules | first).grain if rules else 'row' }}' as {{ dbt.type_string() }}) as grain,
    case
        when {{ rows }}.rejected_by = 'discarded' then 'A person decided to keep it out.'
        else 'The rule it was judged by is no longer declared.'
    end as why
from {{ rows }}
where
    {{ rows }}.rejected_by is not null
    and {{ left.sql }} <> ','
{% endmacro %}
