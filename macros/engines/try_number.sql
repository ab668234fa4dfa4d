{% macro try_number(text) %}
    {{- return(adapter.dispatch('try_number', 'rampart')(text)) -}}
{% endmacro %}

{% macro default__try_number(text) -%}
    try_cast({{ text }} as {{ dbt.type_numeric() }})
{%- endmacro %}

{% macro postgres__try_number(text) -%}
    case
        when {{ text }} ~ '^\s*[+-]?(\d{1,30}(\.\d{0,30})?|\.\d{1,30})([eE][+-]?\d{1,2})?\s*$'
            then cast({{ text }} as numeric)
    end
{%- endmacro %}

{# its decimals have a fixed width: 28 digits before the point, 10 after it #}
{% macro duckdb__try_number(text) -%}
    case
        when regexp_matches({{ text }}, '^\s*[+-]?(\d{1,30}(\.\d{0,30})?|\.\d{1,30})([eE][+-]?\d{1,2})?\s*$')
            then try_cast(trim({{ text }}) as decimal(38, 10))
    end
{%- endmacro %}
