{#- One failure for every row (that meets from_condition) whose value is in no row of the other
    table (that meets to_condition); a null passes. As in the real one the conditions are taken
    as they stand: put an `or` into parentheses. -#}
{% test relationships_where(model, column_name, to, field, from_condition="1=1", to_condition="1=1") %}

with

children as (

    select {{ column_name }} as id
    from {{ model }}
    where {{ column_name }} is not null
        and {{ from_condition }}

),

parents as (

    select {{ field }} as id
    from {{ to }}
    where {{ field }} is not null
        and {{ to_condition }}

),

orphans as (

    select
        children.id,
        parents.id as right_id
    from children
    left join parents
        on children.id = parents.id
    where parents.id is null

)

select * from orphans

{% endtest %}
