with

source as (
    select * from {{ source('online_retail', 'order_lines') }}
),

renamed as (
    select
        ---------- ids
        source._delivery_id,
        source._source_row,
        nullif(trim(source.invoiceno), '') as order_id,
        nullif(trim(source.stockcode), '') as stock_code,
        -- customers come as 17850.0
        nullif(regexp_replace(trim(source.customerid), '[.]0$', ''), '') as customer_id,

        ---------- text
        nullif(trim(source.description), '') as description,
        nullif(trim(source.country), '') as country,

        ---------- booleans
        coalesce(trim(source.invoiceno) like 'C%', false) as is_refund,

        ---------- numerics
        {{ rampart.try_number('source.quantity') }} as quantity,
        {{ rampart.try_number('source.unitprice') }} as unit_price,

        ---------- timestamps
        -- the shop's own clock: the files name no time zone, so it is kept as if it were UTC
        {{ rampart.try_timestamp("(source.invoicedate || 'Z')") }} as ordered_at
    from source
)

select * from renamed
