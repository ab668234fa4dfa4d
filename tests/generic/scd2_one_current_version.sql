{# Passes if every key has exactly one current version; fails with one row per offending version, and the statement that repairs it. #}
{% test scd2_one_current_version(model, natural_key) %}
select *
from ({{ rampart.scd2_faults_of(model, natural_key) }}) as faults
where faults.fault in ('several current versions', 'no current version')
{% endtest %}
