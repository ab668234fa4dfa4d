{% macro decided_rows(feed, item=none, rows=none) %}
{#- a decision about a cell names its column, one about a row names none -#}
{%- set decisions = source('rampart_decisions', 'decisions') %}
{%- set about = "source = '" ~ feed ~ "' and item " ~ ('<>' if item else '=') ~ " ''" %}
select
    decisions.delivery_id,
    decisions.source_row,
    decisions.item,
    max(case when decisions.decision = 'replayed' then decisions.batch_id end) as replay_id,
    -- the newest decision wins
    max(case when decisions.decision = 'discarded' then decisions.decision_id else 0 end)
    = max(decisions.decision_id) as is_discarded
from {{ decisions }} as decisions
where
    {{ about }}
    {%- if is_incremental() %}
    and ((decisions.delivery_id, decisions.source_row, decisions.item) in (
        select
            replayed.delivery_id,
            replayed.source_row,
            replayed.item
        from ({{ rampart.new_replays(decisions, 'batch_id', "decision = 'replayed' and " ~ about) }}) as replays
        inner join {{ decisions }} as replayed
            on replays.replay_id = replayed.batch_id
        where replayed.decision = 'replayed'
    )
    {%- if rows %}
    or (decisions.delivery_id, decisions.source_row) in (
        select
            {{ rows }}.delivery_id,
            {{ rows }}.source_row
        from {{ rows }}
    )
    {%- endif %})
    {%- endif %}
group by decisions.delivery_id, decisions.source_row, decisions.item
{% endmacro %}
