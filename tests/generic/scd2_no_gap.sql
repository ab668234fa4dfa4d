{# Passes if each version of a key begins when the one before it ends; fails with one row per offending version, and the statement that repairs it. #}
{% test scd2_no_gap(model, natural_key) %}
select *
from ({{ rampart.scd2_faults_of(model, natural_key) }}) as faults
where faults.fault in ('leaves a gap before the next version')
{% endtest %}
