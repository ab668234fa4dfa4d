{% macro utc_moment(clock) %}
    {{- return(adapter.dispatch('utc_moment', 'rampart')(clock)) -}}
{% endmacro %}

{% macro default__utc_moment(clock) -%}
    timezone('UTC', {{ clock }})
{%- endmacro %}

{% macro postgres__utc_moment(clock) -%}
    ({{ clock }} at time zone 'UTC')
{%- endmacro %}
