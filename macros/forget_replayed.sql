{% macro forget_replayed(feed, item=none) %}
{%- if is_incremental() %}
delete from {{ this }} as held
where
    held.rejected_by is not null
    and exists (
        select 1
        from ({{ rampart.decided_rows(feed, item) }}) as decided_rows
        where
            decided_rows.delivery_id = held._delivery_id
            and decided_rows.source_row = held._source_row
            {%- if item %}
            and decided_rows.item = held.{{ item }}
            {%- endif %}
            and decided_rows.replay_id > coalesce(held._replay_id, 0)
    )
{%- endif %}
{% endmacro %}
