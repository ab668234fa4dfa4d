{% macro give_way(rows, key) %}
{%- if is_incremental() %}
delete from {{ this }} as mart
where exists (
    select 1
    from {{ rows }} as replayed
    inner join ({{ rampart.new_replays(rows) }}) as replays
        on replayed._replay_id = replays.replay_id
    where
        replayed.{{ key }} = mart.{{ key }}
        and replayed.rejected_by is null
        -- deliveries of one feed are numbered as they arrive
        and (replayed._delivery_id, replayed._source_row)
        < (mart._delivery_id, mart._source_row)
)
{%- endif %}
{% endmacro %}
