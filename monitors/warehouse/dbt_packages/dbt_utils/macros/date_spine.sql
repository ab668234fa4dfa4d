{#- A query with one row for every datepart from start_date up to, not including, end_date; its
    column is date_<datepart>. -#}
{%- macro date_spine(datepart, start_date, end_date) -%}

    {%- set steps = 1 -%}
    {%- if execute -%}
        {%- set difference = run_query("select " ~ dbt.datediff(start_date, end_date, datepart) ~ " as steps") -%}
        {%- set steps = difference.columns[0].values()[0] | int -%}
    {%- endif -%}
    {%- if steps < 1 -%}
        {%- do dbt_utils._refuse(
            "date_spine", "end_date", "at least one " ~ datepart ~ " after start_date (" ~ start_date ~ ")", end_date
        ) -%}
    {%- endif -%}
    {%- set digit_count = (steps - 1) | string | length -%}

with

digits as (

    {% for digit in range(10) -%}
    select {{ digit }} as digit{{ " union all" if not loop.last }}
    {% endfor %}
),

numbers as (

    select
        {% for place in range(digit_count) -%}
        {{ "+ " if not loop.first }}digits_{{ place }}.digit * {{ 10 ** place }}
        {% endfor -%}
        as step
    from digits as digits_0
    {%- for place in range(1, digit_count) %}
    cross join digits as digits_{{ place }}
    {%- endfor %}

),

periods as (

    select {{ dbt.dateadd(datepart, "step", start_date) }} as date_{{ datepart }}
    from numbers
    where step < {{ steps }}

),

filtered as (

    select *
    from periods
    where date_{{ datepart }} <= {{ end_date }}

)

select * from filtered

{%- endmacro -%}
