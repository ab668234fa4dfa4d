{#- `group by 1, 2, ..., n` -#}
{%- macro group_by(n) -%}

    {%- if n is not integer or n < 1 -%}
        {%- do dbt_utils._refuse("group_by", "n", "a whole number from 1 on", n) -%}
    {%- endif -%}
    group by {{ range(1, n + 1) | join(", ") if n is integer else 1 }}

{%- endmacro -%}
