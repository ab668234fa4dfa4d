{% macro try_timestamp(text) %}
    {{- return(adapter.dispatch('try_timestamp', 'rampart')(text)) -}}
{% endmacro %}

{% macro default__try_timestamp(text) -%}
    try_cast({{ text }} as {{ dbt.type_timestamp() }})
{%- endmacro %}

{# the pattern lets 31 February through, the calendar does not; a text without a zone is UTC #}
{% macro postgres__try_timestamp(text) -%}
    case
        when {{ text }} ~ '^[12]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])([ T]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)?)?$'
            then case
                when cast(substring({{ text }}, 9, 2) as integer) <= extract(
                    day from cast(substring({{ text }}, 1, 7) || '-01' as date)
                    + interval '1 month' - interval '1 day'
                )
                    then case
                        when {{ text }} ~ '\d:.*(Z|[+-]\d+(:?\d+)?)$'
                            then cast({{ text }} as timestamp with time zone)
                        else cast({{ text }} as timestamp) at time zone 'UTC'
                    end
            end
    end
{%- endmacro %}

{% macro duckdb__try_timestamp(text) -%}
    case
        when not regexp_matches(
            {{ text }},
            '^[12]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])([ T]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)?)?$'
        )
            then null
        when regexp_matches({{ text }}, '\d:.*(Z|[+-]\d+(:?\d+)?)$')
            then try_cast({{ text }} as timestamp with time zone)
        else try_cast({{ text }} as timestamp) at time zone 'UTC'
    end
{%- endmacro %}
