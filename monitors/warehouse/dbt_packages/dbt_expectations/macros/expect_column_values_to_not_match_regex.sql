{#- One failure for every text that the expression matches; a null passes. -#}
{% test expect_column_values_to_not_match_regex(
    model, column_name, regex, row_condition=none, is_raw=false, flags=""
) %}

{%- set condition = dbt_expectations._matches(
    "expect_column_values_to_not_match_regex", column_name, regex, is_raw, flags
) -%}

{{ dbt_expectations._rows_where_not(model, "not (" ~ condition ~ ")", row_condition) }}

{% endtest %}
