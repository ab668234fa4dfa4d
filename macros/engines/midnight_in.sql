{% macro midnight_in(day, timezone) %}
    {{- return(adapter.dispatch('midnight_in', 'rampart')(day, timezone)) -}}
{% endmacro %}

{% macro default__midnight_in(day, timezone) -%}
    timezone({{ timezone }}, cast({{ day }} as timestamp))
{%- endmacro %}

{% macro postgres__midnight_in(day, timezone) -%}
    (cast({{ day }} as timestamp) at time zone {{ timezone }})
{%- endmacro %}
