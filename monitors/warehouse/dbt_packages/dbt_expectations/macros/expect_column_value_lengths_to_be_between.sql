{#- One failure for every text whose length is out of bounds; a null passes. -#}
{% test expect_column_value_lengths_to_be_between(
    model, column_name, min_value=none, max_value=none, row_condition=none, strictly=false
) %}

{%- set condition = dbt_expectations._within(
    "expect_column_value_lengths_to_be_between", dbt.length(column_name) | trim, min_value, max_value, strictly
) -%}

{{ dbt_expectations._rows_where_not(model, condition, row_condition) }}

{% endtest %}
