{#- One failure for every row where A is not greater than B (with or_equal: is less); a row with a
    null in either passes. -#}
{% test expect_column_pair_values_A_to_be_greater_than_B(
    model, column_A, column_B, or_equal=false, row_condition=none
) %}

{%- do dbt_expectations._refuse_unless_boolean(
    "expect_column_pair_values_A_to_be_greater_than_B", "or_equal", or_equal
) -%}
{%- set condition = column_A ~ (" >= " if or_equal else " > ") ~ column_B -%}

{{ dbt_expectations._rows_where_not(model, condition, row_condition) }}

{% endtest %}
