{{ rampart.conservation_of(
    'members',
    judged=ref('int_members_judged'),
    dimension=ref('dim_members'),
    key='bioguide_id',
    ledger=ref('ledger'),
) }}
