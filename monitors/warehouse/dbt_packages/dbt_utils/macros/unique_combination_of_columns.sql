{#- One failure for every combination that occurs more than once. -#}
{% test unique_combination_of_columns(model, combination_of_columns, quote_columns=false) %}

{%- do dbt_utils._refuse_unless_list("unique_combination_of_columns", "combination_of_columns", combination_of_columns) -%}
{%- do dbt_utils._refuse_unless_boolean("unique_combination_of_columns", "quote_columns", quote_columns) -%}
{%- set columns = [] -%}
{%- for column in combination_of_columns or [] -%}
    {%- do columns.append(adapter.quote(column) if quote_columns else column) -%}
{%- endfor -%}

with

repeated as (

    select {{ columns | join(", ") }}
    from {{ model }}
    group by {{ columns | join(", ") }}
    having count(*) > 1

)

select * from repeated

{% endtest %}
