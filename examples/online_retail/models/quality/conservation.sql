{{ rampart.conservation_of(
    'order_lines',
    judged=ref('int_order_lines_judged'),
    mart=ref('fact_order_lines'),
    key='order_id',
    ledger=ref('ledger'),
) }}
