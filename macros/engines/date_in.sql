{% macro date_in(moment, timezone) %}
    {{- return(adapter.dispatch('date_in', 'rampart')(moment, timezone)) -}}
{% endmacro %}

{% macro default__date_in(moment, timezone) -%}
    cast(timezone({{ timezone }}, {{ moment }}) as date)
{%- endmacro %}

{% macro postgres__date_in(moment, timezone) -%}
    cast({{ moment }} at time zone {{ timezone }} as date)
{%- endmacro %}
