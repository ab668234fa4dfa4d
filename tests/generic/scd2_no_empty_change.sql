{# Passes if each version differs from the one before it in a tracked attribute or in is_deleted; fails with one row per offending version, and the statement that repairs it. #}
{% test scd2_no_empty_change(model, natural_key, tracked) %}
select *
from ({{ rampart.scd2_faults_of(model, natural_key, tracked=tracked) }}) as faults
where faults.fault in ('changes nothing')
{% endtest %}
