{% macro is_not_held(rows, item=none) %}
{%- if is_incremental() -%}
not exists (
    select 1
    from {{ this }} as held
    where
        held._delivery_id = {{ rows }}._delivery_id
        and held._source_row = {{ rows }}._source_row
        {%- if item %}
        and held.{{ item }} = {{ rows }}.{{ item }}
        {%- endif %}
)
{%- else -%}
true
{%- endif -%}
{% endmacro %}
