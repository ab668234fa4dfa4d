{#- One failure for every value that occurs more than once; nulls are left out. -#}
{% test expect_column_values_to_be_unique(model, column_name, row_condition=none) %}

{{ dbt_expectations._repeated(
    "expect_column_values_to_be_unique", model, [column_name], "all_values_are_missing", row_condition
) }}

{% endtest %}
