{% macro new_replays(rows, replay_id='_replay_id', where=none) %}
select replays.replay_id
from (
    select distinct replayed.{{ replay_id }} as replay_id
    from {{ rows }} as replayed
    where
        replayed.{{ replay_id }} is not null
        {%- if where %}
        and {{ where }}
        {%- endif %}
) as replays
{%- if is_incremental() %}
where not exists (
    select 1
    from {{ this }} as held
    where held._replay_id = replays.replay_id
)
{%- endif %}
{% endmacro %}
