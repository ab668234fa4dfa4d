{% macro decided_rows(feed, item=none) %}
{#- a decision about a cell names its column, one about a row does not -#}
with

decisions as (
    select * from {{ source('rampart_decisions', 'decisions') }}
    where source = '{{ feed }}' and item {{ '<>' if item else '=' }} ''
),
{%- if is_incremental() %}

new_replays as (
    {{ rampart.new_replays(source('rampart_decisions', 'decisions'), 'batch_id', "source = '" ~ feed ~ "' and decision = 'replayed'") }}
),
{%- endif %}

decided_rows as (
    select
        decisions.delivery_id,
        decisions.source_row,
        decisions.item,
        max(case when decisions.decision = 'replayed' then decisions.batch_id end) as replay_id,
        -- the newer decision wins
        max(decisions.decision_id)
        = max(case when decisions.decision = 'discarded' then decisions.decision_id else 0 end)
            as is_discarded
    from decisions
    {%- if is_incremental() %}
    where
        (decisions.delivery_id, decisions.source_row) in (
            select
                replayed.delivery_id,
                replayed.source_row
            from {{ source('rampart_decisions', 'decisions') }} as replayed
            inner join new_replays
                on replayed.batch_id = new_replays.replay_id
        )
    {%- endif %}
    group by decisions.delivery_id, decisions.source_row, decisions.item
)

select * from decided_rows
{% endmacro %}
