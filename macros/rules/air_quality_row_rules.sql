{% macro air_quality_row_rules() %}
{% set rules %}
- rule: station_present
  effect: reject
  grain: row
  holds: station is not null
  why: A measurement without a station was taken nowhere.
- rule: hour_exists
  effect: reject
  grain: row
  holds: measurement_timestamp is not null
  why: Year, month, day and hour must name an hour of the calendar.
- rule: pm2_5_within_pm10
  effect: flag
  grain: row
  holds: |
    {{ try_number('pm2_5') }} is null
    or {{ try_number('pm10') }} is null
    or {{ try_number('pm2_5') }} <= {{ try_number('pm10') }}
  why: PM2.5 is a part of PM10; more of it than of the whole is measurement noise or a defect.
{% endset %}
{{ return(fromyaml(rules)) }}
{% endmacro %}
