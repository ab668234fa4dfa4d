with

source as (
    select * from {{ source('kev', 'vulnerabilities') }}
),

renamed as (
    select
        ---------- ids
        source._delivery_id,
        source._source_row,
        source.cveid as cve_id,

        ---------- text
        source.vendorproject as vendor,
        source.product,
        source.vulnerabilityname as vulnerability_name,
        source.dateadded as date_added,
        source.shortdescription as short_description,
        source.requiredaction as required_action,
        source.duedate as due_date,
        source.knownransomwarecampaignuse as ransomware_use,
        source.notes,
        source.cwes
    from source
)

select * from renamed
