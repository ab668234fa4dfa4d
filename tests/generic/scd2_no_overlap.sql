{# Passes if no version of a key is still valid when the next one begins; fails with one row per offending version, and the statement that repairs it. #}
{% test scd2_no_overlap(model, natural_key) %}
select *
from ({{ rampart.scd2_faults_of(model, natural_key) }}) as faults
where faults.fault in ('overlaps the next version')
{% endtest %}
