{{ rampart.scd2_faults_of(ref('dim_domains'), 'domain_name', tracked=domain_attributes()) }}
