{% macro conservation_of(feed, judged, mart=none, key=none, ledger=none, dimension=none, key_expression=none) %}
{#- taken: the mart holds the row; superseded: it holds another arrival of the same `key` -#}
{%- if (mart is none) == (dimension is none) or key is none or ledger is none %}
    {{ exceptions.raise_compiler_error(
        "conservation_of: `key`, `ledger` and one of `mart` and `dimension` must be given"
    ) }}
{%- endif %}
with

deliveries as (
    select * from {{ source('rampart_store', 'deliveries') }}
    where feed = '{{ feed }}' and admission <> 'refused'
),

accepted as (
    select
        judged._delivery_id,
        judged._source_row,
        judged.{{ key }}
    from {{ judged }} as judged
    where judged.rejected_by is null
),

{%- if dimension %}

keys_of_dimension as (
    select distinct dimension.{{ key }}
    from {{ dimension }} as dimension
),

places as (
    -- what an extract says is in the history of its key; most of it only says the same again
    select
        accepted._delivery_id as delivery_id,
        count(keys_of_dimension.{{ key }}) as taken,
        0 as superseded
    from accepted
    left join keys_of_dimension
        on {{ key_expression or 'accepted.' ~ key }} = keys_of_dimension.{{ key }}
    group by accepted._delivery_id
),
{%- else %}

mart as (
    select
        mart._delivery_id,
        mart._source_row,
        mart.{{ key }}
    from {{ mart }} as mart
),

keys_of_mart as (
    select distinct mart.{{ key }}
    from mart
),

places as (
    select
        accepted._delivery_id as delivery_id,
        -- a row that the mart holds twice counts twice, and is missed below
        count(mart._delivery_id) as taken,
        count(case when mart._delivery_id is null then keys_of_mart.{{ key }} end) as superseded
    from accepted
    left join mart
        on
            accepted._delivery_id = mart._delivery_id
            and accepted._source_row = mart._source_row
    left join keys_of_mart
        on accepted.{{ key }} = keys_of_mart.{{ key }}
    group by accepted._delivery_id
),
{%- endif %}

rejected as (
    select
        ledger.delivery_id,
        count(*) as rejected
    from {{ ledger }} as ledger
    where ledger.feed = '{{ feed }}'
    group by ledger.delivery_id
),

conservation as (
    select
        deliveries.feed,
        deliveries.delivery_id,
        cast('row' as {{ dbt.type_string() }}) as grain,
        deliveries.records as arrived,
        coalesce(places.taken, 0) as taken,
        coalesce(places.superseded, 0) as superseded,
        coalesce(rejected.rejected, 0) as rejected,
        deliveries.dead_letters,
        deliveries.records
        - coalesce(places.taken, 0)
        - coalesce(places.superseded, 0)
        - coalesce(rejected.rejected, 0)
        - deliveries.dead_letters as unaccounted
    from deliveries
    left join places
        on deliveries.delivery_id = places.delivery_id
    left join rejected
        on deliveries.delivery_id = rejected.delivery_id
)

select * from conservation
{% endmacro %}
