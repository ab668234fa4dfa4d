{% macro dotgov_rules() %}
{% set rules %}
- rule: domain_name_present
  effect: reject
  grain: row
  holds: domain_key <> ''
  why: A row without its domain describes nothing.
- rule: last_row_of_its_key
  effect: reject
  grain: row
  holds: row_of_key_from_end = 1
  why: One extract states one picture; of several rows of one domain the last one counts.
- rule: security_contact_given
  effect: flag
  grain: row
  holds: security_contact_email not in ('', '(blank)')
  why: Nobody can be told of a hole in this domain; the register writes (blank).
{% endset %}
{{ return(fromyaml(rules)) }}
{% endmacro %}
