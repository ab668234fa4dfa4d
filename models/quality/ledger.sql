{{ config(enabled=(project_name == 'rampart'), schema='quarantine') }}

{{ ledger_of(ref('violations')) }}
