{% macro rows_to_take(feed, rows, accepted='rejected_by is null') %}
select
    candidates.*,
    arrived_deliveries.sequence as delivery_sequence
from {{ rows }} as candidates
inner join ({{ rampart.new_deliveries(feed) }}) as arrived_deliveries
    on candidates._delivery_id = arrived_deliveries.delivery_id
where candidates.{{ accepted }}
{%- if is_incremental() %}

union all

-- of deliveries that were taken before, the rows of replays that were not
select
    candidates.*,
    deliveries.sequence as delivery_sequence
from {{ rows }} as candidates
inner join ({{ rampart.new_replays(rows) }}) as replays
    on candidates._replay_id = replays.replay_id
inner join {{ source('rampart_store', 'deliveries') }} as deliveries
    on candidates._delivery_id = deliveries.delivery_id
where
    candidates.{{ accepted }}
    and deliveries.admission <> 'refused'
    and exists (
        select 1
        from {{ this }} as held
        where held._delivery_id = candidates._delivery_id
    )
{%- endif %}
{% endmacro %}
