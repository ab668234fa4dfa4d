{% macro untested_deliveries() %}
{#- a minute earlier: what was stamped a moment before the build began may have been committed after -#}
{%- set cut %}(
        select coalesce(max(builds.started_at), cast('1970-01-02' as {{ dbt.type_timestamp() }})) - interval '1' minute
        from {{ source('rampart_store', 'pipeline_logs') }} as builds
        where
            builds.stage = 'build'
            and builds.source = 'dbt build into {{ target.name }}.{{ target.schema }}'
            and builds.status = 'succeeded'
    ){% endset %}
select deliveries.delivery_id
from {{ source('rampart_store', 'deliveries') }} as deliveries
where
    deliveries.let_through_at >= {{ cut }}
    -- a load that began before the build may have ended after it: its end counts
    or deliveries.run_id not in (
        select loads.run_id
        from {{ source('rampart_store', 'pipeline_logs') }} as loads
        where loads.stage = 'load'
        group by loads.run_id
        having count(*) = count(case when loads.finished_at < {{ cut }} then 1 end)
    )

union

select decisions.delivery_id
from {{ source('rampart_decisions', 'decisions') }} as decisions
where decisions.decided_at >= {{ cut }}
{% endmacro %}
