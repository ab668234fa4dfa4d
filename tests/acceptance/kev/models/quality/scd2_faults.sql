{{ rampart.scd2_faults_of(
    ref('dim_vulnerabilities'), 'cve_id', tracked=vulnerability_attributes()
) }}
