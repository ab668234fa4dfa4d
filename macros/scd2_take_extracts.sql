{% macro scd2_take_extracts(feed, rows) %}
{%- set register = source('rampart_store', 'scd2_extracts') %}
{%- set deliveries = source('rampart_store', 'deliveries') %}
{%- if is_incremental() %}
update {{ register }} set is_new = false
where relation = '{{ this }}' and is_new;
{%- else %}
delete from {{ register }}
where relation = '{{ this }}';
{%- endif %}
insert into {{ register }} (relation, delivery_id, is_new)
select
    '{{ this }}',
    deliveries.delivery_id,
    true
from {{ deliveries }} as deliveries
where
    deliveries.feed = '{{ feed }}'
    and deliveries.admission <> 'refused'
    and not exists (
        select 1
        from {{ register }} as taken
        where taken.relation = '{{ this }}' and taken.delivery_id = deliveries.delivery_id
    )
    -- an extract that was admitted a moment ago has rows only once they are judged
    and (
        deliveries.rows = 0
        or exists (
            select 1
            from {{ rows }} as judged
            where judged._delivery_id = deliveries.delivery_id
        )
    )
{% endmacro %}
