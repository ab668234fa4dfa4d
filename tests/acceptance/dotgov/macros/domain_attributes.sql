{# What makes a version of a domain, or of a key as it was written. #}
{% macro domain_attributes() %}
    {{ return([
        'domain_type', 'agency', 'organization_name', 'city', 'state', 'security_contact_email',
    ]) }}
{% endmacro %}
