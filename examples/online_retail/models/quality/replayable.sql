{{ config(schema='quarantine') }}

with

staged_order_lines as (
    select * from {{ ref('stg_online_retail__order_lines') }}
),

deliveries_with_rejected_lines as (
    select
        deliveries.delivery_id,
        deliveries.extracted_at
    from {{ source('rampart_store', 'deliveries') }} as deliveries
    where
        exists (
            select 1
            from {{ ref('int_order_lines_judged') }} as rejected
            where
                rejected._delivery_id = deliveries.delivery_id
                and rejected.rejected_by is not null
        )
),

order_lines as (
    {{ order_lines_of('staged_order_lines', 'deliveries_with_rejected_lines') }}
),

replayable as (
    {{ rampart.judged_anew(
        'order_lines', 'order_lines', online_retail_rules(), ref('int_order_lines_judged')
    ) }}
)

select * from replayable
