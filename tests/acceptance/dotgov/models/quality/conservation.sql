{{ rampart.conservation_of(
    'domains',
    judged=ref('int_domains_judged'),
    dimension=ref('dim_domains'),
    key='domain_name',
    key_expression='lower(trim(accepted.domain_name))',
    ledger=ref('ledger'),
) }}
