{#- One row for every combination of the columns that occurs more than once. As in the real one
    row_condition is taken as it stands: put an `or` into parentheses. -#}
{%- macro _repeated(macro_name, model, columns, ignore_row_if, row_condition) -%}

{%- set joints = {"all_values_are_missing": " and ", "any_value_is_missing": " or "} -%}
{%- if ignore_row_if not in joints -%}
    {%- do dbt_expectations._refuse(macro_name, "ignore_row_if", "one of " ~ (joints | join(", ")), ignore_row_if) -%}
{%- endif -%}
{%- set missing = [] -%}
{%- for column in columns -%}
    {%- do missing.append(column ~ " is null") -%}
{%- endfor -%}

with

repeated as (

    select
        {{ columns | join(", ") }},
        count(*) as n_records
    from {{ model }}
    where {{ row_condition ~ " and " if row_condition }}not ({{ missing | join(joints.get(ignore_row_if, " and ")) }})
    group by {{ columns | join(", ") }}
    having count(*) > 1

)

select * from repeated

{%- endmacro -%}
