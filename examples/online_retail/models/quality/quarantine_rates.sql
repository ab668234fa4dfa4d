{{ rampart.quarantine_rates_of(ref('ledger')) }}
