{#- One failure for every combination that occurs more than once; ignore_row_if says which rows
    with nulls are left out. -#}
{% test expect_compound_columns_to_be_unique(
    model, column_list, quote_columns=false, ignore_row_if="all_values_are_missing", row_condition=none
) %}

{%- set macro_name = "expect_compound_columns_to_be_unique" -%}
{%- do dbt_expectations._refuse_unless_list(macro_name, "column_list", column_list) -%}
{%- do dbt_expectations._refuse_unless_boolean(macro_name, "quote_columns", quote_columns) -%}
{%- set columns = [] -%}
{%- for column in column_list or [] -%}
    {%- do columns.append(adapter.quote(column) if quote_columns else column) -%}
{%- endfor -%}

{{ dbt_expectations._repeated(macro_name, model, columns, ignore_row_if, row_condition) }}

{% endtest %}
