{% macro hours_before(moment, hours) %}
    {{- return(adapter.dispatch('hours_before', 'rampart')(moment, hours)) -}}
{% endmacro %}

{% macro default__hours_before(moment, hours) -%}
    {{ moment }} - to_seconds({{ hours }} * 3600)
{%- endmacro %}

{% macro postgres__hours_before(moment, hours) -%}
    {{ moment }} - {{ hours }} * interval '1 hour'
{%- endmacro %}
