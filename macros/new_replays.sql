{% macro new_replays(rows, replay_id='_replay_id', where=none) %}
select distinct replayed.{{ replay_id }} as replay_id
from {{ rows }} as replayed
where
    replayed.{{ replay_id }} is not null
    {%- if where %}
    and {{ where }}
    {%- endif %}
    {%- if is_incremental() %}
    and not exists (
        select 1
        from {{ this }} as held
        where held._replay_id = replayed.{{ replay_id }}
    )
    {%- endif %}
{% endmacro %}
