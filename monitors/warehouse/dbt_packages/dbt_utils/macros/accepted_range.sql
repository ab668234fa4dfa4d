{#- One failure for every row outside the range; a null is not judged. -#}
{% test accepted_range(model, column_name, min_value=none, max_value=none, inclusive=true) %}

{%- do dbt_utils._refuse_unless_boolean("accepted_range", "inclusive", inclusive) -%}
{%- if min_value is none and max_value is none -%}
    {%- do dbt_utils._refuse("accepted_range", "min_value, max_value", "given, at least one of the two", none) -%}
{%- endif -%}
{%- set or_equal = "=" if inclusive else "" -%}
{%- set faults = [] -%}
{%- if min_value is not none -%}
    {%- do faults.append("not (" ~ column_name ~ " >" ~ or_equal ~ " " ~ min_value ~ ")") -%}
{%- endif -%}
{%- if max_value is not none -%}
    {%- do faults.append("not (" ~ column_name ~ " <" ~ or_equal ~ " " ~ max_value ~ ")") -%}
{%- endif -%}

with

outside as (

    select *
    from {{ model }}
    where {{ faults | join(" or ") or "1 = 2" }}

)

select * from outside

{% endtest %}
