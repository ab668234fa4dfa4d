{% macro forget_replayed(feed, item=none) %}
{%- if is_incremental() %}
delete from {{ this }}
where
    rejected_by is not null
    and (_delivery_id, _source_row{{ ', ' ~ item if item }}) in (
        select
            decided_rows.delivery_id,
            decided_rows.source_row{{ ',\n            decided_rows.item' if item }}
        from ({{ rampart.decided_rows(feed, item) }}) as decided_rows
        where not exists (
            select 1
            from {{ this }} as held
            where
                held._delivery_id = decided_rows.delivery_id
                and held._source_row = decided_rows.source_row
                {%- if item %}
                and held.{{ item }} = decided_rows.item
                {%- endif %}
                and held._replay_id = decided_rows.replay_id
        )
    )
{%- endif %}
{% endmacro %}
