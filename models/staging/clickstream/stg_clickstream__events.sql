{{ config(enabled=(project_name == 'rampart')) }}

with

source as (
    select * from {{ source('clickstream', 'events') }}
),

parsed as (
    {{ json_record(
        'source',
        'payload',
        {
            'event_name': 'event_name',
            'event_timestamp': 'event_timestamp',
            'client_id': 'client_id',
            'session_id': 'session_id',
            'page_location': 'page_location',
            'traffic_source': 'traffic_source.source',
            'traffic_medium': 'traffic_source.medium',
            'traffic_campaign': 'traffic_source.campaign',
            'transaction_id': 'transaction_id',
            'revenue': 'revenue',
            'currency': 'currency',
        },
        keep=['_delivery_id', '_source_row'],
    ) }}
),

renamed as (
    select
        ---------- ids
        parsed._delivery_id,
        parsed._source_row,
        nullif(trim(parsed.client_id), '') as client_id,
        nullif(trim(parsed.session_id), '') as session_id,
        nullif(trim(parsed.transaction_id), '') as transaction_id,

        ---------- text
        parsed.event_name,
        parsed.page_location,
        parsed.traffic_source,
        parsed.traffic_medium,
        parsed.traffic_campaign,
        parsed.currency,

        ---------- numerics
        {{ try_number('parsed.revenue') }} as revenue,

        ---------- timestamps
        {{ timestamp_from_micros(try_number('parsed.event_timestamp')) }} as event_timestamp
    from parsed
)

select * from renamed
