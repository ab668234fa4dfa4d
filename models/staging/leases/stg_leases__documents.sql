{{ config(enabled=(project_name == 'rampart')) }}

with

source as (
    select * from {{ source('leases', 'documents') }}
),

parsed as (
    {{ json_record(
        'source',
        'payload',
        {
            'document_id': 'document_id',
            'revision': 'revision',
            'status': 'status',
            'document_date': 'document_date',
            'owner_id': 'owner.user_id',
            'property_reference': 'property.reference',
            'city': 'property.city',
            'period_starts_on': 'period.starts_on',
            'period_ends_on': 'period.ends_on',
            'rent_amount': 'rent.amount',
            'currency': 'rent.currency',
            'withdrawn_at': 'withdrawn_at',
        },
        keep=['_delivery_id', '_source_row'],
    ) }}
),

renamed as (
    select
        ---------- ids
        parsed._delivery_id,
        parsed._source_row,
        nullif(trim(parsed.document_id), '') as document_id,
        nullif(trim(parsed.owner_id), '') as owner_id,
        nullif(trim(parsed.property_reference), '') as property_reference,

        ---------- text
        nullif(trim(parsed.city), '') as city,
        lower(nullif(trim(parsed.status), '')) as status,
        nullif(trim(parsed.currency), '') as currency,

        ---------- numerics
        {{ try_number('parsed.revision') }} as revision,
        {{ try_number('parsed.rent_amount') }} as rent_amount,

        ---------- dates
        {{ utc_date(try_timestamp('parsed.document_date')) }} as document_date,
        {{ utc_date(try_timestamp('parsed.period_starts_on')) }} as period_starts_on,
        {{ utc_date(try_timestamp('parsed.period_ends_on')) }} as period_ends_on,

        ---------- timestamps
        {{ try_timestamp('parsed.withdrawn_at') }} as withdrawn_at
    from parsed
)

select * from renamed
