{% macro hour_of(year, month, day, hour) %}
    {{- return(adapter.dispatch('hour_of', 'rampart')(year, month, day, hour)) -}}
{% endmacro %}

{% macro default__hour_of(year, month, day, hour) -%}
    try_cast(
        concat({{ year }}, '-', lpad({{ month }}, 2, '0'), '-', lpad({{ day }}, 2, '0'), ' ', lpad({{ hour }}, 2, '0'), ':00:00')
        as timestamp
    )
{%- endmacro %}

{% macro postgres__hour_of(year, month, day, hour) -%}
    case
        when
            {{ year }} ~ '^[12]\d{3}$'
            and {{ month }} ~ '^(0?[1-9]|1[0-2])$'
            and {{ day }} ~ '^(0?[1-9]|[12]\d|3[01])$'
            and {{ hour }} ~ '^([01]?\d|2[0-3])$'
            then case
                when cast({{ day }} as integer) <= extract(
                    day from make_date(cast({{ year }} as integer), cast({{ month }} as integer), 1)
                    + interval '1 month' - interval '1 day'
                )
                    then make_timestamp(
                        cast({{ year }} as integer),
                        cast({{ month }} as integer),
                        cast({{ day }} as integer),
                        cast({{ hour }} as integer),
                        0,
                        0
                    )
            end
    end
{%- endmacro %}

{% macro duckdb__hour_of(year, month, day, hour) -%}
    case
        when
            regexp_matches({{ year }}, '^[12]\d{3}$')
            and regexp_matches({{ month }}, '^(0?[1-9]|1[0-2])$')
            and regexp_matches({{ day }}, '^(0?[1-9]|[12]\d|3[01])$')
            and regexp_matches({{ hour }}, '^([01]?\d|2[0-3])$')
            then try_cast(
                concat(
                    {{ year }}, '-', lpad({{ month }}, 2, '0'), '-', lpad({{ day }}, 2, '0'),
                    ' ', lpad({{ hour }}, 2, '0'), ':00:00'
                ) as timestamp
            )
    end
{%- endmacro %}
