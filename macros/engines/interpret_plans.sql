{% macro interpret_plans() %}
    {{- return(adapter.dispatch('interpret_plans', 'rampart')()) -}}
{% endmacro %}

{% macro default__interpret_plans() -%}{%- endmacro %}

{# Postgres would compile every branch of a long plan, for seconds, and then skip most of them #}
{% macro postgres__interpret_plans() -%}
    set local jit = off;
{%- endmacro %}
