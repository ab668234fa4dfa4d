{% macro give_way(feed, rows, key) %}
{%- if is_incremental() %}
delete from {{ this }} as mart
where exists (
    select 1
    from (
        select
            replayed.{{ key }},
            replayed._delivery_id,
            replayed._source_row
        from {{ rows }} as replayed
        inner join ({{ rampart.new_replays(rows) }}) as replays
            on replayed._replay_id = replays.replay_id
        where replayed.rejected_by is null

        union all

        -- a delivery that was refused and let through comes after younger ones
        select
            arrived.{{ key }},
            arrived._delivery_id,
            arrived._source_row
        from {{ rows }} as arrived
        inner join ({{ rampart.new_deliveries(feed) }}) as let_through
            on arrived._delivery_id = let_through.delivery_id
        where
            arrived.rejected_by is null
            and let_through.delivery_id < (select max(held._delivery_id) from {{ this }} as held)
    ) as earlier
    where
        earlier.{{ key }} = mart.{{ key }}
        -- deliveries of one feed are numbered as they arrive
        and (earlier._delivery_id, earlier._source_row)
        < (mart._delivery_id, mart._source_row)
)
{%- endif %}
{% endmacro %}
