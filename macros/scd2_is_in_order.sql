{% macro scd2_is_in_order() %}
{#- a replay says something new of a moment that was taken in before -#}
coalesce((
    select
        min(case when taken.is_new then deliveries.extracted_at end)
        > max(case when not taken.is_new then deliveries.extracted_at end)
        and max(case when taken.is_new then taken.replay_id end) is null
    from {{ source('rampart_store', 'scd2_extracts') }} as taken
    inner join {{ source('rampart_store', 'deliveries') }} as deliveries
        on taken.delivery_id = deliveries.delivery_id
    where taken.relation = '{{ this }}'
), true)
{%- endmacro %}
