{# Passes if every version ends after it begins; fails with one row per offending version, and the statement that repairs it. #}
{% test scd2_valid_from_before_valid_to(model, natural_key) %}
select *
from ({{ rampart.scd2_faults_of(model, natural_key) }}) as faults
where faults.fault in ('ends before it begins')
{% endtest %}
