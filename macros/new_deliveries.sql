{% macro new_deliveries(feed) %}
select
    deliveries.delivery_id,
    deliveries.sequence,
    deliveries.extracted_at,
    deliveries.kind
from {{ source('rampart_store', 'deliveries') }} as deliveries
where
    deliveries.feed = '{{ feed }}'
    and deliveries.admission <> 'refused'
{%- if is_incremental() %}
    and not exists (
        select 1
        from {{ this }} as taken
        where taken._delivery_id = deliveries.delivery_id
    )
{%- endif %}
{% endmacro %}
