{% macro utc_date(moment) %}
    {{- return(adapter.dispatch('utc_date', 'rampart')(moment)) -}}
{% endmacro %}

{% macro default__utc_date(moment) -%}
    cast({{ moment }} as date)
{%- endmacro %}

{% macro postgres__utc_date(moment) -%}
    cast({{ moment }} at time zone 'UTC' as date)
{%- endmacro %}

{% macro duckdb__utc_date(moment) -%}
    cast({{ moment }} at time zone 'UTC' as date)
{%- endmacro %}
