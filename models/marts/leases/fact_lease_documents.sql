{{ config(
    enabled=(project_name == 'rampart'),
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='document_id',
    pre_hook=[
        "{{ take_turns('fact_lease_documents') }}",
        "{{ facts_take_extracts(ref('dim_sf_user_scd')) }}",
    ],
    post_hook=[
        "{{ index_on(['document_id'], unique=true) }}",
        "{{ index_on(['_delivery_id']) }}",
        "{{ index_on(['document_date']) }}",
        "{{ index_on(['document_date'], where=\"owner_key = 'unknown'\", name='unresolved') }}",
        "{{ index_on(['_replay_id'], where='_replay_id is not null', name='replay') }}",
    ],
) }}
{%- set columns = [
    'document_id', 'revision', 'status', 'is_withdrawn', 'withdrawn_at', 'document_date',
    'owner_id', 'property_reference', 'city', 'period_starts_on', 'period_ends_on', 'rent_amount',
    'currency', 'sent_at', 'flagged_by', '_delivery_id', '_source_row', '_replay_id',
] %}

with

owners as (
    select * from {{ ref('dim_sf_user_scd') }}
    where sf_user_key <> 'unknown'
),

accepted_documents as (
    {{ rows_to_take('leases', ref('int_lease_documents_judged')) }}
),

documents_ranked as (
    select
        accepted_documents.*,
        -- the highest revision counts; of equal ones the last sent, whatever came first
        row_number() over (
            partition by accepted_documents.document_id
            order by
                accepted_documents.revision desc,
                accepted_documents.sent_at desc,
                accepted_documents._delivery_id desc,
                accepted_documents._source_row desc
        ) as arrival_from_best
    from accepted_documents
),

arrived_documents as (
    select
        documents_ranked.document_id,
        cast(documents_ranked.revision as integer) as revision,
        documents_ranked.status,
        documents_ranked.status = 'withdrawn' as is_withdrawn,
        case when documents_ranked.status = 'withdrawn' then documents_ranked.withdrawn_at end
            as withdrawn_at,
        documents_ranked.document_date,
        documents_ranked.owner_id,
        documents_ranked.property_reference,
        documents_ranked.city,
        documents_ranked.period_starts_on,
        documents_ranked.period_ends_on,
        cast(documents_ranked.rent_amount as numeric(18, 2)) as rent_amount,
        documents_ranked.currency,
        documents_ranked.sent_at,
        documents_ranked.flagged_by,
        documents_ranked._delivery_id,
        documents_ranked._source_row,
        documents_ranked._replay_id
    from documents_ranked
    where
        documents_ranked.arrival_from_best = 1
        and {{ outranks_held(
            'documents_ranked',
            'document_id',
            by=['revision', 'sent_at', '_delivery_id', '_source_row'],
            last=true,
        ) }}
),

{%- if is_incremental() %}

-- who was valid on a day follows from the extracts up to it: earlier documents stay as they are
touched as (
    {{ versions_touched_from(ref('dim_sf_user_scd')) }}
),

{%- endif %}

documents_to_resolve as (
    select
        {%- for column in columns %}
        arrived_documents.{{ column }},
        {%- endfor %}
        cast(null as {{ dbt.type_string() }}) as held_owner
    from arrived_documents
    {%- if is_incremental() %}

    union all

    select
        {%- for column in columns %}
        held.{{ column }},
        {%- endfor %}
        concat(held.owner_key, ' ', held.owner_resolution) as held_owner
    from {{ this }} as held
    where
        (
            held.document_date >= (select {{ utc_date('touched.touched_from') }} from touched)
            -- nobody knew the owner: an extract of any moment may tell who it is
            or (
                held.owner_key = 'unknown'
                and (select touched.touched_from from touched) is not null
            )
        )
        and not exists (
            select 1
            from arrived_documents
            where arrived_documents.document_id = held.document_id
        )
    {%- endif %}
),

-- the version at the end of the document's day: a change of that day counts
documents_resolved as (
    select
        documents_to_resolve.*,
        coalesce(owners.sf_user_key, 'unknown') as owner_key,
        case
            when owners.sf_user_key is not null then 'resolved'
            -- not the step above: read twice, Postgres would compute it as a whole
            when exists (
                select 1
                from {{ ref('dim_sf_user_scd') }} as known
                where
                    known.user_id = documents_to_resolve.owner_id
                    and known.sf_user_key <> 'unknown'
            ) then 'before_first_version'
            else 'unknown_owner'
        end as owner_resolution
    from documents_to_resolve
    left join owners
        on
            documents_to_resolve.owner_id = owners.user_id
            and {{ utc_date('owners.valid_from') }} <= documents_to_resolve.document_date
            and (
                owners.valid_to is null
                or {{ utc_date('owners.valid_to') }} > documents_to_resolve.document_date
            )
),

lease_documents as (
    select
        {%- for column in columns %}
        documents_resolved.{{ column }},
        {%- endfor %}
        documents_resolved.owner_key,
        documents_resolved.owner_resolution
    from documents_resolved
    where
        documents_resolved.held_owner is distinct from concat(
            documents_resolved.owner_key, ' ', documents_resolved.owner_resolution
        )
)

select * from lease_documents
