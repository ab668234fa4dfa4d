{% macro legislators_rules() %}
{% set rules %}
- rule: bioguide_id_present
  effect: reject
  grain: row
  holds: bioguide_id <> ''
  why: Newly elected members have no id yet for a few days; without it nobody knows who it is.
{% endset %}
{{ return(fromyaml(rules)) }}
{% endmacro %}
