{#- One failure when the number of rows is out of bounds; with group_by one for every such group. -#}
{% test expect_table_row_count_to_be_between(
    model, min_value=none, max_value=none, group_by=none, row_condition=none, strictly=false
) %}

{%- set macro_name = "expect_table_row_count_to_be_between" -%}
{%- if group_by is not none -%}
    {%- do dbt_expectations._refuse_unless_list(macro_name, "group_by", group_by, may_be_empty=true) -%}
{%- endif -%}
{%- set condition = dbt_expectations._within(macro_name, "count(*)", min_value, max_value, strictly) -%}

{{ dbt_expectations._rows_where_not(model, condition, row_condition, group_by) }}

{% endtest %}
