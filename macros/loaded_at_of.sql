{% macro loaded_at_of(feed, moment='loaded_at') %}
{#- never null: dbt cannot say "empty", and what never arrived is not stale -#}
select
    coalesce((
        select
            {{ rampart.hours_before('current_timestamp', rampart.open_hours_between(
                'newest.arrived_at',
                'current_timestamp',
                'feeds.closed_weekdays',
                'feeds.holidays',
                'feeds.timezone',
            )) }}
        from {{ source('rampart_store', 'feeds') }} as feeds
        cross join (
            select max(deliveries.{{ moment }}) as arrived_at
            from {{ source('rampart_store', 'deliveries') }} as deliveries
            where deliveries.feed = '{{ feed }}' and deliveries.admission <> 'refused'
        ) as newest
        where feeds.feed = '{{ feed }}'
    ), current_timestamp) as loaded_at
{% endmacro %}
