{#- One failure for every text that the expression does not match; on Postgres for every null too. -#}
{% test expect_column_values_to_match_regex(
    model, column_name, regex, row_condition=none, is_raw=false, flags=""
) %}

{%- set condition = dbt_expectations._matches(
    "expect_column_values_to_match_regex", column_name, regex, is_raw, flags
) -%}

{{ dbt_expectations._rows_where_not(model, condition, row_condition) }}

{% endtest %}
