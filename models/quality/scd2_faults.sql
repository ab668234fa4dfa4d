{{ config(enabled=(project_name == 'rampart')) }}

{{ scd2_faults_of(
    ref('dim_sf_user_scd'), 'user_id', tracked=['division', 'audit_phase', 'is_active']
) }}
