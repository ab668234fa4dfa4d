{% macro new_deliveries(feed, decided=none) %}
{%- set is_new %}
not exists (
        select 1
        from {{ this }} as taken
        where taken._delivery_id = deliveries.delivery_id
    )
{%- endset %}
select
    deliveries.delivery_id,
    deliveries.sequence,
    deliveries.extracted_at,
    deliveries.kind
    {%- if decided %},
    {{ is_new | trim if is_incremental() else 'true' }} as is_new
    {%- endif %}
from {{ source('rampart_store', 'deliveries') }} as deliveries
where
    deliveries.feed = '{{ feed }}'
    and deliveries.admission <> 'refused'
    -- of one without rows no model ever holds any: it would stay new, and begin every scan, for ever
    and deliveries.rows is distinct from 0
{%- if is_incremental() %}
    and {{ '(' if decided }}{{ is_new | trim }}
    {%- if decided %}
    or deliveries.delivery_id in (select {{ decided }}.delivery_id from {{ decided }}))
    {%- endif %}
{%- endif %}
{% endmacro %}
