{% macro scd2_take_extracts(feed, rows) %}
{%- set register = source('rampart_store', 'scd2_extracts') %}
{%- set deliveries = source('rampart_store', 'deliveries') %}
{%- set replays = execute and '_replay_id' in adapter.get_columns_in_relation(rows) | map(attribute='name') %}
{{ rampart.interpret_plans() }}
{%- if is_incremental() %}
update {{ register }} set is_new = false
where relation = '{{ this }}' and is_new;
{%- if replays %}
-- an extract of which a row was replayed says something new
update {{ register }} set
    is_new = true,
    replay_id = (
        select max(judged._replay_id)
        from {{ rows }} as judged
        where judged._delivery_id = {{ register.identifier }}.delivery_id
    )
where
    relation = '{{ this }}'
    and exists (
        select 1
        from {{ rows }} as judged
        where
            judged._delivery_id = {{ register.identifier }}.delivery_id
            and judged._replay_id > coalesce({{ register.identifier }}.replay_id, 0)
    );
{%- endif %}
{%- else %}
-- what facts have seen of the dimension (facts_take_extracts) they see anew
delete from {{ register }}
where relation = '{{ this }}' or {{ dbt.position("'" ~ this ~ " in '", 'relation') }} = 1;
{%- endif %}
insert into {{ register }} (relation, delivery_id, is_new, replay_id)
select
    '{{ this }}',
    deliveries.delivery_id,
    true,
    {%- if replays %}
    (
        select max(judged._replay_id)
        from {{ rows }} as judged
        where judged._delivery_id = deliveries.delivery_id
    )
    {%- else %}
    null
    {%- endif %}
from (
    select *
    from {{ deliveries }} as admitted
    where
        admitted.feed = '{{ feed }}'
        and admitted.admission <> 'refused'
        and not exists (
            select 1
            from {{ register }} as taken
            where taken.relation = '{{ this }}' and taken.delivery_id = admitted.delivery_id
        )
    {{ rampart.compute_once() }}
) as deliveries
where
    -- an extract that was admitted a moment ago has rows only once they are judged
    deliveries.rows = 0
    -- the least of them, because the index of rows finds it at once; exists reads all before it
    or (
        select min(judged._source_row)
        from {{ rows }} as judged
        where judged._delivery_id = deliveries.delivery_id
    ) is not null
{% endmacro %}
