with

source as (
    select * from {{ source('legislators', 'members') }}
),

parsed as (
    {{ rampart.json_record(
        'source',
        'payload',
        {
            'bioguide_id': 'bioguide_id',
            'govtrack_id': 'govtrack_id',
            'lis_id': 'lis_id',
            'first_name': 'first_name',
            'middle_name': 'middle_name',
            'last_name': 'last_name',
            'official_full': 'official_full',
            'birthday': 'birthday',
            'gender': 'gender',
            'term_type': 'term_type',
            'term_start': 'term_start',
            'term_end': 'term_end',
            'state': 'state',
            'district': 'district',
            'senate_class': 'senate_class',
            'party': 'party',
            'caucus': 'caucus',
            'url': 'url',
            'phone': 'phone',
            'fax': 'fax',
            'office': 'office',
            'contact_form': 'contact_form',
            'n_terms': 'n_terms',
        },
        keep=['_delivery_id', '_source_row'],
    ) }}
)

select * from parsed
