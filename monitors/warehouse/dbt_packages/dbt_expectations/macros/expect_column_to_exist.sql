{#- One failure when the table has no such column, or has it at another place than column_index
    (counted from 1). -#}
{% test expect_column_to_exist(model, column_name, column_index=none, transform="upper") %}

{%- set macro_name = "expect_column_to_exist" -%}
{%- if column_index is not none and (column_index is not integer or column_index < 1) -%}
    {%- do dbt_expectations._refuse(macro_name, "column_index", "a whole number from 1 on", column_index) -%}
{%- endif -%}
{%- if execute -%}
{%- set present = dbt_expectations._column_names(macro_name, model, transform) -%}
{%- set wanted = [column_name] | map(transform) | first -%}
{%- set place = present.index(wanted) + 1 if wanted in present else 0 -%}

with

looked_up as (

    select
        cast('{{ wanted }}' as {{ dbt.type_string() }}) as column_name,
        {{ place }} as place,
        {{ column_index or place }} as expected_place

),

faulty as (

    select *
    from looked_up
    where place = 0 or place <> expected_place

)

select * from faulty
{%- endif -%}

{% endtest %}
