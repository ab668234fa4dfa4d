{{ config(enabled=(project_name == 'rampart')) }}

with

source as (
    select * from {{ source('salesforce', 'sf_user') }}
),

renamed as (
    select
        ---------- ids
        source._delivery_id,
        source._source_row,
        nullif(trim(source.user_id), '') as user_id,

        ---------- text
        nullif(source.name, '') as full_name,
        nullif(source.email, '') as email,
        nullif(source.division, '') as division,
        nullif(source.audit_phase__c, '') as audit_phase,

        ---------- booleans
        case lower(source.isactive) when 'true' then true when 'false' then false end as is_active,
        case
            when source.isdeleted is null or lower(source.isdeleted) in ('false', '') then false
            when lower(source.isdeleted) = 'true' then true
        end as is_deleted_flag,

        ---------- timestamps
        source._extracted_at as extracted_at,
        {{ try_timestamp('source.lastmodifieddate') }} as last_modified_at
    from source
)

select * from renamed
