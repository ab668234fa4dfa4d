{% macro is_closed_on(day, closed_weekdays, holidays) %}
    {{- return(adapter.dispatch('is_closed_on', 'rampart')(day, closed_weekdays, holidays)) -}}
{% endmacro %}

{% macro default__is_closed_on(day, closed_weekdays, holidays) -%}
    (list_contains({{ closed_weekdays }}, isodow({{ day }})) or list_contains({{ holidays }}, {{ day }}))
{%- endmacro %}

{% macro postgres__is_closed_on(day, closed_weekdays, holidays) -%}
    (cast(extract(isodow from {{ day }}) as integer) = any({{ closed_weekdays }}) or {{ day }} = any({{ holidays }}))
{%- endmacro %}
