{#- One failure for every listed column that the table does not have. -#}
{% test expect_table_columns_to_contain_set(model, column_list, transform="upper") %}

{%- set macro_name = "expect_table_columns_to_contain_set" -%}
{%- do dbt_expectations._refuse_unless_list(macro_name, "column_list", column_list) -%}
{%- if execute -%}
{%- set present = dbt_expectations._column_names(macro_name, model, transform) -%}

with

listed as (

    {% for column in column_list | map(transform) -%}
    select
        cast('{{ column }}' as {{ dbt.type_string() }}) as input_column,
        {{ "true" if column in present else "false" }} as is_present{{ " union all" if not loop.last }}
    {% endfor %}
),

absent as (

    select *
    from listed
    where not is_present

)

select * from absent
{%- endif -%}

{% endtest %}
