{#- One failure for every row where the expression is false; where it is null, the row passes.
    On a column the expression is what follows the column's name, as in `> 0`. -#}
{% test expression_is_true(model, expression, column_name=none) %}

{%- if expression is not string or not (expression | trim) -%}
    {%- do dbt_utils._refuse("expression_is_true", "expression", "an SQL condition", expression) -%}
{%- endif -%}
{%- set condition = expression if column_name is none else column_name ~ " " ~ expression -%}

with

untrue as (

    select {{ "*" if should_store_failures() else "1 as untrue_row" }}
    from {{ model }}
    where not ({{ condition }})

)

select * from untrue

{% endtest %}
