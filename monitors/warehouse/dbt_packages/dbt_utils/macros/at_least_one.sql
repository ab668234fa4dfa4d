{#- One failure when the column holds nothing but nulls (or the table no rows); with
    group_by_columns one for every group that holds nothing but nulls. -#}
{% test at_least_one(model, column_name, group_by_columns=[]) %}

{%- do dbt_utils._refuse_unless_list("at_least_one", "group_by_columns", group_by_columns, may_be_empty=true) -%}

with

{% if not group_by_columns -%}
{# the first value found settles it: no need to read on -#}
candidates as (

    select {{ column_name }}
    from {{ model }}
    where {{ column_name }} is not null
    limit 1

),

without_value as (

    select count({{ column_name }}) as values_found
    from candidates
    having count({{ column_name }}) = 0

)
{%- else -%}
without_value as (

    select
        {{ group_by_columns | join(", ") }},
        count({{ column_name }}) as values_found
    from {{ model }}
    group by {{ group_by_columns | join(", ") }}
    having count({{ column_name }}) = 0

)
{%- endif %}

select * from without_value

{% endtest %}
