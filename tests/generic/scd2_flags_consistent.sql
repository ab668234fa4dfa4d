{# Passes if is_current says the same as valid_to being null; fails with one row per offending version, and the statement that repairs it. #}
{% test scd2_flags_consistent(model, natural_key) %}
select *
from ({{ rampart.scd2_faults_of(model, natural_key) }}) as faults
where faults.fault in ('is_current contradicts valid_to')
{% endtest %}
