{#- One failure for every row whose value is not in the set; a null never is. As in the real one
    a value is taken as it stands: write a quote inside it twice. -#}
{% test expect_column_values_to_be_in_set(
    model, column_name, value_set, quote_values=true, row_condition=none
) %}

{%- set macro_name = "expect_column_values_to_be_in_set" -%}
{%- if value_set is string or value_set is mapping or value_set is not iterable or not value_set -%}
    {%- do dbt_expectations._refuse(macro_name, "value_set", "a list with at least one value in it", value_set) -%}
{%- endif -%}
{%- do dbt_expectations._refuse_unless_boolean(macro_name, "quote_values", quote_values) -%}

with

found as (

    select {{ column_name }} as value_field
    from {{ model }}
    {%- if row_condition %}
    where {{ row_condition }}
    {%- endif %}

),

allowed as (

    {% for value in value_set or [] -%}
    select
        {%- if quote_values %} cast('{{ value }}' as {{ dbt.type_string() }})
        {%- else %} {{ value }}
        {%- endif %} as value_field{{ " union all" if not loop.last }}
    {% endfor %}
),

strangers as (

    select found.value_field
    from found
    left join allowed
        on found.value_field = allowed.value_field
    where allowed.value_field is null

)

select * from strangers

{% endtest %}
