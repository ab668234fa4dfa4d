{% macro is_one_of(value, rows, column) %}
    {{- return(adapter.dispatch('is_one_of', 'rampart')(value, rows, column)) -}}
{% endmacro %}

{% macro default__is_one_of(value, rows, column) -%}
    {{ value }} in (select {{ column }} from {{ rows }})
{%- endmacro %}

{# an array is looked up in the index, element by element; of a query Postgres expects too much #}
{% macro postgres__is_one_of(value, rows, column) -%}
    {{ value }} = any(array(select distinct {{ column }} from {{ rows }}))
{%- endmacro %}
