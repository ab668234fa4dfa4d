{% macro utc_text(moment) %}
    {{- return(adapter.dispatch('utc_text', 'rampart')(moment)) -}}
{% endmacro %}

{% macro default__utc_text(moment) -%}
    cast({{ moment }} as {{ dbt.type_string() }})
{%- endmacro %}

{% macro postgres__utc_text(moment) -%}
    to_char({{ moment }} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')
{%- endmacro %}

{% macro duckdb__utc_text(moment) -%}
    strftime({{ moment }} at time zone 'UTC', '%Y-%m-%dT%H:%M:%S.%f')
{%- endmacro %}
