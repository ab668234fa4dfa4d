{#- The query most expectations are made of: one row for every row (or group) where the condition
    is false. A condition that is null counts as met. -#}
{%- macro _rows_where_not(model, condition, row_condition=none, group_by_columns=none) -%}

with

evaluated as (

    select
        {% for column in group_by_columns or [] -%}
        {{ column }} as col_{{ loop.index }},
        {% endfor -%}
        ({{ condition }}) as is_met
    from {{ model }}
    {%- if row_condition %}
    where {{ row_condition }}
    {%- endif %}
    {%- if group_by_columns %}
    group by {{ group_by_columns | join(", ") }}
    {%- endif %}

),

unmet as (

    select *
    from evaluated
    where not is_met

)

select * from unmet

{%- endmacro -%}
