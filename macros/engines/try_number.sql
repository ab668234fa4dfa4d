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
