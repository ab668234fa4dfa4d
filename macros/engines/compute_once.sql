{% macro compute_once() %}
    {{- return(adapter.dispatch('compute_once', 'rampart')()) -}}
{% endmacro %}

{% macro default__compute_once() -%}{%- endmacro %}

{# without it Postgres folds the step into the next one and evaluates each expression per use #}
{% macro postgres__compute_once() -%}
    offset 0
{%- endmacro %}
