{% macro versions_touched_from(dimension) %}
select min(deliveries.extracted_at) as touched_from
from {{ source('rampart_store', 'scd2_extracts') }} as seen
inner join {{ source('rampart_store', 'deliveries') }} as deliveries
    on seen.delivery_id = deliveries.delivery_id
where
    seen.relation = '{{ dimension }} in {{ this }}'
    and seen.is_new
{% endmacro %}
