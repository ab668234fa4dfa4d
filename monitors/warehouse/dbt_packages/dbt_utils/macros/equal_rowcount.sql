{#- As many failures as the two row counts differ by, summed over the groups. As in the real one,
    a group (or a whole table) that is there on one side only is not counted: put a test on the
    row count beside it where that can happen. -#}
{% test equal_rowcount(model, compare_model, group_by_columns=[]) %}

{{- config(fail_calc="sum(coalesce(diff_count, 0))") -}}
{%- do dbt_utils._refuse_unless_list("equal_rowcount", "group_by_columns", group_by_columns, may_be_empty=true) -%}
{%- set keys = ["one_group"] + (group_by_columns or []) | list -%}

with

counted as (

    select
        {% for column in group_by_columns or [] -%}
        {{ column }},
        {% endfor -%}
        1 as one_group,
        count(*) as row_count
    from {{ model }}
    group by {{ keys | join(", ") }}

),

compared as (

    select
        {% for column in group_by_columns or [] -%}
        {{ column }},
        {% endfor -%}
        1 as one_group,
        count(*) as row_count
    from {{ compare_model }}
    group by {{ keys | join(", ") }}

),

differences as (

    select
        {% for key in keys -%}
        counted.{{ key }} as {{ key }}_a,
        compared.{{ key }} as {{ key }}_b,
        {% endfor -%}
        counted.row_count as count_a,
        compared.row_count as count_b,
        abs(counted.row_count - compared.row_count) as diff_count
    from counted
    full join compared
        on {% for key in keys %}{{ "and " if not loop.first }}counted.{{ key }} = compared.{{ key }} {% endfor %}

)

select * from differences

{% endtest %}
