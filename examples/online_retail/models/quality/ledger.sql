{{ config(schema='quarantine') }}

{{ ledger_of(ref('violations')) }}
