{#- One failure when the newest value is older than `interval` dateparts or there is none; with
    group_by_columns one for every such group. -#}
{% test recency(model, field, datepart, interval, ignore_time_component=false, group_by_columns=[]) %}

{%- do dbt_utils._refuse_unless_list("recency", "group_by_columns", group_by_columns, may_be_empty=true) -%}
{%- do dbt_utils._refuse_unless_boolean("recency", "ignore_time_component", ignore_time_component) -%}
{%- if interval is not number -%}
    {%- do dbt_utils._refuse("recency", "interval", "a number of dateparts", interval) -%}
{%- endif -%}
{%- set back = interval * -1 if interval is number else 0 -%}
{%- set moment_type = "date" if ignore_time_component else dbt.type_timestamp() -%}
{%- set threshold = "cast(" ~ dbt.dateadd(datepart, back, dbt.current_timestamp()) ~ " as " ~ moment_type ~ ")" -%}
{%- set newest = "max(" ~ field ~ ")" -%}

with

newest_of_each as (

    select
        {% for column in group_by_columns or [] -%}
        {{ column }},
        {% endfor -%}
        {{ "cast(" ~ newest ~ " as date)" if ignore_time_component else newest }} as most_recent
    from {{ model }}
    {% if group_by_columns -%}
    group by {{ group_by_columns | join(", ") }}
    {%- endif %}

),

too_old as (

    select
        *,
        {{ threshold }} as threshold
    from newest_of_each
    where most_recent < {{ threshold }}
        {#- `dbt build --empty` gives every model no rows: no reason to fail #}
        {%- if not (flags.EMPTY is defined and flags.EMPTY) %}
        or most_recent is null
        {%- endif %}

)

select * from too_old

{% endtest %}
