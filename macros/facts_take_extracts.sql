{% macro facts_take_extracts(dimension) %}
{%- set register = source('rampart_store', 'scd2_extracts') %}
{%- set seen_by_this = dimension ~ ' in ' ~ this %}
{%- if is_incremental() %}
update {{ register }} set is_new = false
where relation = '{{ seen_by_this }}' and is_new;
-- an extract of which the dimension took a replay says something new here, too
delete from {{ register }} as seen
where
    seen.relation = '{{ seen_by_this }}'
    and exists (
        select 1
        from {{ register }} as taken
        where
            taken.relation = '{{ dimension }}'
            and taken.delivery_id = seen.delivery_id
            and taken.replay_id is distinct from seen.replay_id
    );
{%- else %}
delete from {{ register }}
where relation = '{{ seen_by_this }}';
{%- endif %}
insert into {{ register }} (relation, delivery_id, is_new, replay_id)
select
    '{{ seen_by_this }}',
    taken.delivery_id,
    true,
    taken.replay_id
from {{ register }} as taken
where
    taken.relation = '{{ dimension }}'
    and not exists (
        select 1
        from {{ register }} as seen
        where seen.relation = '{{ seen_by_this }}' and seen.delivery_id = taken.delivery_id
    )
{% endmacro %}
