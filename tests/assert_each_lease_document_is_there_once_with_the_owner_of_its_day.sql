{{ config(enabled=(project_name == 'rampart')) }}

-- The as-of join neither multiplies nor loses a document, and every owner_key is the version valid
-- at the end of its day, computed from scratch. Each row says what is wrong with which document.
with

judged as (
    select distinct accepted.document_id
    from {{ ref('int_lease_documents_judged') }} as accepted
    where accepted.rejected_by is null
),

documents as (
    select * from {{ ref('fact_lease_documents') }}
),

versions as (
    select * from {{ ref('dim_sf_user_scd') }}
    where sf_user_key <> 'unknown'
),

joined as (
    select
        documents.document_id,
        count(members.sf_user_key) as members_found
    from documents
    left join {{ ref('dim_sf_user_scd') }} as members
        on documents.owner_key = members.sf_user_key
    group by documents.document_id
),

valid_then as (
    select
        documents.document_id,
        documents.owner_key,
        documents.owner_resolution,
        coalesce(
            max(case
                when
                    {{ utc_date('versions.valid_from') }} <= documents.document_date
                    and (
                        versions.valid_to is null
                        or {{ utc_date('versions.valid_to') }} > documents.document_date
                    )
                    then versions.sf_user_key
            end),
            'unknown'
        ) as expected_key,
        count(versions.sf_user_key) as versions_of_owner
    from documents
    left join versions
        on documents.owner_id = versions.user_id
    group by documents.document_id, documents.owner_key, documents.owner_resolution
),

faults as (
    select
        coalesce(judged.document_id, joined.document_id) as document_id,
        'is not in the mart' as fault
    from judged
    left join joined
        on judged.document_id = joined.document_id
    where joined.document_id is null

    union all

    select
        joined.document_id,
        'is in the mart, and no accepted document says so' as fault
    from joined
    left join judged
        on joined.document_id = judged.document_id
    where judged.document_id is null

    union all

    select
        joined.document_id,
        'joins to none or to several members of the dimension' as fault
    from joined
    where joined.members_found <> 1

    union all

    select
        valid_then.document_id,
        'names another version than the one valid then' as fault
    from valid_then
    where
        valid_then.owner_key <> valid_then.expected_key
        or valid_then.owner_resolution <> case
            when valid_then.expected_key <> 'unknown' then 'resolved'
            when valid_then.versions_of_owner > 0 then 'before_first_version'
            else 'unknown_owner'
        end
)

select * from faults
