{% macro hours_between(earlier, later) %}
    {{- return(adapter.dispatch('hours_between', 'rampart')(earlier, later)) -}}
{% endmacro %}

{% macro default__hours_between(earlier, later) -%}
    date_diff('second', {{ earlier }}, {{ later }}) / 3600.0
{%- endmacro %}

{% macro postgres__hours_between(earlier, later) -%}
    cast(extract(epoch from ({{ later }}) - ({{ earlier }})) / 3600.0 as numeric)
{%- endmacro %}

{% macro duckdb__hours_between(earlier, later) -%}
    date_diff('microsecond', {{ earlier }}, {{ later }}) / 3600000000.0
{%- endmacro %}
