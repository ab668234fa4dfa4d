{% macro kev_rules() %}
{% set rules %}
- rule: cve_id_readable
  effect: reject
  grain: row
  holds: cve_id like 'CVE-____-____%'
  why: A vulnerability without its number cannot be looked up anywhere.
- rule: weakness_named
  effect: flag
  grain: row
  holds: cwes <> ''
  why: Nobody has said yet which kind of weakness it is.
{% endset %}
{{ return(fromyaml(rules)) }}
{% endmacro %}
