{{ rampart.scd2_faults_of(ref('dim_members'), 'bioguide_id', tracked=member_attributes()) }}
