{% macro among(column, rows) %}
    {{- return(adapter.dispatch('among', 'rampart')(column, rows)) -}}
{% endmacro %}

{% macro default__among(column, rows) -%}
    {{ column }} in ({{ rows }})
{%- endmacro %}

{# an array is read first, and then an index finds its rows #}
{% macro postgres__among(column, rows) -%}
    {{ column }} = any(array({{ rows }}))
{%- endmacro %}
