{#- The condition that a measure lies between two bounds, either of which may be left out. -#}
{%- macro _within(macro_name, measure, min_value, max_value, strictly) -%}

    {%- do dbt_expectations._refuse_unless_boolean(macro_name, "strictly", strictly) -%}
    {%- if min_value is none and max_value is none -%}
        {%- do dbt_expectations._refuse(macro_name, "min_value, max_value", "given, at least one of the two", none) -%}
    {%- endif -%}
    {%- set or_equal = "" if strictly else "=" -%}
    {%- set conditions = [] -%}
    {%- if min_value is not none -%}
        {%- do conditions.append(measure ~ " >" ~ or_equal ~ " " ~ min_value) -%}
    {%- endif -%}
    {%- if max_value is not none -%}
        {%- do conditions.append(measure ~ " <" ~ or_equal ~ " " ~ max_value) -%}
    {%- endif -%}
    {{ conditions | join(" and ") or "1 = 1" }}

{%- endmacro -%}
