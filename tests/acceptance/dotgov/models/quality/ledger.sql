{{ config(schema='quarantine') }}

{{ rampart.ledger_of(ref('violations')) }}
