{% macro clickstream_rules() %}
{% set rules %}
- rule: client_id_present
  effect: reject
  grain: event
  holds: client_id is not null
  why: An event without a client belongs to nobody and cannot be attributed.
- rule: event_timestamp_readable
  effect: reject
  grain: event
  holds: event_timestamp is not null
  why: An event without a moment falls into no day.
- rule: event_timestamp_believable
  effect: reject
  grain: event
  holds: |
    event_timestamp is null
    or event_timestamp <= extracted_at + interval '{{ var("events_may_lead_by_days", 1) }}' day
  why: An event from after its own delivery comes from a wrong clock.
- rule: event_name_known
  effect: reject
  grain: event
  holds: |
    event_name in (
        'session_start', 'page_view', 'view_item', 'add_to_cart', 'begin_checkout', 'purchase'
    )
  why: A new kind of event has to be modelled before it is counted.
- rule: purchase_has_transaction
  effect: reject
  grain: event
  holds: event_name is distinct from 'purchase' or transaction_id is not null
  why: A purchase without a transaction cannot become an order.
- rule: revenue_not_negative
  effect: reject
  grain: event
  holds: revenue is null or revenue >= 0
  why: Refunds are not purchases; a negative revenue would lower the total unseen.
- rule: purchase_has_revenue
  effect: flag
  grain: event
  holds: event_name is distinct from 'purchase' or revenue is not null
  why: The order counts, its revenue does not; pct_missing_revenue watches the share.
{% endset %}
{{ return(fromyaml(rules)) }}
{% endmacro %}
