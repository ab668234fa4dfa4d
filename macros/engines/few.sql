{% macro few(rows, column) %}
    {{- return(adapter.dispatch('few', 'rampart')(rows, column)) -}}
{% endmacro %}

{% macro default__few(rows, column) -%}
    select {{ rows }}.{{ column }} from {{ rows }}
{%- endmacro %}

{# Postgres cannot know how few rows a step gives; of an array it assumes that they are few #}
{% macro postgres__few(rows, column) -%}
    select few.{{ column }}
    from unnest(array(select {{ rows }}.{{ column }} from {{ rows }})) as few ({{ column }})
{%- endmacro %}
