{{ rampart.conservation_of(
    'vulnerabilities',
    judged=ref('int_vulnerabilities_judged'),
    dimension=ref('dim_vulnerabilities'),
    key='cve_id',
    ledger=ref('ledger'),
) }}
