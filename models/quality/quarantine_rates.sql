{{ config(enabled=(project_name == 'rampart')) }}

{{ quarantine_rates_of(ref('ledger')) }}
