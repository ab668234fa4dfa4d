{% macro timestamp_from_micros(number) %}
    {{- return(adapter.dispatch('timestamp_from_micros', 'rampart')(number)) -}}
{% endmacro %}

{% macro default__timestamp_from_micros(number) -%}
    make_timestamp(cast({{ number }} as bigint))
{%- endmacro %}

{# the years 1970 to 9999 #}
{% macro postgres__timestamp_from_micros(number) -%}
    case
        when {{ number }} between 0 and 253402300799999999
            then timestamp with time zone 'epoch' + {{ number }} * interval '1 microsecond'
    end
{%- endmacro %}

{% macro duckdb__timestamp_from_micros(number) -%}
    case
        when {{ number }} between 0 and 253402300799999999
            then make_timestamp(cast({{ number }} as bigint)) at time zone 'UTC'
    end
{%- endmacro %}
