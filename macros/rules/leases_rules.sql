{% macro leases_rules() %}
{% set rules %}
- rule: document_id_present
  effect: reject
  grain: document
  holds: document_id is not null
  why: A document without a name can neither be corrected nor withdrawn.
- rule: revision_readable
  effect: reject
  grain: document
  holds: revision between 1 and 2147483647 and revision = floor(revision)
  why: Which of several arrivals counts must not be guessed.
- rule: status_known
  effect: reject
  grain: document
  holds: status in ('signed', 'withdrawn')
  why: A new status has to be modelled before it is counted.
- rule: owner_present
  effect: reject
  grain: document
  holds: owner_id is not null
  why: A lease without an owner belongs to no division.
- rule: document_date_readable
  effect: reject
  grain: document
  holds: document_date is not null
  why: Without a date nobody knows whose version of the owner it belongs to.
- rule: document_date_believable
  effect: reject
  grain: document
  holds: |
    document_date is null
    or document_date
    <= {{ utc_date('sent_at') }} + interval '{{ var("documents_may_lead_by_days", 1) }}' day
  why: A document from after its own sending has a mistyped date.
- rule: rent_believable
  effect: reject
  grain: document
  holds: rent_amount is null or rent_amount between 0 and 999999999
  why: A rent below zero, or of a billion and more, is a sum of something else.
- rule: rent_readable
  effect: flag
  grain: document
  holds: rent_amount is not null
  why: The document counts; its rent is missing from every sum.
- rule: period_ordered
  effect: flag
  grain: document
  holds: period_starts_on <= period_ends_on
  why: The document counts; how long it runs is not to be trusted.
- rule: withdrawal_has_moment
  effect: flag
  grain: document
  holds: status is distinct from 'withdrawn' or withdrawn_at is not null
  why: The withdrawal counts, its moment does not.
{% endset %}
{{ return(fromyaml(rules)) }}
{% endmacro %}
