{% macro judge(rows, rules) %}
{%- set effects = {'reject': 'rejected_by', 'flag': 'flagged_by'} %}
{%- for rule in rules %}
    {%- if rule.effect not in effects %}
        {{ exceptions.raise_compiler_error(
            "rule " ~ rule.rule ~ ": `effect` must be one of " ~ effects.keys() | list
            ~ ", got '" ~ rule.effect ~ "'"
        ) }}
    {%- endif %}
{%- endfor %}
select
    {{ rows }}.*,
    {%- for effect, column in effects.items() %}
    nullif(trim(trailing ',' from concat(
        ''
        {%- for rule in rules if rule.effect == effect %},
        case when {{ rule.holds | trim }} then '' else '{{ rule.rule }},' end
        {%- endfor %}
    )), '') as {{ column }}{{ ',' if not loop.last }}
    {%- endfor %}
from {{ rows }}
{% endmacro %}
