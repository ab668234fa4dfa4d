{% macro days_between(first_day, last_day) %}
    {{- return(adapter.dispatch('days_between', 'rampart')(first_day, last_day)) -}}
{% endmacro %}

{% macro default__days_between(first_day, last_day) -%}
    (select cast(unnest(generate_series(cast({{ first_day }} as timestamp), cast({{ last_day }} as timestamp), interval 1 day)) as date) as local_day)
{%- endmacro %}

{% macro postgres__days_between(first_day, last_day) -%}
    (
        select cast(days.moment as date) as local_day
        from generate_series(cast({{ first_day }} as timestamp), cast({{ last_day }} as timestamp), interval '1 day') as days (moment)
    )
{%- endmacro %}
