{% macro salesforce_rules() %}
{% set rules %}
- rule: user_id_present
  effect: reject
  grain: row
  holds: user_id is not null
  why: A row without its key describes nobody.
- rule: user_id_not_reserved
  effect: reject
  grain: row
  holds: user_id is distinct from '(unknown)'
  why: That is the dimension's own member for users whom nobody knows.
- rule: audit_phase_known
  effect: reject
  grain: row
  holds: audit_phase is null or audit_phase in ('Planning', 'Fieldwork', 'Reporting', 'Closed')
  why: An unknown phase would open a version that no report knows.
- rule: is_deleted_readable
  effect: reject
  grain: row
  holds: is_deleted_flag is not null
  why: Whether a user is deleted must not be guessed.
- rule: last_row_of_its_key
  effect: reject
  grain: row
  holds: user_id is null or row_of_key_from_end = 1
  why: One extract states one picture; of several rows of one user the last one counts.
{% endset %}
{{ return(fromyaml(rules)) }}
{% endmacro %}
