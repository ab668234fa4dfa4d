{#- One failure for every range that is empty, turned around, without an end, or that meets the
    next range in a way that `gaps` forbids:
        allowed      it ends at or before the start of the next one
        not_allowed  it ends exactly where the next one starts
        required     it ends before the next one starts -#}
{% test mutually_exclusive_ranges(
    model,
    lower_bound_column,
    upper_bound_column,
    partition_by=none,
    gaps="allowed",
    zero_length_range_allowed=false
) %}

{%- set operators = {"not_allowed": "=", "allowed": "<=", "required": "<"} -%}
{%- if gaps not in operators -%}
    {%- do dbt_utils._refuse("mutually_exclusive_ranges", "gaps", "one of " ~ (operators | join(", ")), gaps) -%}
{%- endif -%}
{%- do dbt_utils._refuse_unless_boolean(
    "mutually_exclusive_ranges", "zero_length_range_allowed", zero_length_range_allowed
) -%}
{%- set partition = "partition by " ~ partition_by if partition_by else "" -%}

with

neighbours as (

    select
        {% if partition_by -%}
        {{ partition_by }} as partition_by_col,
        {% endif -%}
        {{ lower_bound_column }} as lower_bound,
        {{ upper_bound_column }} as upper_bound,
        lead({{ lower_bound_column }}) over (
            {{ partition }}
            order by {{ lower_bound_column }}, {{ upper_bound_column }}
        ) as next_lower_bound,
        row_number() over (
            {{ partition }}
            order by {{ lower_bound_column }} desc, {{ upper_bound_column }} desc
        ) as place_from_the_end
    from {{ model }}

),

judged as (

    select
        *,
        coalesce(
            lower_bound {{ "<=" if zero_length_range_allowed else "<" }} upper_bound,
            false
        ) as is_range,
        coalesce(
            upper_bound {{ operators.get(gaps, "<=") }} next_lower_bound,
            place_from_the_end = 1
        ) as meets_the_next
    from neighbours

),

faulty as (

    select *
    from judged
    where not (is_range and meets_the_next)

)

select * from faulty

{% endtest %}
