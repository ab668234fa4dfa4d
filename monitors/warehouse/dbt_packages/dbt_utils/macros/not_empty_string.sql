{#- One failure for every empty string; blanks alone count as empty unless trim_whitespace is
    false. A null passes. -#}
{% test not_empty_string(model, column_name, trim_whitespace=true) %}

{%- do dbt_utils._refuse_unless_boolean("not_empty_string", "trim_whitespace", trim_whitespace) -%}
{%- set text = "trim(" ~ column_name ~ ")" if trim_whitespace else column_name -%}

with

empty_strings as (

    select {{ text }} as {{ column_name }}
    from {{ model }}
    where {{ text }} = ''

)

select * from empty_strings

{% endtest %}
