{% macro only_when(condition, rows, column) %}
    {{- return(adapter.dispatch('only_when', 'rampart')(condition, rows, column)) -}}
{% endmacro %}

{% macro default__only_when(condition, rows, column) -%}
    select {{ rows }}.{{ column }}
    from {{ rows }}
    where {{ condition }}
{%- endmacro %}

{# of a plan on both cores Postgres starts the second one before it looks at the condition #}
{% macro postgres__only_when(condition, rows, column) -%}
    select unnest(
        case when {{ condition }} then array(select {{ rows }}.{{ column }} from {{ rows }}) end
    ) as {{ column }}
{%- endmacro %}
