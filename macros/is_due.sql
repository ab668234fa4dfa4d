{% macro is_due(rows, item=none, deliveries='arrived_deliveries', decided='decided_rows') %}
{%- if is_incremental() -%}
(
    {{ rows }}._delivery_id in (
        select {{ deliveries }}.delivery_id
        from {{ deliveries }}
        where {{ deliveries }}.is_new
    )
    or (
        ({{ rows }}._delivery_id, {{ rows }}._source_row{{ ', ' ~ rows ~ '.' ~ item if item }}) in (
            select
                {{ decided }}.delivery_id,
                {{ decided }}.source_row{{ ',\n                ' ~ decided ~ '.item' if item }}
            from {{ decided }}
        )
        and {{ rampart.is_not_held(rows, item) }}
    )
)
{%- else -%}
true
{%- endif %}
{%- endmacro %}
