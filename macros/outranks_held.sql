{% macro outranks_held(rows, key, by, held_by=none, last=false) %}
{%- if is_incremental() -%}
not exists (
    select 1
    from {{ this }} as held
    where
        held.{{ key }} = {{ rows }}.{{ key }}
        and (held.{{ (held_by or by) | join(', held.') }})
        {{ '>' if last else '<' }} ({{ rows }}.{{ by | join(', ' ~ rows ~ '.') }})
)
{%- else -%}
true
{%- endif -%}
{% endmacro %}
