{% macro untested_deliveries() %}
{%- set green_at %}(
        select coalesce(max(builds.started_at), cast('1970-01-01' as {{ dbt.type_timestamp() }}))
        from {{ source('rampart_store', 'pipeline_logs') }} as builds
        where builds.stage = 'build' and builds.source = 'dbt build' and builds.status = 'succeeded'
    ){% endset %}
select deliveries.delivery_id
from {{ source('rampart_store', 'deliveries') }} as deliveries
where
    deliveries.loaded_at >= {{ green_at }}
    or deliveries.let_through_at >= {{ green_at }}

union

select decisions.delivery_id
from {{ source('rampart_decisions', 'decisions') }} as decisions
where decisions.decided_at >= {{ green_at }}
{% endmacro %}
