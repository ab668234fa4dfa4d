{% macro air_quality_cell_rules() %}
{% set rules %}
- rule: value_is_a_number
  effect: reject
  grain: cell
  holds: is_declared_missing or measured_value is not null
  why: Only a number or NA may stand in a cell; anything else was not measured.
- rule: value_not_negative
  effect: reject
  grain: cell
  holds: measured_value is null or measured_value >= 0
  why: A concentration below zero is an instrument's error.
- rule: value_below_cap
  effect: flag
  grain: cell
  holds: |
    measured_value is null
    or not (
        (parameter = 'pm2_5' and measured_value >= 999)
        or (parameter = 'pm10' and measured_value >= 999)
        or (parameter = 'so2' and measured_value >= 500)
        or (parameter = 'co' and measured_value >= 10000)
    )
  why: The instrument shows its highest value; the true one is higher by an unknown amount.
{% endset %}
{{ return(fromyaml(rules)) }}
{% endmacro %}
