with

source as (
    select * from {{ source('dotgov', 'domains') }}
),

renamed as (
    select
        ---------- ids
        source._delivery_id,
        source._source_row,
        source.domain_name,
        -- the register wrote DOMAIN.GOV until January 2024 and domain.gov since
        lower(trim(source.domain_name)) as domain_key,

        ---------- text
        source.domain_type,
        source.agency,
        -- a renamed column: an extract has one of the two, the other one is null
        coalesce(source.organization_name, source.organization) as organization_name,
        source.city,
        source.state,
        source.security_contact_email
    from source
)

select * from renamed
