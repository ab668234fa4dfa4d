{% macro interval_hours(span) %}
    {{- return(adapter.dispatch('interval_hours', 'rampart')(span)) -}}
{% endmacro %}

{% macro default__interval_hours(span) -%}
    epoch({{ span }}) / 3600.0
{%- endmacro %}

{% macro postgres__interval_hours(span) -%}
    cast(extract(epoch from {{ span }}) / 3600.0 as numeric)
{%- endmacro %}
